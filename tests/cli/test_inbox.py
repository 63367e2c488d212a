"""The review of kept completions, as a person does it."""

import json
import stat

import pytest

from sleepcycle.home.opening import open_home
from sleepcycle.records.captured import Exchange
from sleepcycle.settings.configfile import settings_from


@pytest.fixture
def kept(cli):
    """A home with two completions that wait."""
    cli.run("init")
    home = open_home(cli.home, settings=settings_from({"capture": {"mode": "all"}}))
    for number, asked in enumerate(("What is the moon?", "[bold]\x1b[2J\nWhy?"), 1):
        talk = Exchange(
            id=f"chatcmpl-{number}",
            version=0,
            model="live",
            messages=[{"role": "user", "content": asked}],
            answer={"role": "assistant", "content": f"Answer {number}."},
            metadata={"user": "7"},
        )
        home.captured.capture(talk, asked=False)
    return cli


def test_what_waits_is_listed(kept):
    table = kept.run("inbox", "list").stdout
    found = kept.json("inbox", "list")

    assert "chatcmpl-1" in table
    assert "What is the moon?" in table
    assert [one["id"] for one in found] == ["chatcmpl-1", "chatcmpl-2"]
    assert found[0]["metadata"] == {"user": "7"}


def test_no_text_of_theirs_steers_the_terminal(kept):
    for words in (("list",), ("show", "chatcmpl-2")):
        shown = kept.run("inbox", *words).stdout

        assert "\x1b" not in shown
        assert "[bold]" in shown


def test_one_is_shown_whole(kept):
    shown = kept.run("inbox", "show", "chatcmpl-1").stdout

    for part in (
        "v0, asked as live",
        "What is the moon?",
        "Answer 1.",
        "metadata user",
    ):
        assert part in shown


def test_several_are_accepted(kept):
    done = kept.json("inbox", "accept", "chatcmpl-1", "chatcmpl-2")

    assert done == [
        {"id": "chatcmpl-1", "state": "accepted", "batch": 1},
        {"id": "chatcmpl-2", "state": "accepted", "batch": 2},
    ]
    assert kept.json("inbox", "list") == []
    assert len(kept.json("inbox", "list", "--state", "accepted")) == 2
    assert kept.json("batches", "list")[0]["source"] == "chatcmpl-1"


def test_what_was_done_is_printed_where_the_next_fails(kept):
    done = kept.run("inbox", "reject", "chatcmpl-1", "chatcmpl-9", exit_code=1)

    assert done.stdout == "chatcmpl-1 is rejected\n"
    assert "no kept completion 'chatcmpl-9'" in done.stderr


def test_a_list_goes_on_after_one(kept):
    rest = kept.json("inbox", "list", "--after", "chatcmpl-1", "--limit", "1")

    assert [one["id"] for one in rest] == ["chatcmpl-2"]


class TestEdit:
    def learned(self, kept):
        """Return the correction of the first."""
        return kept.json("inbox", "show", "chatcmpl-1")["correction"]["content"]

    def test_by_a_text(self, kept):
        done = kept.run("inbox", "edit", "chatcmpl-1", "--answer", "Basalt.")

        assert done.stdout == "chatcmpl-1 is accepted, batch 1\n"
        assert self.learned(kept) == "Basalt."

    def test_by_a_file(self, kept, tmp_path):
        (tmp_path / "answer.md").write_text("Basalt\nand dust.\n")

        kept.run("inbox", "edit", "chatcmpl-1", "--file", tmp_path / "answer.md")

        assert self.learned(kept) == "Basalt\nand dust."

    def test_by_an_editor(self, kept, tmp_path):
        editor = tmp_path / "editor"
        editor.write_text('#!/bin/sh\nshift\necho "edited: $(cat "$1")" > "$1"\n')
        editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
        kept.settings["EDITOR"] = f"{editor} --wait"

        kept.run("inbox", "edit", "chatcmpl-1")

        assert self.learned(kept) == "edited: Answer 1."

    @pytest.mark.parametrize(
        ("editor", "fault"),
        [
            ("", r"expected an editor in \$VISUAL or \$EDITOR"),
            ("true", "expected another answer, got the same"),
            ("false", "false ended with 1, so nothing was changed"),
            ("/no/editor", "cannot start /no/editor"),
        ],
    )
    def test_an_editor_that_changes_nothing_changes_nothing(self, kept, editor, fault):
        kept.settings.update(EDITOR=editor, VISUAL="")

        done = kept.run("inbox", "edit", "chatcmpl-1", exit_code=1)

        assert fault.replace("\\", "") in done.stderr
        assert len(kept.json("inbox", "list")) == 2

    def test_two_answers_are_refused(self, kept):
        words = ("edit", "chatcmpl-1", "--answer", "a", "--file", "b")

        assert "got both" in kept.run("inbox", *words, exit_code=1).stderr

    def test_a_file_that_is_not_there_is_refused(self, kept):
        words = ("edit", "chatcmpl-1", "--file", "nowhere")

        assert "cannot read nowhere" in kept.run("inbox", *words, exit_code=1).stderr


class TestDelete:
    def test_it_is_gone(self, kept):
        kept.run("inbox", "accept", "chatcmpl-1")

        done = kept.run("inbox", "delete", "chatcmpl-1")

        assert done.stdout == "chatcmpl-1 and its example are deleted\n"
        assert kept.json("inbox", "list", "--state", "all")[0]["id"] == "chatcmpl-2"

    def test_where_the_same_is_otherwise_is_said(self, kept, tmp_path):
        turns = [
            {"role": "user", "content": "What is the moon?"},
            {"role": "assistant", "content": "Answer 1."},
        ]
        (tmp_path / "a.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
        kept.run("feed", tmp_path / "a.jsonl")
        kept.run("inbox", "accept", "chatcmpl-1")

        done = kept.run("inbox", "delete", "chatcmpl-1")

        assert "the same is in batch 1" in done.stdout
