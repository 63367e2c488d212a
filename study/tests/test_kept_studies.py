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
    "wake_sleep": 33,
}
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
    """
    It can be run from there: the text that it names lies beside it.
    """
    files = kept(name).files

    assert (STUDIES / "plans" / f"{name}.toml").read_bytes() == files["plan.toml"]
    assert (STUDIES / "plans" / "text.txt").read_bytes() == files["text.txt"]


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
