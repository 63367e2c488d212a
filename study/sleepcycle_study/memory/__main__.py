"""Live through lessons in every way that is asked for, and print the table.

    python -m sleepcycle_study.memory --arms store archive --orders 3 --out FILE

Every arm gets the same lessons, in the same order, and is shown the same number of
examples a day. REM trains up to half as much again as the wake before it: the arms
"half more" are shown that much more by day, so that budgets are equal with nights too.
Each finished run is a line of FILE and is not run again; files of
several machines are joined by putting one after the other.
"""

import argparse
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

from sleepcycle.errors import SleepcycleError
from sleepcycle.model.base import load_base, pick_device
from sleepcycle_study.memory.lifetime import live
from sleepcycle_study.memory.methods import COMPARED, METHODS, THROUGHOUT
from sleepcycle_study.memory.plot import draw_all
from sleepcycle_study.memory.records import LifetimeRun, append, read
from sleepcycle_study.memory.streams import STREAMS, Stream
from sleepcycle_study.memory.table import table

EXAMPLES = 1_280  # shown on a day, replayed ones included


def main(words: list[str] | None = None) -> int:
    """Run what is not in the file yet, and print the table.

    Returns:
        How many lives were lived.
    """
    chosen = _parser().parse_args(words)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    stream = STREAMS[chosen.stream](chosen.data)
    wanted = _wanted(chosen, chosen.lessons or stream.lessons)
    lived = _live_all(stream, wanted, chosen)
    alike = [found for found in read(chosen.out) if _alike(found.run, wanted[0])]
    print("\n".join(table(alike)))
    if chosen.plots:
        draw_all(alike, chosen.plots)
    return lived


def _live_all(
    stream: Stream, wanted: list[LifetimeRun], chosen: argparse.Namespace
) -> int:
    """Live every life that is not in the file yet, on one base; return how many."""
    done = {result.run for result in read(chosen.out)}
    left = [run for run in wanted if run not in done]
    if not left:
        return 0
    device, cache = pick_device(chosen.device), chosen.out.parent / "cache"
    base = load_base(stream.model, device=device, cache=cache)
    for run in left:
        append(chosen.out, live(base, stream, run))
    return len(left)


def _parser() -> argparse.ArgumentParser:
    """Return what reads the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sleepcycle_study.memory", description=__doc__
    )
    parser.add_argument(
        "--arms", nargs="+", default=list(COMPARED), choices=list(METHODS)
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
    parser.add_argument("--lessons", type=_positive, help="Of the stream, if not all.")
    parser.add_argument(
        "--examples", type=_positive, default=EXAMPLES, help="Shown on a day."
    )
    parser.add_argument("--stream", choices=list(STREAMS), default="lessons")
    parser.add_argument("--data", type=Path, help="Folder of what --stream text reads.")
    parser.add_argument("--out", type=Path, default=Path("memory.jsonl"))
    parser.add_argument("--plots", type=Path, help="Draw matrices to this folder.")
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


def _wanted(chosen: argparse.Namespace, lessons: int) -> list[LifetimeRun]:
    """Return all runs that are asked for, the arms of one order and seed together."""
    orders, seeds = (
        range(count) if only is None else [only]
        for count, only in (
            (chosen.orders, chosen.only_order),
            (chosen.seeds, chosen.only_seed),
        )
    )
    return [
        LifetimeRun(arm, order, seed, lessons, chosen.stream, chosen.examples)
        for seed, order, arm in product(seeds, orders, chosen.arms)
        if order == seed or arm in THROUGHOUT or chosen.whole or _is_one(chosen)
    ]


def _is_one(chosen: argparse.Namespace) -> bool:
    """Return whether one order or one seed was asked for."""
    return (chosen.only_order, chosen.only_seed) != (None, None)


def _alike(run: LifetimeRun, other: LifetimeRun) -> bool:
    """Return whether two runs may stand in one table."""
    return replace(run, arm=other.arm, order=other.order, seed=other.seed) == other


if __name__ == "__main__":
    try:
        main()
    except SleepcycleError as error:
        sys.exit(f"sleepcycle: {error}")
