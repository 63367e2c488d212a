"""Continual-learning metrics from a matrix of scores: row by time, column by lesson.

Lopez-Paz and Ranzato (2017), arXiv:1706.08840, for average accuracy and transfer;
Chaudhry et al. (2018), arXiv:1801.10112, for forgetting and intransigence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

Matrix = Sequence[Sequence[float]]
"""matrix[i][j]: the score on lesson j after lesson i was learned; more is better."""


@dataclass(frozen=True, slots=True)
class RetentionMetrics:
    """What a sequence of lessons left; all in the unit of the scores."""

    acc: float
    """Mean score on all lessons after the last."""

    bwt: float | None
    """Backward transfer: mean change of a lesson's score since it was learned, the
    last lesson left out. Negative is forgetting. None with a single lesson."""

    fwt: float | None
    """Forward transfer: mean score on a lesson just before it is learned, less that
    of the bare base. None with a single lesson."""

    forgetting: float | None
    """Mean fall of a lesson's score from its best, the last lesson left out; not
    negative where the last score is no new best. None with a single lesson."""

    learned: float
    """Mean score on each lesson right after it was learned."""

    intransigence: float | None
    """Mean of a reference's score on each lesson, less the score right after it was
    learned. Positive is what learning in turns cost, negative what it gained. None
    where no reference is known."""


def retention_metrics(
    matrix: Matrix, base: Sequence[float], reference: Sequence[float] | None = None
) -> RetentionMetrics:
    """Sum up a square matrix of scores.

    Args:
        matrix: As many rows as columns.
        base: The bare base's score on each lesson.
        reference: The score on each lesson of a model that learned it together with
            the others, not in its turn; None where there is no such model.

    Raises:
        ValueError: The matrix is not square, or `base` or `reference` is not as long.
    """
    size = len(base)
    if len(matrix) != size or any(len(row) != size for row in matrix):
        shape = f"{len(matrix)} rows of {sorted({len(row) for row in matrix})}"
        raise ValueError(f"expected {size} rows of {size} scores, got {shape}")
    if reference is not None and len(reference) != size:
        raise ValueError(f"expected a reference of {size} scores, got {len(reference)}")
    last, diagonal = matrix[-1], [matrix[i][i] for i in range(size)]
    acc, learned = mean(last), mean(diagonal)
    cost = _intransigence(diagonal, reference)
    if size == 1:
        return RetentionMetrics(acc, None, None, None, learned, cost)
    past = range(size - 1)
    return RetentionMetrics(
        acc=acc,
        bwt=mean(last[j] - diagonal[j] for j in past),
        fwt=mean(matrix[j - 1][j] - base[j] for j in range(1, size)),
        forgetting=mean(
            max(matrix[i][j] for i in range(j, size - 1)) - last[j] for j in past
        ),
        learned=learned,
        intransigence=cost,
    )


def _intransigence(
    diagonal: Sequence[float], reference: Sequence[float] | None
) -> float | None:
    """Return how much less each lesson was learned in its turn, None if unknown."""
    if reference is None:
        return None
    return mean(best - own for best, own in zip(reference, diagonal, strict=True))
