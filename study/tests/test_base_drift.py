"""How far a life has moved what the base says."""

from dataclasses import replace

import pytest
import torch

from sleepcycle.learning.replay import ReplayBuilder, ReplayInputs
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.progress import ignore_progress
from sleepcycle_study.memory.base_drift import TURNS, base_drift, unlearned_turns
from sleepcycle_study.memory.methods import METHODS, settings


@pytest.fixture
def moved(base, rng):
    """A random change of every layer, strong enough to be heard."""
    return {
        path: LowRank(
            up=0.05 * torch.randn(out, 2, generator=rng),
            down=0.05 * torch.randn(2, into, generator=rng),
        )
        for path, (out, into) in base.targets.shapes.items()
    }


def test_the_bare_base_has_not_moved(base):
    turns = unlearned_turns(base)

    assert len(turns) == TURNS
    assert base_drift(base, {}, turns) == 0.0


def test_a_change_moves_the_base_farther_than_half_of_it(base, moved):
    turns = unlearned_turns(base)[:8]
    half = {path: replace(one, up=one.up / 2) for path, one in moved.items()}

    assert 0 < base_drift(base, half, turns) < base_drift(base, moved, turns)


def test_neither_the_gate_nor_rem_looks_at_what_is_measured(base):
    taught = settings(METHODS["store, mended"], 8, 64, first=True)
    night = ReplayBuilder(
        base, ReplayInputs({}, {}), taught, seed=0, on_progress=ignore_progress
    )
    count = taught.gate.probe_dreams
    looked_at = {tuple(one.ids) for one in (*night.probe(count), *night.watched(count))}

    assert count > 0
    assert not looked_at & {tuple(one.ids) for one in unlearned_turns(base)}


def test_without_turns_nothing_is_measured(base):
    assert base_drift(base, {}, []) is None
