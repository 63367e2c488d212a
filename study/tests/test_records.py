"""The lines in which lives are kept."""

from dataclasses import replace

import pytest
from memory_results import result

from sleepcycle_study.experiment.common_knowledge import Knowledge
from sleepcycle_study.memory import records
from sleepcycle_study.memory.day import Cost


def test_a_result_is_read_as_it_was_written(tmp_path):
    file = tmp_path / "found.jsonl"
    asked = [Knowledge(right=0.5, kept=1.0), Knowledge(right=0.25, kept=None)]
    joint = replace(result("joint", 0.7), common=asked, drift=[0.25])
    written = [result("store", 0.5), joint]

    for one in written:
        records.append(file, one)

    assert records.read(file) == written


@pytest.mark.parametrize("length", [1, 40, -2])
def test_a_line_cut_short_is_no_result_and_spoils_none(tmp_path, length):
    """
    As by a kill in mid-write: its life is lived again, and read beside the others.
    """
    file = tmp_path / "found.jsonl"
    written = [result("store", 0.5), result("joint", 0.7)]
    for one in written:
        records.append(file, one)
    first, second = file.read_text().splitlines(keepends=True)
    file.write_text(first + second[:length])

    assert records.read(file) == written[:1]
    records.append(file, written[1])
    assert records.read(file) == written


def test_a_line_of_version_0_1_0_is_read(tmp_path):
    """
    As it was written on 2026-11-30; what was not booked yet is empty.
    """
    file = tmp_path / "found.jsonl"
    file.write_text(
        '{"run": {"arm": "joint", "order": 1, "seed": 0, "lessons": 2, '
        '"stream": "text", "examples": 48}, "names": ["RTE", "QQP"], '
        '"base": [0.0, 0.05], "matrix": [[0.5, 1.0]], "acc": 0.75, "rank": 16, '
        '"stories": [1.5, 1.25], "cost": {"trained": 2210, "read": 0, '
        '"wake_seconds": [9.5], "night_seconds": [], "night_cost": []}, '
        '"seconds": 21.5}\n'
    )

    assert records.read(file) == [
        records.Result(
            run=records.LifetimeRun("joint", 1, 0, 2, "text", 48),
            names=["RTE", "QQP"],
            base=[0.0, 0.05],
            matrix=[[0.5, 1.0]],
            acc=0.75,
            rank=16,
            stories=[1.5, 1.25],
            cost=Cost(trained=2210, wake_seconds=[9.5]),
            seconds=21.5,
        )
    ]
