"""O-LoRA: what its penalty measures."""

import pytest
import torch

from sleepcycle.learning import wake
from sleepcycle.model import adapters
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle_study.memory import olora
from sleepcycle_study.memory.methods import METHODS, settings
from sleepcycle_study.memory.penalised import new_adapter


def test_penalty_is_the_squared_overlap_of_what_is_read(base):
    chosen = settings(METHODS["O-LoRA"], 24, 64, first=True).wake
    new_adapter(base, chosen, 0, start={})
    day = adapters.read(base, wake.DAY)
    live_before = {
        path: LowRank(change.up, torch.roll(change.down, 1, 0) + 0.01)
        for path, change in day.items()
    }

    found = olora.overlap(base, live_before)().detach()

    adapters.remove(base, wake.DAY)
    squares = sum(
        float((day[path].down @ live_before[path].down.T).square().sum())
        for path in day
    )
    assert float(found) == pytest.approx(olora.STRENGTH * squares, rel=1e-4)
    assert squares > 0


def test_nothing_is_penalised_on_the_first_day(base):
    chosen = settings(METHODS["O-LoRA"], 24, 64, first=True).wake
    new_adapter(base, chosen, 0, start={})

    found = olora.overlap(base, {})().detach()

    adapters.remove(base, wake.DAY)
    assert float(found) == 0
