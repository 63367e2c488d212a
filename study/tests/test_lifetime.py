"""Lives through two lessons: every way to live runs, and is comparable."""

from dataclasses import replace

import pytest
from memory_results import RUN

from sleepcycle_study.memory.lifetime import live
from sleepcycle_study.memory.streams import STREAMS

pytestmark = pytest.mark.slow

SLICE = ("store", "archive", "joint", "O-LoRA", "EWC", "LAMOL")


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """The invented lessons, three questions of each."""
    whole = STREAMS["lessons"](tmp_path_factory.getbasetemp())

    def draw(seed, count):
        """Cut lessons short."""
        return [
            replace(x, rows=x.rows[:40], questions=x.questions[:3])
            for x in whole.draw(seed, count)
        ]

    return replace(whole, draw=draw, dream_tokens=32)


@pytest.fixture(scope="module")
def lived(base, stream):
    """One life in every way of the slice."""
    return {arm: live(base, stream, replace(RUN, arm=arm)) for arm in SLICE}


def test_matrices_have_a_row_a_day_and_a_column_a_lesson(lived):
    shapes = {arm: [len(row) for row in found.matrix] for arm, found in lived.items()}

    assert shapes.pop("joint") == [2]
    assert set(map(tuple, shapes.values())) == {(2, 2)}


def test_rank_is_bounded_but_where_each_lesson_has_its_adapter(lived):
    ranks = {arm: found.rank for arm, found in lived.items()}

    assert ranks.pop("O-LoRA") == 32
    assert set(ranks.values()) == {16}


def test_every_day_trains_as_long(lived):
    """
    Steps are equal, examples differ a little in length; nights come on top.
    """
    days = [lived[arm].cost.trained for arm in ("joint", "O-LoRA", "LAMOL")]

    assert max(days) < 1.3 * min(days)


def test_drift_from_the_base_is_measured_after_each_day(lived):
    for arm, found in lived.items():
        assert len(found.drift) == len(found.matrix), arm
        assert min(found.drift) > 0, arm


def test_costs_are_booked_where_they_arise(lived):
    assert lived["O-LoRA"].cost.read == 0
    assert lived["archive"].cost.read > 0
    assert len(lived["archive"].cost.night_seconds) == 2
    assert len(lived["archive"].cost.accepted) == 2
    assert len(lived["LAMOL"].cost.wake_seconds) == 2


def test_a_life_on_a_used_base_is_the_same(base, stream, lived):
    """
    Whatever lived on it before leaves nothing on the base.
    """
    again = live(base, stream, replace(RUN, arm="store"))

    assert again.matrix == lived["store"].matrix
    assert again.cost.trained == lived["store"].cost.trained
    assert not any(getattr(part, "lora_A", ()) for part in base.model.modules())


def test_common_knowledge_is_asked_before_the_first_day_and_after_each(base):
    chat = STREAMS["chat"](None)

    found = live(base, chat, replace(RUN, stream="chat", questions=2))

    assert len(found.common) == 3
    assert found.common[0].kept == 1.0
    assert {score for row in found.matrix for score in row} <= {0.0, 0.5, 1.0}
