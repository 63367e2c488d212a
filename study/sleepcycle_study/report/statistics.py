"""The study's statistics: estimates, paired differences, and one figure for all.

The interval of a score and p-values are of the questions: they say what other questions
could have given with the same runs. How much other seeds could have given is what `std`
says, and what the interval of a difference counts in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sleepcycle_study.errors import StudyError

CONFIDENCE = 0.95
RESAMPLES = 2000
FLIPS = 20_000
ENUMERATED = 12  # differences whose signs are all tried: 4096 ways
TOLERANCE = 1e-9  # relative, of sums that are equal but for rounding

Floats = NDArray[np.float64]

WORST = "errors.catastrophic_all"
"""The one measure of the composite that is a loss.

It is the rate over all answers: that over wrong answers alone makes an arm worse for
having fewer of them, and is not there where none is wrong.
"""

PARTS = {
    "exact": ("exact",),
    "number sense": ("sense.strict", "sense.magnitude"),
    "delegation": ("delegation.balanced",),
    "adversarial": ("adversarial",),
    "no catastrophic error": (WORST,),
}
"""Measures of the composite, by dimension."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score over several seeds."""

    mean: float
    """Of the seeds' means: each seed weighs the same."""

    std: float | None
    """Sample standard deviation of the seeds' means; None of a single seed."""

    low: float
    """Start of the 95 % interval: bootstrap of the questions within each seed."""

    high: float
    count: int
    """Questions, over all seeds."""


@dataclass(frozen=True, slots=True)
class Paired:
    """How much better one arm did than another on the same questions."""

    difference: float
    """Mean over the pairs."""

    low: float
    """Start of the 95 % interval: bootstrap of the seeds, and of the pairs within."""

    high: float
    p: float
    """Of a difference as large, either way, if arms could be swapped in each pair."""

    count: int
    """Pairs."""

    effect: float | None
    """Mean over standard deviation of the differences (Cohen's d for pairs); None where
    every pair differs alike."""

    by_seed: Mapping[str, float] = field(default_factory=dict)
    """Mean of each seed's pairs."""

    unpaired: int = 0
    """Questions that only one of the two was asked; they do not count."""


def estimate(by_seed: Mapping[int, Sequence[float]], seed: int = 0) -> Estimate:
    """Return the mean score over seeds, with its spread and interval.

    Questions that all score alike give an interval of no width: the bootstrap knows of
    no other questions than those that were asked.

    Args:
        by_seed: The questions' scores, by the seed of the run.
        seed: Of the bootstrap.

    Raises:
        StudyError: There is no score, or one is not a number.
    """
    groups = [_numbers(values) for _, values in sorted(by_seed.items())]
    if not groups:
        raise StudyError("expected the scores of at least one seed, got none")
    means = np.array([group.mean() for group in groups])
    resampled = _resampled(groups, np.random.default_rng(seed))
    low, high = _interval(np.mean(resampled, axis=0))
    return Estimate(
        mean=float(means.mean()),
        std=float(means.std(ddof=1)) if len(means) > 1 else None,
        low=low,
        high=high,
        count=sum(len(group) for group in groups),
    )


def paired(a: Mapping[str, float], b: Mapping[str, float], seed: int = 0) -> Paired:
    """Compare two arms on the questions that both were asked.

    Args:
        a: Scores of the arm, by a key for each question that starts with "seed/".
        b: Scores of the one it is compared with.
        seed: Of the bootstrap and the permutations.

    Raises:
        StudyError: No question was asked of both, or a score is not a number.
    """
    shared = sorted(a.keys() & b.keys())
    if not shared:
        raise StudyError("expected questions that both arms were asked, got none")
    differences = _numbers([a[key] - b[key] for key in shared])
    by_seed = _by_seed(shared, differences)
    groups = list(by_seed.values())
    generator = np.random.default_rng(seed)
    resampled = _resampled(groups, generator)
    seeds = generator.integers(len(groups), size=resampled.shape)
    low, high = _interval(np.take_along_axis(resampled, seeds, axis=0).mean(axis=0))
    return Paired(
        difference=float(differences.mean()),
        low=low,
        high=high,
        p=_sign_flip(differences, generator),
        count=len(shared),
        effect=_effect(differences),
        by_seed={seed: float(group.mean()) for seed, group in by_seed.items()},
        unpaired=len(a.keys() ^ b.keys()),
    )


