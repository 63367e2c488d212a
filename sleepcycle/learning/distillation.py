"""What is learned of an example: its own tokens, and what a teacher thinks of them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import torch
from torch import Tensor

from sleepcycle.model.encode import Encoded
from sleepcycle.model.gradients import Objective
from sleepcycle.model.loss_reduction import reduced
from sleepcycle.model.token_batch import LearnedTokens, learned_tokens
from sleepcycle.numerics.distill import TopScores, top_divergence
from sleepcycle.settings.choices import Reduction


@dataclass(frozen=True, eq=False)
class TaughtExample:
    """One example, and its teacher's scores of each learned token."""

    encoded: Encoded
    scores: TopScores | None
    """None where no teacher was asked."""

    gold: float
    """Part of the loss that is the example's own tokens, in [0, 1]; 1 with no teacher,
    whose opinion is the rest."""


@dataclass(frozen=True, eq=False)
class TaughtTokens(LearnedTokens):
    """Learned tokens, and what their teachers think of each."""

    gold: Tensor  # (learned,)
    top_ids: Tensor  # (learned, k)
    top_logs: Tensor  # (learned, k)
    tail: Tensor  # (learned,)


def taught_losses(logits: Tensor, tokens: TaughtTokens) -> Tensor:
    """Return the loss of each learned token, in nats.

    It is the cross-entropy of the example's own token in part, and the rest its
    teacher's KL divergence.
    """
    logs = logits.float().log_softmax(dim=1)
    own = -logs.gather(1, tokens.targets[:, None])[:, 0]
    teacher = TopScores(tokens.top_ids, tokens.top_logs, tokens.tail)
    opinion = top_divergence(logs, teacher)
    return tokens.gold * own + (1 - tokens.gold) * opinion


def taught_tokens(examples: Sequence[TaughtExample]) -> TaughtTokens:
    """Return the learned tokens of examples, with their teachers' scores."""
    learned = learned_tokens([example.encoded for example in examples])
    k = min((s.ids.shape[1] for e in examples if (s := e.scores)), default=1)
    scores = [_scores(example, k) for example in examples]
    counts = torch.tensor([example.encoded.learned for example in examples])
    gold = torch.tensor([example.gold for example in examples])
    return TaughtTokens(
        **vars(learned),
        gold=gold.repeat_interleave(counts),
        top_ids=torch.cat([score.ids for score in scores]),
        top_logs=torch.cat([score.logs for score in scores]),
        tail=torch.cat([score.tail for score in scores]),
    )


DISTILLATION = Objective(taught_losses, taught_tokens, attrgetter("encoded"))


def untaught(encoded: Iterable[Encoded]) -> list[TaughtExample]:
    """Return examples that are learned as they are, without a teacher."""
    return [TaughtExample(one, None, 1.0) for one in encoded]


def reduced_taught(
    examples: Sequence[TaughtExample], reduction: Reduction
) -> list[TaughtExample]:
    """Scale each example's weights, as `reduced` does."""
    encoded = reduced([one.encoded for one in examples], reduction)
    return [
        replace(one, encoded=scaled)
        for one, scaled in zip(examples, encoded, strict=True)
    ]


def as_heavy(
    turns: Sequence[TaughtExample], others: Sequence[Encoded], times: float = 1.0
) -> list[TaughtExample]:
    """Return turns of the base that weigh so many times as much as others on average.

    A turn has many more tokens to learn than a short answer, and would take all of the
    loss.
    """
    theirs = sum(sum(one.weights[1:]) for one in others) / max(1, len(others))
    whole = sum(sum(one.encoded.weights[1:]) for one in turns)
    scale = times * theirs * len(turns) / whole if whole else 1.0
    return [replace(one, encoded=one.encoded.weighed(scale)) for one in turns]


def _scores(example: TaughtExample, k: int) -> TopScores:
    """Return a teacher's `k` scores; where there was none, some that do not count."""
    if example.scores is not None:
        wide = example.scores.ids.shape[1] > k
        return example.scores.first(k) if wide else example.scores
    count = example.encoded.learned
    return TopScores(
        torch.zeros(count, k, dtype=torch.long),
        torch.full((count, k), -math.log(2 * k)),
        torch.full((count,), -math.log(2)),
    )
