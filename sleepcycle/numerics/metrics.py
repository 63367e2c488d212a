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
class Memory:
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


def memory(matrix: Matrix, base: Sequence[float]) -> Memory:
    """Sum up a square matrix of scores.

    Args:
        matrix: As many rows as columns.
        base: The bare base's score on each lesson.

    Raises:
        ValueError: The matrix is not square, or `base` is not as long.
    """
    size = len(base)
    if len(matrix) != size or any(len(row) != size for row in matrix):
        shape = f"{len(matrix)} rows of {sorted({len(row) for row in matrix})}"
        raise ValueError(f"expected {size} rows of {size} scores, got {shape}")
    last, diagonal = matrix[-1], [matrix[i][i] for i in range(size)]
    acc, learned = mean(last), mean(diagonal)
    if size == 1:
        return Memory(acc, None, None, None, learned)
    past = range(size - 1)
    return Memory(
        acc=acc,
        bwt=mean(last[j] - diagonal[j] for j in past),
        fwt=mean(matrix[j - 1][j] - base[j] for j in range(1, size)),
        forgetting=mean(
            max(matrix[i][j] for i in range(j, size - 1)) - last[j] for j in past
        ),
        learned=learned,
    )


def intransigence(matrix: Matrix, joint: Sequence[float]) -> float:
    """Return how much less each lesson was learned in its turn than all at once.

    Args:
        matrix: As for `memory`.
        joint: Scores of a model that learned all lessons together.
    """
    return mean(best - matrix[i][i] for i, best in enumerate(joint))
