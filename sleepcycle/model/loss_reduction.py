"""What the loss of a batch is the mean of: its tokens, its examples, or in between."""

import math
from collections.abc import Sequence

from sleepcycle.model.encode import Encoded
from sleepcycle.settings.choices import Reduction


def reduced(examples: Sequence[Encoded], reduction: Reduction) -> list[Encoded]:
    """Scale each example's weights, so that their mean over a batch is a reduction's.

    Inside an example weights keep their ratios, and one whose tokens all weigh twice
    as much as another's still counts twice as much.
    """
    return [one.weighed(token_share(one, reduction)) for one in examples]


def token_share(example: Encoded, reduction: Reduction) -> float:
    """Return what a token of an example counts for; it is 1 where all count alike."""
    size = max(1.0, _size(example))
    match reduction:
        case Reduction.TOKEN:
            return 1.0
        case Reduction.EXAMPLE:
            return 1 / size
        case Reduction.SQRT:
            return 1 / math.sqrt(size)


def _size(example: Encoded) -> float:
    """Return how many tokens an example has, lighter ones counted in part."""
    heaviest = max(example.weights[1:], default=0.0)
    return math.fsum(example.weights[1:]) / heaviest if heaviest else 0.0
