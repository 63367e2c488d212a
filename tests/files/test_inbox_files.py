"""What the inbox leaves alone is told of with its reason, whatever its name."""

import json
import os
import sys

import pytest

from sleepcycle.files.inbox_files import not_fed


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".hidden.jsonl", "hidden"),
        ("a.part", "still being written"),
        ("b.jsonl.CRDOWNLOAD", "still being written"),
        ("c.tmp", "still being written"),
    ],
)
def test_a_file_with_an_unfinished_name_is_told_of(tmp_path, name, why):
    (tmp_path / name).touch()
    (tmp_path / "fed.jsonl").touch()

    [found] = not_fed(tmp_path)

    assert found.name == name
    assert why in found.why
    assert found.fix.startswith("rename it once it is whole")


def test_folders_links_and_pipes_are_told_of(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("done", "failed"):
        (tmp_path / name).mkdir()

    whys = {found.name: found.why for found in not_fed(tmp_path)}

    assert whys == {
        "folder": "it is a folder",
        "link": "it is a link, and could name any file",
        "pipe": "it is no plain file",
    }


def test_a_refused_file_is_told_of_with_the_reason_of_its_report(tmp_path):
    failed = tmp_path / "failed"
    failed.mkdir()
    (failed / "a.jsonl").touch()
    (failed / "a.jsonl.report.json").write_text(json.dumps({"error": "got none"}))

    [found] = not_fed(tmp_path)

    assert (found.name, found.why, found.is_refused) == (
        "failed/a.jsonl",
        "got none",
        True,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="names must be UTF-8 there")
@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"caf\xe9.tmp", "caf\\udce9.tmp"), (b"two\nlines.tmp", "two\\nlines.tmp")],
)
def test_any_name_is_shown_on_one_line(tmp_path, name, shown):
    (tmp_path / os.fsdecode(name)).touch()

    assert [found.name for found in not_fed(tmp_path)] == [shown]


def test_an_inbox_that_is_not_there_is_empty(tmp_path):
    assert not_fed(tmp_path / "nowhere") == []


def test_a_hundred_are_told_of_at_most(tmp_path):
    for number in range(120):
        (tmp_path / f"{number}.tmp").touch()

    assert len(not_fed(tmp_path)) == 100
