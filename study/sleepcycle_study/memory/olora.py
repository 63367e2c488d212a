"""O-LoRA: a new adapter for each lesson, kept orthogonal to the frozen earlier ones.

Wang et al. (2023), arXiv:2310.14152: the sum over earlier lessons i of the squared
entries of A_i A_t.T, A being what we call `down`, is added to the loss.
"""

import torch
from torch import Tensor

from sleepcycle.learning import wake
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.numerics.lowrank import LayerChanges, compose_layers
from sleepcycle.settings.config import Settings
from sleepcycle_study.memory.day import Lifetime, Today
from sleepcycle_study.memory.penalised import Penalty, new_adapter, train

STRENGTH = 0.5  # the paper's, for four lessons of text classification


def learn(base: Base, life: Lifetime, today: Today, settings: Settings) -> LayerChanges:
    """Learn with a fresh adapter beside all earlier ones; the rank grows each day."""
    live = [wake.LIVE] if life.live else []
    with adapters.removed_after(base, [*live, wake.DAY]):
        new_adapter(base, settings.wake, today.seed, start={})
        if live:
            adapters.attach(base, wake.LIVE, life.live)
        adapters.activate(base, [*live, wake.DAY])
        train(base, life, today, settings.wake, overlap(base, life.live))
        day = adapters.read(base, wake.DAY)
    return compose_layers(life.live, day) if life.live else day


def overlap(base: Base, live: LayerChanges) -> Penalty:
    """Return what measures how far the day's adapter reads what earlier ones read."""
    downs = [
        (layer.lora_A[wake.DAY].weight, live[path].down.to(base.device))
        for path, layer in adapters.layers(base, wake.DAY)
        if path in live
    ]

    def penalty() -> Tensor:
        """Return the squared overlap of all layers, times its strength."""
        squares = [(day @ earlier.T).square().sum() for day, earlier in downs]
        return STRENGTH * sum(squares, torch.zeros((), device=base.device))

    return penalty
