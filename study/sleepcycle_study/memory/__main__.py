"""Live through lessons in every way that is asked for, and print the table.

    python -m sleepcycle_study.memory --arms store archive --orders 3 --out FILE

Every arm gets the same lessons, in the same order, and is shown the same number of
examples a day. REM trains up to half as much again as the wake before it: the arms
"half more" are shown that much more by day, so that budgets are equal with nights too.
Each finished run is a line of FILE and is not run again; files of
several machines are joined by putting one after the other.

    python -m sleepcycle_study.memory --stream chat --lives 8 --jobs 8 --data FOLDER

lives through the chat stream, each arm with eight orders and a seed of its own each,
eight of them at a time.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

from sleepcycle.errors import DivergedError, SleepcycleError
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment.workbench import share_of_threads
from sleepcycle_study.memory.fading import fading
from sleepcycle_study.memory.life_bench import LifeBench, live_all
from sleepcycle_study.memory.methods import METHODS, THROUGHOUT
from sleepcycle_study.memory.plot import draw_all
from sleepcycle_study.memory.records import LifetimeRun, Result, read
from sleepcycle_study.memory.streams import STREAMS, Stream
from sleepcycle_study.memory.table import primary, table

Numbers = Iterable[int]


def main(words: list[str] | None = None) -> int:
    """Run what is not in the file yet, and print the table.

    Returns:
        How many lives were lived.
    """
    chosen = _parser().parse_args(words)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    jobs = chosen.jobs
    bench = LifeBench(
        stream=chosen.stream,
        data=chosen.data,
        out=chosen.out,
        base=chosen.base,
        device=chosen.device,
        threads=share_of_threads(jobs) if jobs > 1 else 0,
    )
    wanted = _wanted(chosen, bench.open_stream())
    done = {result.run for result in read(chosen.out)}
    diverged = _live([run for run in wanted if run not in done], bench, jobs)
    kept = read(chosen.out)
    alike = [found for found in kept if _alike(found.run, wanted[0])]
    print("\n".join([*table(alike), *primary(alike), *fading(alike)]))
    if chosen.plots:
        draw_all(alike, chosen.plots)
    if diverged:
        raise StudyError(f"expected every life to end, got these: {diverged}")
    return len({result.run for result in kept} - done)


def _live(left: list[LifetimeRun], bench: LifeBench, jobs: int) -> str:
    """Live what is left, and print each life as it ends; return which diverged."""
    diverged = []
    for number, (run, came) in enumerate(live_all(bench, left, jobs), 1):
        name = f"{run.arm}, order {run.order}, seed {run.seed}"
        if isinstance(came, DivergedError):
            diverged.append(f"{name}: {came}")
        print(f"[{number}/{len(left)}] {name}: {_summary(came)}", file=sys.stderr)
    return "; ".join(diverged)


def _summary(came: Result | DivergedError) -> str:
    """Return what came of a life, in words."""
    if isinstance(came, DivergedError):
        return f"diverged: {came}"
    return f"{came.acc:.1%} right in {came.seconds:.0f} s"


def _parser() -> argparse.ArgumentParser:
    """Return what reads the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sleepcycle_study.memory", description=__doc__
    )
    parser.add_argument(
        "--arms", nargs="+", choices=list(METHODS), help="The stream's, if not said."
    )
    parser.add_argument("--orders", type=_positive, default=3)
    parser.add_argument("--only-order", type=int, help="Run this order alone.")
    parser.add_argument("--seeds", type=_positive, default=3)
    parser.add_argument("--only-seed", type=int, help="Run this seed alone.")
    parser.add_argument(
        "--whole",
        action="store_true",
        help="Every order with every seed for every arm; if not, most arms get each "
        "order with the seed of its number alone.",
    )
    parser.add_argument(
        "--lives",
        type=_positive,
        help="In place of these: so many orders, each with the seed of its number, for "
        "every arm.",
    )
    parser.add_argument("--lessons", type=_positive, help="Of the stream, if not all.")
    parser.add_argument(
        "--examples", type=_positive, help="Shown on a day, if not the stream's."
    )
    parser.add_argument(
        "--questions", type=_positive, default=0, help="Of each lesson, if not all."
    )
    parser.add_argument("--stream", choices=list(STREAMS), default="lessons")
    parser.add_argument(
        "--data",
        type=Path,
        help="Folder of real models and data, for --stream text; --stream chat has "
        "fewer lessons without it.",
    )
    parser.add_argument("--base", default="", help="In place of the stream's own.")
    parser.add_argument("--out", type=Path, default=Path("memory.jsonl"))
    parser.add_argument(
        "--jobs", type=_positive, default=1, help="Lives at a time, each in a process."
    )
    parser.add_argument("--plots", type=Path, help="Draw to this folder.")
    parser.add_argument("--device", default="auto")
    return parser


def _positive(word: str) -> int:
    """Return a count of at least one.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {word!r}")
    return int(word)


def _wanted(chosen: argparse.Namespace, stream: Stream) -> list[LifetimeRun]:
    """Return all runs that are asked for, the arms of one order and seed together."""
    arms = chosen.arms or stream.arms
    return [
        LifetimeRun(
            arm,
            order,
            seed,
            chosen.lessons or stream.lessons,
            chosen.stream,
            chosen.examples or stream.examples,
            chosen.base,
            chosen.questions,
        )
        for seed, order, arm in product(*_seeds_and_orders(chosen), arms)
        if order == seed or _is_lived_throughout(arm, chosen)
    ]


def _seeds_and_orders(chosen: argparse.Namespace) -> tuple[Numbers, Numbers]:
    """Return which seeds and which orders are asked for."""
    if chosen.lives:
        return range(chosen.lives), range(chosen.lives)
    seeds, orders = (
        range(count) if only is None else [only]
        for count, only in (
            (chosen.seeds, chosen.only_seed),
            (chosen.orders, chosen.only_order),
        )
    )
    return seeds, orders


def _is_lived_throughout(arm: str, chosen: argparse.Namespace) -> bool:
    """Return whether an arm is lived with an order and another's seed too."""
    if chosen.lives:
        return False
    is_one = (chosen.only_order, chosen.only_seed) != (None, None)
    return arm in THROUGHOUT or chosen.whole or is_one


def _alike(run: LifetimeRun, other: LifetimeRun) -> bool:
    """Return whether two runs may stand in one table."""
    return replace(run, arm=other.arm, order=other.order, seed=other.seed) == other


if __name__ == "__main__":
    try:
        main()
    except SleepcycleError as error:
        sys.exit(f"sleepcycle: {error}")
