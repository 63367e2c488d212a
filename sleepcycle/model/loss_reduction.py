"""What the loss of a batch is the mean of: its tokens, its examples, or between."""

import math
from collections.abc import Sequence
from dataclasses import replace

from sleepcycle.model.encode import Encoded
from sleepcycle.settings.choices import Reduction


def reduced(examples: Sequence[Encoded], reduction: Reduction) -> list[Encoded]:
    """Scale each example's weights, so that their mean over a batch is a reduction.

    Inside an example the ratios of weights stay, and an example whose tokens all
    weigh twice as much as another's still counts twice as much.
    """
    if reduction is Reduction.SOURCE:
        sizes = [size(one) for one in examples if one.learned]
        scale = len(sizes) / math.fsum(sizes) if sizes else 1.0
        return [_scaled(one, scale) for one in examples]
    return [_scaled(one, token_share(one, reduction)) for one in examples]


def token_share(example: Encoded, reduction: Reduction) -> float:
    """Return what one token of an example counts for, 1 where all count alike."""
    count = size(example)
    if count == 0:
        return 1.0
    return {
        Reduction.TOKEN: 1.0,
        Reduction.EXAMPLE: 1 / count,
        Reduction.SQRT: 1 / math.sqrt(count),
        Reduction.SOURCE: 1.0,
    }[reduction]


def size(example: Encoded) -> float:
    """Return how many tokens of the heaviest weight an example is worth."""
    heaviest = max(example.weights[1:], default=0.0)
    return math.fsum(example.weights[1:]) / heaviest if heaviest else 0.0


def _scaled(example: Encoded, scale: float) -> Encoded:
    """Return an example whose weights are so many times as large."""
    return replace(example, weights=tuple(scale * w for w in example.weights))
