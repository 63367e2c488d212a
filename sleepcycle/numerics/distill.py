"""Distillation from a teacher's likeliest tokens, and the rest as one.

Only the teacher's top tokens are kept, so its scores can be computed once and stored;
what it gives to all other tokens together is kept too, since without it the student
could move that mass anywhere unseen.
"""

import math
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

MIN_LOG = math.log(1e-9)  # of the tail: a share that float32 still tells from zero


@dataclass(frozen=True, eq=False)
class TopScores:
    """A teacher's likeliest tokens at some positions, and the rest as one."""

    ids: Int[Tensor, "positions k"]
    """Its likeliest tokens."""

    logs: Float[Tensor, "positions k"]
    """Their log-probabilities, in nats."""

    tail: Float[Tensor, " positions"]
    """Log of what all other tokens have together."""

    def at(self, positions: slice | Tensor) -> "TopScores":
        """Return the scores of some positions."""
        return TopScores(
            self.ids[positions], self.logs[positions], self.tail[positions]
        )

    def first(self, k: int) -> "TopScores":
        """Return the `k` likeliest of them, and the rest as one."""
        logs = self.logs[:, :k]
        return TopScores(self.ids[:, :k], logs, _tail(logs))


def top_scores(logits: Float[Tensor, "positions vocabulary"], k: int) -> TopScores:
    """Keep a teacher's `k` likeliest tokens of each position, and the rest as one."""
    logs, ids = logits.float().log_softmax(dim=1).topk(min(k, logits.shape[1]), dim=1)
    return TopScores(ids, logs, _tail(logs))


def top_divergence(
    logs: Float[Tensor, "positions vocabulary"], teacher: TopScores
) -> Float[Tensor, " positions"]:
    """Return KL(teacher ‖ student) of each position, over the top tokens and the tail.

    It is at most the full divergence, and equal to it where the teacher's top tokens
    are the whole vocabulary.

    Args:
        logs: The student's log-probabilities, in nats.
        teacher: What the teacher thinks of the same positions.

    Returns:
        Nats, not negative up to rounding.
    """
    student = logs.gather(1, teacher.ids)
    top = (teacher.logs.exp() * (teacher.logs - student)).sum(dim=1)
    tail = teacher.tail.exp() * (teacher.tail - _tail(student))
    return top + tail


def _tail(logs: Float[Tensor, "positions k"]) -> Float[Tensor, " positions"]:
    """Return the log of what is left of the probability, never below a floor."""
    left = 1 - logs.exp().sum(dim=1)
    return left.clamp_min(math.exp(MIN_LOG)).log()
