"""Gradient checkpointing: the same learning, and when memory asks for it."""

from dataclasses import replace

import pytest
import torch

from sleepcycle.model.adapters import activate, day_config, new_day, read
from sleepcycle.model.checkpointing import needs_checkpoints
from sleepcycle.model.device_memory import memory_for
from sleepcycle.model.fit import fit
from tests.model.conftest import make_plan, some_examples


def learned(base):
    """Train a fresh day adapter for three steps; return it, and a layer's runs."""
    runs = []
    layer = base.model.model.layers[0].mlp
    hook = layer.register_forward_pre_hook(lambda *_: runs.append(layer.training))
    new_day(base, "day", day_config(4, 8.0, 0.0), seed=0)
    activate(base, ["day"])
    fit(base, make_plan(steps=3), [some_examples(base)] * 3, on_progress=lambda _: None)
    hook.remove()
    return read(base, "day"), len(runs)


def test_it_computes_layers_twice_and_learns_the_same(load, tiny_folder):
    plain, once = learned(replace(load(tiny_folder("llama")), checkpointing="off"))

    same, twice = learned(replace(load(tiny_folder("llama")), checkpointing="on"))

    assert (once, twice) == (3, 6)
    for path, change in plain.items():
        torch.testing.assert_close(same[path].up, change.up)
        torch.testing.assert_close(same[path].down, change.down)


def test_it_is_off_again_afterwards(load, tiny_folder):
    base = replace(load(tiny_folder("llama")), checkpointing="on")

    learned(base)

    assert not any(
        getattr(module, "gradient_checkpointing", False)
        for module in base.model.modules()
    )


@pytest.mark.parametrize(("chosen", "wanted"), [("on", True), ("off", False)])
def test_what_is_set_is_done(llama, chosen, wanted):
    base = replace(llama, checkpointing=chosen)

    assert needs_checkpoints(base, tokens=100, longest=50, rank=4) is wanted


def test_by_itself_it_is_chosen_where_memory_is_short(llama):
    base = replace(llama, checkpointing="auto")
    far_too_many = memory_for("cpu").free_bytes  # a token takes more than a byte

    assert not needs_checkpoints(base, tokens=100, longest=50, rank=4)
    assert needs_checkpoints(base, tokens=far_too_many, longest=50, rank=4)
