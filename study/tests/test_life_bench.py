"""Lives in one process or in several, each a line of the file as it ends."""

from dataclasses import dataclass, replace

import pytest
from memory_results import RUN, result

from sleepcycle.errors import DivergedError, ModelError
from sleepcycle_study.memory.life_bench import LifeBench, live_all
from sleepcycle_study.memory.records import Result, read

TINY = replace(RUN, stream="chat", arm="sequential", lessons=1, examples=8, questions=2)


@pytest.fixture
def bench(tmp_path):
    """The chat stream with the built-in base."""
    return LifeBench(
        stream="chat",
        data=None,
        out=tmp_path / "lives.jsonl",
        base="builtin:nano",
        device="cpu",
        threads=1,
    )


@dataclass(frozen=True)
class Unlucky(LifeBench):
    """A bench on which lives of seed 0 diverge."""

    def make(self, base, job):
        """Return a made-up result, or diverge."""
        if job.seed == 0:
            raise DivergedError("the loss is nan")
        return result(job.arm, 0.5, seed=job.seed)


def timeless(found):
    """Return a life without how long it took."""
    cost = replace(found.cost, wake_seconds=[], night_seconds=[])
    return replace(found, seconds=0.0, cost=cost)


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_lives_side_by_side_are_those_of_one_process(bench, tmp_path):
    wanted = [TINY, replace(TINY, order=1, seed=1)]
    alone = replace(bench, out=tmp_path / "alone.jsonl")
    expected = {run: timeless(came) for run, came in live_all(alone, wanted, 1)}

    found = {run: timeless(came) for run, came in live_all(bench, wanted, 2)}

    assert found == expected
    assert {one.run: timeless(one) for one in read(bench.out)} == expected


def test_each_life_is_in_the_file_before_the_next(bench):
    lucky = Unlucky(**vars(bench))
    wanted = [replace(TINY, seed=seed) for seed in (1, 2)]

    counts = [len(read(bench.out)) for _ in live_all(lucky, wanted, 1)]

    assert counts == [1, 2]


def test_a_life_that_diverges_ends_no_other(bench):
    unlucky = Unlucky(**vars(bench))
    wanted = [replace(TINY, seed=seed) for seed in (0, 1)]

    (_, first), (_, second) = live_all(unlucky, wanted, 1)

    assert isinstance(first, DivergedError)
    assert isinstance(second, Result)
    assert [one.run.seed for one in read(bench.out)] == [1]


def test_no_base_is_loaded_where_nothing_is_left(bench):
    absent = replace(bench, base="nowhere")

    assert list(live_all(absent, [], 2)) == []


def test_a_base_that_is_not_here_is_said_once_for_all_processes(bench):
    absent = replace(bench, base="nowhere")

    with pytest.raises(ModelError, match="expected nowhere to be a causal language"):
        list(live_all(absent, [TINY, replace(TINY, seed=1)], 2))
