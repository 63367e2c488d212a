"""Made-up results of the benchmark of forgetting."""

from dataclasses import replace

from sleepcycle_study.memory.day import Cost
from sleepcycle_study.memory.records import LifetimeRun, Result

RUN = LifetimeRun("store", 0, 0, lessons=2, stream="lessons", examples=24)


def result(arm, acc, order=0, seed=0):
    """Return a made-up result."""
    return Result(
        run=replace(RUN, arm=arm, order=order, seed=seed),
        names=["a", "b"],
        base=[0.0, 0.0],
        matrix=[[1.0, 0.0], [acc, acc]],
        acc=acc,
        rank=16,
        stories=None,
        cost=Cost(trained=2000, read=1000, wake_seconds=[1.0, 2.0]),
        seconds=4.0,
    )
