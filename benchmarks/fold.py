"""What a fold keeps, and what downscaling costs: one trained adapter, many ways.

    python -m benchmarks.fold [--seed 0]

Two lessons are learned in turn, without a night between them, and their adapter is
folded in each way; losses are nats per token, held out of both and of base's dreams.
"""

import argparse
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sleepcycle.learning import wake
from sleepcycle.learning.bank import Bank
from sleepcycle.learning.downscaling import damp, shrink
from sleepcycle.learning.fold import fold_adapter
from sleepcycle.model import adapters, score
from sleepcycle.model.base import Base, load_base
from sleepcycle.model.encode import Encoded, encode_all
from sleepcycle.model.moments import moments
from sleepcycle.numerics.lowrank import LayerChanges, LowRank, Moments
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.settings import config
from sleepcycle.settings.choices import Downscaling, RankPolicy
from sleepcycle_study.memory.lessons import TaughtLesson, lessons

STEPS = 80  # a day
PROBE = 64  # dreams of the bare base
SHARES = 10_000  # of energy, among which that as large as `fixed` is sought
WAYS = [("none", 1.0), ("uniform", 0.9), ("uniform", 0.7)]
WAYS += [("intruders", 0.75), ("intruders", 0.5), ("intruders", 0.0)]


@dataclass(frozen=True, eq=False)
class Day:
    """What was learned, and what it is measured on."""

    base: Base
    change: LayerChanges
    moments: Moments
    parts: Mapping[str, Sequence[Encoded]]
    """What is measured, by its name."""

    def fold(self, seen: Moments | None, **svd: object) -> LayerChanges:
        """Fold the change, its directions weighed by what layers read if it is said."""
        settings = config.SleepSettings(svd=config.SvdSettings.model_validate(svd))
        return fold_adapter(self.change, settings, seen).change

    def print_row(self, *cells: object, change: LayerChanges) -> None:
        """Print a row that ends with the loss of each part, in nats per token."""
        parts = self.parts.values()
        with adapters.attached(self.base, "measured", change):
            sums = [score.nll(self.base, part) for part in parts]
        losses = [f"{nats / tokens:.3f}" for nats, tokens in sums]
        print("|", " | ".join([*map(str, cells), *losses]), "|")


def live_through(fresh: Callable[[], Base], seed: int) -> Day:
    """Learn two lessons, and prepare what measures them."""
    taught = [x for x in lessons(seed) if x.name in {"capitals", "dates"}]
    settings = config.WakeSettings(min_steps=STEPS, max_steps=STEPS, patience=0)
    change: LayerChanges = {}
    known: list[Example] = []
    for lesson in taught:
        new, morning = _examples(lesson.rows), wake.WakeStart(change, {})
        shown = wake.Lesson(new, known, _examples(lesson.held_out), [])
        learn = partial(wake.learn, seed=seed, on_progress=ignore_progress)
        change, _ = learn(fresh(), morning, shown, settings)
        known = new
    return _measured(fresh(), change, taught)


def _measured(base: Base, change: LayerChanges, taught: list[TaughtLesson]) -> Day:
    """Prepare what measures two lessons, none of which was learned from."""
    read = [e for lesson in taught for e in _encode(base, lesson.rows[:128])]
    with adapters.on_base(base, {"read": change}):
        seen = moments(base, "read", read)
    parts = {x.name: _encode(base, (*x.held_out, *x.questions)) for x in taught}
    dreams = Bank(base, config.BankSettings()).held_out(PROBE)
    parts["dreams"] = encode_all(dreams, base, prompt_weight=1)
    return Day(base, change, seen, parts)


def _examples(rows: Sequence[Completion]) -> list[Example]:
    """Number rows as the store does."""
    return [Example(number, 1, row) for number, row in enumerate(rows)]


def _encode(base: Base, rows: Sequence[Completion]) -> list[Encoded]:
    """Encode rows as they are measured: by their answers alone."""
    return encode_all(rows, base, prompt_weight=0)


def print_downscaling(day: Day) -> None:
    """Print what each way of downscaling leaves, folded to the default rank."""
    zero = {name: LowRank.zero(layer.shape) for name, layer in day.change.items()}
    day.print_row("bare base", "-", change=zero)
    day.print_row("not folded", "-", change=day.change)
    for kind, factor in WAYS:
        chosen = config.DownscaleSettings(kind=Downscaling(kind), factor=factor)
        weakened, damped = damp(day.base, day.change, chosen)
        folded = fold_adapter(weakened, config.SleepSettings()).change
        day.print_row(f"{kind} {factor:g}", damped, change=shrink(folded, chosen))


def print_policies(day: Day, rank: int) -> None:
    """Print what each policy keeps, plain and weighed, at about equal size."""
    for weighting, seen in (("plain", None), ("activations", day.moments)):
        fold = partial(day.fold, seen)
        most = size(fold(policy=RankPolicy.FIXED, rank=rank))
        for policy in RankPolicy:
            change = fold_by(partial(fold, policy=policy), policy, rank, most)
            day.print_row(f"{policy} {rank}", weighting, size(change), change=change)


def fold_by(
    fold: Callable[..., LayerChanges], policy: RankPolicy, rank: int, most: int
) -> LayerChanges:
    """Fold by a policy to a rank, or where a share decides to so many parameters."""
    if policy is RankPolicy.ENERGY:
        return as_large(partial(fold, rank=32), most)
    return fold(rank=rank)


def size(change: LayerChanges) -> int:
    """Return how many parameters a change has."""
    return sum(layer.rank * sum(layer.shape) for layer in change.values())


def as_large(fold: Callable[..., LayerChanges], most: int) -> LayerChanges:
    """Return the fold that keeps the most energy in at most so many parameters."""
    shares = range(SHARES)
    too_large = bisect(shares, most, key=lambda n: size(fold(energy=n / SHARES)))
    return fold(energy=(too_large - 1) / SHARES)


def main() -> None:
    """Learn two lessons, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    model, cache = config.ModelSettings(), Path(".benchmarks/cache")
    fresh = partial(load_base, model, device="cpu", cache=cache)
    day = live_through(fresh, chosen.seed)
    names = " | ".join(day.parts)
    print(f"| downscaling | damped | {names} |", "|---" * 5 + "|", sep="\n")
    print_downscaling(day)
    print(f"\n| fold | weighting | size | {names} |", "|---" * 6 + "|", sep="\n")
    for rank in (2, 4, 8):
        print_policies(day, rank)


if __name__ == "__main__":
    main()
