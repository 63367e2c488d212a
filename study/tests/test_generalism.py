"""The table of general tasks, with those of the harness among them."""

import json
from dataclasses import replace

from sleepcycle_study.experiment.results import StudyRun
from sleepcycle_study.report.generalism import general_table
from sleepcycle_study.report.report import report

RUN = StudyRun(
    study="mine",
    arm="dream",
    seed=1,
    base="b",
    domain="logic",
    tokens_trained=1,
    tokens_read=1,
    seconds=1.0,
    rank=8,
    general={
        "copying": {"before": 0.5, "after": 0.25},
        "text, nats a token": {"before": 2.0, "after": 2.25},
        "harness: words, acc ↑": {"before": 0.5, "after": 0.625},
        "harness: words, perplexity ↓": {"before": 40.0, "after": 30.5},
        "harness: words, odd": {"before": None, "after": None},
    },
)


def shown(*runs):
    """Return a table's cells as text, by task."""
    rows = general_table({"dream": runs}).rows
    return {row.cells[1].text: [cell.text for cell in row.cells[2:]] for row in rows}


def test_each_kind_of_task_is_in_its_own_unit():
    assert shown(RUN) == {
        "copying": ["50.0", "25.0", "-25.0"],
        "text, nats a token": ["2.00", "2.25", "0.25"],
        "harness: words, acc ↑": ["0.5000", "0.6250", "0.1250"],
        "harness: words, perplexity ↓": ["40.0000", "30.5000", "-9.5000"],
        "harness: words, odd": ["-", "-", "-"],
    }


def test_seeds_are_means_with_their_spread():
    general = {"harness: words, acc ↑": {"before": 0.5, "after": 0.875}}
    other = replace(RUN, seed=2, general=general)

    assert shown(RUN, other)["harness: words, acc ↑"] == [
        "0.5000 ± 0.0000",
        "0.7500 ± 0.1768",
        "0.2500 ± 0.1768",
    ]


def test_the_note_speaks_of_the_harness_where_it_was_run():
    bare = replace(RUN, general={"copying": {"before": 0.5, "after": 0.25}})

    assert "↑ the higher the better" in general_table({"dream": [RUN]}).note
    assert "harness" not in general_table({"dream": [bare], "flat": []}).note


def test_page_markdown_and_json_have_the_metric(tmp_path):
    report([RUN], "Mine", tmp_path)

    for suffix in ("html", "md"):
        words = (tmp_path / f"report.{suffix}").read_text()
        assert "words, perplexity ↓" in words
        assert "-9.5000" in words
    sections = json.loads((tmp_path / "report.json").read_text())["sections"]
    (section,) = (one for one in sections if one["title"] == "Generalism")
    rows = {row["task"]: row for row in section["tables"][0]["rows"]}
    assert rows["harness: words, acc ↑"]["change"]["mean"] == 0.125
