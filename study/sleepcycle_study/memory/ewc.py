"""EWC: one adapter that goes on, held back where earlier lessons need its weights.

Kirkpatrick et al. (2017), arXiv:1612.00796, with one running importance as in Schwarz
et al. (2018), arXiv:1805.06370.
"""

import torch
from torch import Tensor, nn

from sleepcycle.learning import wake
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.reading import Reader
from sleepcycle.model.token_batch import learned_tokens
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.settings.config import Settings
from sleepcycle_study.memory.day import Lifetime, Today
from sleepcycle_study.memory.penalised import Penalty, encoded, new_adapter, train

MEASURED = 128  # examples of a lesson that importance is measured on
KEPT = 0.95  # share of the importance that is left when another lesson is learned


def learn(
    base: Base,
    life: Lifetime,
    today: Today,
    settings: Settings,
    *,
    strength: float,
) -> LayerChanges:
    """Learn with one adapter, then measure how much each of its weights matters."""
    examples = encoded(base, today.new, settings.wake)[:MEASURED]
    with adapters.removed_after(base, [wake.DAY]):
        weights = new_adapter(base, settings.wake, today.seed, start=life.live)
        adapters.activate(base, [wake.DAY])
        penalty = pull(weights, life.importance, strength)
        train(base, life, today, settings.wake, penalty)
        found = fisher(base, examples)
        learned = adapters.read(base, wake.DAY)
    life.cost.trained += sum(len(example.ids) for example in examples)
    earlier = life.importance or [torch.zeros_like(one) for one in found]
    life.importance = [
        KEPT * old + new for old, new in zip(earlier, found, strict=True)
    ]
    return learned


def pull(
    weights: list[nn.Parameter], importance: list[Tensor], strength: float
) -> Penalty:
    """Return what measures how far weights went from here, by their importance."""
    start = [weight.detach().clone() for weight in weights]
    matter = importance or [torch.zeros_like(weight) for weight in start]

    def penalty() -> Tensor:
        """Return half the weighted squared distance, times its strength."""
        distances = [
            (much * (weight - there).square()).sum()
            for weight, there, much in zip(weights, start, matter, strict=True)
        ]
        return strength / 2 * torch.stack(distances).sum()

    return penalty


def fisher(base: Base, examples: list[Encoded]) -> list[Tensor]:
    """Return the mean squared gradient of the examples' log likelihoods.

    It is the diagonal of the empirical Fisher information, of each of the day adapter's
    parameters in turn.
    """
    weights = adapters.parameters(base, wake.DAY)
    squares = [torch.zeros_like(weight) for weight in weights]
    reader = Reader(base)
    for example in examples:
        tokens = learned_tokens([example]).to(base.device)
        with reader.apart():
            loss = reader.summed_loss(reader.batch([example]), tokens)
        for square, gradient in zip(
            squares, torch.autograd.grad(loss, weights), strict=True
        ):
            square += gradient.square()
    base.model.requires_grad_(False)
    return [square / len(examples) for square in squares]
