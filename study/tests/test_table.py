"""The table of the benchmark of forgetting."""

from dataclasses import replace

from memory_results import result

from sleepcycle_study.experiment.common_knowledge import Knowledge
from sleepcycle_study.memory import methods, table


def test_differences_pair_runs_of_one_order_and_seed():
    """
    Means differ by 10 points with a spread of 0, though runs vary by 20.
    """
    rows = [
        result("store", 0.5, seed=0),
        result("store", 0.7, seed=1),
        result("joint", 0.6, seed=0),
        result("joint", 0.8, seed=1),
        result("joint", 0.1, seed=2),
    ]

    line = list(table.table(rows))[2]

    assert line.startswith("| joint | 3 | 50.0 ± 36.1 | 10.0 ± 0.0 |")


def test_intransigence_is_what_teaching_in_turn_cost():
    """
    Together 70 and 70 %; in turn 100 and 20 % right after each lesson.
    """
    joint = replace(result("joint", 0.7), matrix=[[0.7, 0.7]])

    lines = list(table.table([result("store", 0.2), joint]))

    columns = [cell.strip() for cell in lines[0].split("|")]
    found = [line.split("|")[columns.index("intransigence")] for line in lines[2:]]
    assert [cell.strip() for cell in found] == ["-", "10.0"]


def test_arms_of_other_times_come_last():
    rows = [result("gone", 0.1), result("store", 0.5), result("joint", 0.7)]

    lines = list(table.table(rows))[2:]

    assert [line.split(" | ")[0] for line in lines] == [
        "| joint",
        "| store",
        "| gone",
    ]


def test_the_share_of_nights_accepted_is_over_all_runs():
    """
    Two of three nights; no share where there was no night.
    """
    rows = [
        result("store", 0.5),
        result("store", 0.5, seed=1),
        result("joint", 0.7),
    ]
    rows[0].cost.accepted.extend([True, False])
    rows[1].cost.accepted.extend([True])

    header, _, joint, store = table.table(rows)

    assert header.endswith("| nights accepted, % |")
    assert (joint[-5:], store[-6:]) == ("| - |", "| 67 |")


def test_a_table_line_has_every_column():
    header, _, line = table.table([result("store", 0.5)])

    assert line.count("|") == header.count("|")


def test_what_was_named_beforehand_is_compared_by_pairs():
    """
    Ten points in each pair, whatever else varies; the third has no other side.
    """
    ours, theirs = methods.PRIMARY
    rows = [
        result(ours, 0.6, order=0, seed=0),
        result(ours, 0.9, order=1, seed=1),
        result(theirs, 0.5, order=0, seed=0),
        result(theirs, 0.8, order=1, seed=1),
        result(ours, 0.1, order=2, seed=2),
    ]

    [line] = table.primary(rows)

    assert f"{ours} less {theirs}: +10.0 [10.0, 10.0] points" in line
    assert line.endswith("2 of 8 pairs")


def test_nothing_is_compared_where_a_side_is_missing():
    assert list(table.primary([result(methods.PRIMARY[0], 0.5)])) == []


def test_common_knowledge_is_what_the_last_day_left():
    """
    Two lives: of half of all questions a quarter and three quarters are left.
    """
    rows = [
        replace(
            result("store", 0.5, seed=seed),
            common=[Knowledge(right=0.5, kept=1.0), Knowledge(right=0.2, kept=kept)],
        )
        for seed, kept in enumerate((0.25, 0.75))
    ]

    header, _, line = table.table(rows)

    cells = dict(zip(header.split(" | "), line.split(" | "), strict=True))
    assert cells["known at first, %"] == "50.0 ± 0.0"
    assert cells["known, %"] == "20.0 ± 0.0"
    assert cells["left, %"] == "40.0 ± 0.0"
    assert cells["kept, %"] == "50.0 ± 35.4"


def test_the_drift_from_the_base_is_that_of_the_last_day():
    """
    Lives of earlier times, which did not measure it, count for nothing.
    """
    rows = [
        replace(result("store", 0.5), drift=[0.1, 0.25]),
        replace(result("store", 0.5, seed=1), drift=[0.9, 0.75]),
        result("store", 0.5, seed=2),
        result("joint", 0.5),
    ]

    header, _, joint, store = table.table(rows)

    column = header.split(" | ").index("KL to the base, nats")
    assert joint.split(" | ")[column] == "-"
    assert store.split(" | ")[column] == "0.500 ± 0.354"
