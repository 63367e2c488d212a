"""The studies that the repository keeps: small, whole, and enough for their pages."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from sleepcycle_study.cli.report_pages import write_report
from sleepcycle_study.experiment.packed import SUFFIX, pack, read_packed

STUDIES = Path(__file__).parents[2] / "docs" / "study"
MOST_BYTES = 1_000_000
RUNS = {
    "code": 8,
    "dream_pruning": 51,
    "dream_pruning_13m": 26,
    "facts": 6,
    "logic": 8,
    "ranks_0.4m": 18,
    "ranks_1.7m": 6,
    "ranks_4.5m": 6,
    "smollm2": 18,
    "wake_sleep": 33,
}
TEXTLESS = {"smollm2"}
"""Studies whose plans name no text on which the loss is looked at."""
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@cache
def kept(name):
    """Return a study that is kept, read once."""
    return read_packed(STUDIES / f"{name}{SUFFIX}")


def test_they_take_a_megabyte_at_most():
    sizes = [path.stat().st_size for path in STUDIES.rglob("*") if path.is_file()]

    assert sum(sizes) <= MOST_BYTES


def test_no_study_is_missing_and_none_is_unknown():
    assert {path.name for path in STUDIES.glob(f"*{SUFFIX}")} == {
        f"{name}{SUFFIX}" for name in RUNS
    }


@pytest.mark.parametrize("name", RUNS)
def test_every_run_is_whole_and_planned(name):
    study = kept(name)

    outcomes = study.outcomes()

    assert len(outcomes) == RUNS[name]
    planned = study.plan().expected()
    assert all(one.seed in planned[one.arm] for one in outcomes)


@pytest.mark.parametrize("name", RUNS)
def test_the_plan_beside_it_is_the_one_it_was_run_with(name):
    files = kept(name).files

    assert (STUDIES / "plans" / f"{name}.toml").read_bytes() == files["plan.toml"]


@pytest.mark.parametrize("name", sorted(RUNS.keys() - TEXTLESS))
def test_the_text_that_its_plan_names_lies_beside_it(name):
    """
    It can be run from there.
    """
    study = kept(name)

    assert study.plan().text == "text.txt"
    assert (STUDIES / "plans" / "text.txt").read_bytes() == study.files["text.txt"]


@pytest.mark.parametrize("name", sorted(TEXTLESS))
def test_a_study_that_looks_at_no_text_keeps_none(name):
    study = kept(name)

    assert study.plan().text == ""
    assert "text.txt" not in study.files


def test_a_report_has_the_figures_of_the_findings(tmp_path, capsys):
    """
    Facts: replay 38 %, flat 28, phases 20, cycle 8, dream 3.
    """
    write_report(STUDIES / f"facts{SUFFIX}", None, tmp_path)

    [scores] = [
        section["tables"][0]["rows"]
        for section in json.loads((tmp_path / "report.json").read_text())["sections"]
        if section["title"] == "Scores"
    ]
    assert {row["arm"]: row["facts"]["text"] for row in scores} == {
        "base": "0.0",
        "flat": "27.5",
        "phases": "20.0",
        "dream": "2.5",
        "replay": "37.5",
        "cycle": "7.5",
    }


def test_what_is_left_of_common_knowledge_is_as_the_findings_say():
    """
    Of 63 questions, with seeds 42, 43 and 44; the base answers 52 each time.
    """
    left = {}
    for one in kept("smollm2").outcomes():
        found = one.general["common knowledge"]
        assert round(found["before"] * 63) == 52
        left.setdefault(one.arm, []).append(round(found["after"] * 63))

    assert left == {
        "base": [52, 52, 52],
        "flat": [31, 31, 33],
        "phases": [25, 16, 8],
        "dream": [17, 21, 6],
        "replay": [32, 23, 28],
        "replay + fold + bank": [49, 48, 47],
    }


@pytest.mark.parametrize("page", ["README.md", "findings.md"])
def test_a_link_of_the_pages_leads_somewhere(page):
    text = (STUDIES / page).read_text(encoding="utf-8")

    assert not [link for link in LINK.findall(text) if not (STUDIES / link).exists()]


def test_what_is_kept_packs_to_the_same_files(tmp_path):
    """
    Nothing is lost from a folder to its file and back.
    """
    before = kept("code").files
    for name, data in before.items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_bytes(data)

    pack(tmp_path / "code", tmp_path / "code.tar.xz")

    assert read_packed(tmp_path / "code.tar.xz").files == before