def holm(by_arm: Mapping[str, float]) -> dict[str, float]:
    """Correct p-values of several arms for their number (Holm, 1979).

    The smallest is multiplied by how many there are, the next by one less, and so on;
    none falls below one before it, or rises above 1.
    """
    corrected, largest = {}, 0.0
    ranked = sorted(by_arm.items(), key=lambda pair: pair[1])
    for place, (arm, p) in enumerate(ranked):
        largest = max(largest, min(1.0, p * (len(ranked) - place)))
        corrected[arm] = largest
    return {arm: corrected[arm] for arm in by_arm}


def composite(scores: Mapping[str, float]) -> float:
    """Sum up the five dimensions, each in [0, 1], as one figure in [0, 1].

    It is the mean of: `exact`; (`sense.strict` + `sense.magnitude`) / 2;
    `delegation.balanced`; `adversarial`; and 1 - `errors.catastrophic_all`, the rate
    over all answers. So delegating all, or nothing, earns half of its dimension.

    Raises:
        StudyError: One of these is missing, or outside of [0, 1].
    """
    for names in PARTS.values():
        for name in names:
            if name not in scores:
                got = ", ".join(scores) or "none"
                raise StudyError(f"expected a score for {name}, got {got}")
    return math.fsum(dimensions(scores).values()) / len(PARTS)


def dimensions(scores: Mapping[str, float]) -> dict[str, float]:
    """Return those terms of the composite whose measures are there.

    Raises:
        StudyError: One of them is outside of [0, 1].
    """
    return {
        dimension: math.fsum(_share(scores, name) for name in names) / len(names)
        for dimension, names in PARTS.items()
        if scores.keys() >= set(names)
    }


def _share(scores: Mapping[str, float], name: str) -> float:
    """Return a measure that must be a share, the higher the better."""
    value = scores[name]
    if not 0 <= value <= 1:
        raise StudyError(f"expected {name} in [0, 1], got {value}")
    return 1 - value if name == WORST else value


def _numbers(values: Sequence[float] | Floats) -> Floats:
    """Return scores as an array, at least one, all of them numbers."""
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise StudyError("expected at least one score of each seed, got none")
    if not np.isfinite(array).all():
        raise StudyError("expected scores that are numbers, got one that is not")
    return array


def _by_seed(keys: Sequence[str], values: Floats) -> dict[str, Floats]:
    """Return values of keys that start with "seed/" as a group for each seed."""
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key.partition("/")[0], []).append(place)
    return {seed: values[group] for seed, group in places.items()}


def _resampled(groups: Sequence[Floats], generator: np.random.Generator) -> Floats:
    """Return each group's mean in each resample, as (group, resample)."""
    return np.stack(
        [
            group[generator.integers(len(group), size=(RESAMPLES, len(group)))].mean(1)
            for group in groups
        ]
    )


def _interval(resamples: Floats) -> tuple[float, float]:
    """Return the interval in which 95 % of resamples lie."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail])
    return float(low), float(high)


def _effect(differences: Floats) -> float | None:
    """Return the mean difference in standard deviations of the differences."""
    if np.ptp(differences) == 0:
        return None
    return float(differences.mean() / differences.std(ddof=1))


def _sign_flip(differences: Floats, generator: np.random.Generator) -> float:
    """Return the two-sided p of the mean, under random signs of the differences.

    Exact where all differences are of one size, as those of right and wrong are, and
    where they are few; else 20,000 random draws, the observed signs counted among them,
    so that p is never 0.
    """
    sizes = np.abs(differences[differences != 0])
    if not sizes.size:
        return 1.0
    reached = abs(float(differences.sum())) - TOLERANCE * float(sizes.sum())
    if np.ptp(sizes) <= TOLERANCE * sizes[0]:
        return _binomial(len(sizes), reached / float(sizes[0]))
    if len(sizes) <= ENUMERATED:
        ways = np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes)) & 1
        return float(np.mean(np.abs((2 * ways - 1) @ sizes) >= reached))
    flips = generator.integers(2, size=(FLIPS, len(sizes)), dtype=np.int8)
    hits = np.sum(np.abs((2.0 * flips - 1) @ sizes) >= reached)
    return float((1 + hits) / (1 + FLIPS))


def _binomial(count: int, reached: float) -> float:
    """Return how likely `count` fair signs sum up to at least `reached`, either way."""
    ways = sum(
        math.comb(count, plus)
        for plus in range(count + 1)
        if abs(2 * plus - count) >= reached
    )
    return float(ways / 2**count)
