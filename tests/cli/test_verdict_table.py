"""What a verdict looks like on a terminal, also an old or an odd one."""

import dataclasses
import json
import math

import pytest

from sleepcycle.cli.verdict_table import (
    MAX_BATCHES,
    show_measures,
    show_plan,
    verdict_json,
)
from sleepcycle.cli.version_tables import show_card
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.overrides import RetryPlan
from sleepcycle.records.reports import SleepReport
from sleepcycle.records.verdict import (
    BatchScore,
    CheckMove,
    Drift,
    Exact,
    Kept,
    Loss,
    Mending,
    Verdict,
)

LOSS = Loss(live=2.0, candidate=1.5, examples=4, tokens=40)
SCORES = (
    BatchScore(1, True, LOSS, Exact(1.0, 0.75, 4)),
    BatchScore(2, False, LOSS, None),
)


def verdict(**measured):
    """Return a verdict that measured nothing else."""
    measured = {"retention": None, "acquisition": None, **measured}
    return Verdict(True, "because", finite=True, **measured)


def shown_measures(found, capsys):
    """Return the lines of what is printed, single-spaced."""
    show_measures(found)
    lines = capsys.readouterr().out.splitlines()
    return [" ".join(line.split()) for line in lines]


def test_each_measure_has_its_row(capsys):
    found = verdict(
        general=LOSS,
        drift=Drift(0.0, 0.125, 40),
        exact_known=Exact(1.0, 0.75, 4),
        learned_bits=1234.5,
    )

    assert shown_measures(found, capsys) == [
        "measure live candidate measured on",
        "loss, dreams of the base 2 1.5 4 examples",
        "exact, known batches 100% 75% 4 prompts",
        "KL to the base 0 0.125 40 tokens",
        "1,234 bits of today's held-out learned",
    ]


def test_what_must_be_kept_has_rows_beside_the_median(capsys):
    found = verdict(
        retention=Loss(2.0, 1.5, 4, 40, median_rise=0.25),
        agreement=Kept(1.0, 0.875, 64),
        anchors=Kept(0.5, 1.0, 8, base=0.25),
    )

    assert shown_measures(found, capsys)[1:] == [
        "loss, known batches 2 1.5 4 examples, median rise +0.250",
        "answers of the base kept 100% 88% 64 prompts",
        "anchors right 50% 100% 8 prompts",
    ]


@pytest.mark.parametrize(
    ("kept", "row"),
    [
        (Kept(0.5, 1.0, 8, unasked=2), "50% 100% 8 of 10 prompts;"),
        (Kept(0.0, 0.0, 0, base=0.0, unasked=1), "- - 0 of 1 prompt;"),
    ],
)
def test_anchors_that_were_not_asked_are_told(capsys, kept, row):
    shown = shown_measures(verdict(anchors=kept), capsys)

    assert shown[-1] == f"anchors right {row} see: sleepcycle doctor"


MENDED = Mending(
    weight=0.25,
    tried=(0.5, 0.25),
    refusal="too far",
    failed=("drift",),
    moves=(CheckMove("drift", whole=3.0, weakened=1.25, bound=2.0),),
)


def test_a_mended_verdict_says_how_each_check_moved(capsys):
    lines = shown_measures(verdict(mending=MENDED), capsys)

    assert lines == [
        "weakened towards live, to 0.5, 0.25: 0.25 met the gate",
        "check whole weakened bound",
        "drift 3 1.25 2",
    ]
    assert verdict_json(verdict(mending=MENDED))["mending"]["weight"] == 0.25


def test_a_mending_in_vain_is_told_too(capsys):
    found = verdict(mending=dataclasses.replace(MENDED, weight=None))

    assert ": none met the gate" in shown_measures(found, capsys)[0]


def test_batches_have_a_table(capsys):
    lines = shown_measures(verdict(batches=SCORES), capsys)

    assert lines[-2:] == [
        "1 known 2.000 to 1.500 100% to 75% 4 40",
        "2 today 2.000 to 1.500 - 4 40",
    ]


def test_one_batch_is_the_whole_and_many_are_too_many(capsys):
    many = [BatchScore(n, True, LOSS, None) for n in range(MAX_BATCHES + 1)]

    assert shown_measures(verdict(batches=SCORES[:1]), capsys) == []
    assert shown_measures(verdict(batches=tuple(many)), capsys) == []
    assert len(shown_measures(verdict(batches=tuple(many[1:])), capsys)) == 21


@pytest.mark.parametrize(
    ("share", "rank", "changes"),
    [
        (1.0, 32, "REM for up to 100% of the day's compute, rank 32"),
        pytest.param(None, 32, "rank 32", id="a night without REM"),
        pytest.param(
            1.0, None, "REM for up to 100% of the day's compute", id="no fold"
        ),
    ],
)
def test_a_plan_says_why_and_what_it_changes(share, rank, changes, capsys):
    show_plan(RetryPlan(rejected=2, max_share_of_wake=share, rank=rank))

    said = " ".join(capsys.readouterr().out.split())
    assert said == (
        "2 nights before it were rejected, so this one was planned gentler: " + changes
    )


def test_a_plan_as_the_settings_say_needs_no_words(capsys):
    show_plan(None)

    assert capsys.readouterr().out == ""


def test_a_verdict_comes_back_from_its_card():
    found = verdict(
        batches=SCORES,
        drift=Drift(0.0, math.inf, 4),
        learned_bits=8.0,
        failed=("drift",),
        agreement=Kept(1.0, 0.5, 16),
        mending=MENDED,
    )

    back = from_json(to_json(found), Verdict)

    assert back.batches == SCORES
    assert back.failed == ("drift",)
    assert (back.agreement, back.mending) == (found.agreement, MENDED)
    assert math.isnan(back.drift.candidate)


OLD = {
    "accepted": True,
    "reason": "because",
    "retention": None,
    "acquisition": {"live": 2.0, "candidate": 1.0, "examples": 4, "tokens": 40},
    "finite": True,
    "general": None,
}


def test_an_old_report_is_read():
    """
    Its verdict knows of losses alone, and nothing of plans.
    """
    text = json.dumps({"seconds": 1.0, "rank": 4, "kept_energy": 1.0, "verdict": OLD})

    report = from_json(text, SleepReport)

    assert (report.gentler, report.verdict.drift, report.verdict.batches) == (
        None,
        None,
        (),
    )
    assert verdict_json(report.verdict)["drift"] is None


def test_an_old_card_is_shown(capsys):
    card = {
        "number": 2,
        "kind": "sleep",
        "parents": [0, 1],
        "accepted": True,
        "rank": 4,
        "created_at": "2026-01-01T00:00:00+00:00",
        "base": {"id": "builtin:nano", "sha256": "ab"},
        "batches": {},
        "run": 2,
        "seed": 1,
        "origin": None,
        "report": {"verdict": OLD},
    }

    show_card(card, as_json=False)

    said = capsys.readouterr().out
    assert "loss, today's batches" in said
    assert "gentler" not in said
