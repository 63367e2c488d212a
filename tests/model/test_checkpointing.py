"""Gradient checkpointing: the same learning, and when memory asks for it."""

from dataclasses import replace

import pytest
import torch
from transformers import CTRLConfig

from sleepcycle.errors import ConfigError
from sleepcycle.model.adapters import activate, day_config, new_day, read
from sleepcycle.model.base import find_targets
from sleepcycle.model.checkpointing import loaded_size, needs_checkpoints
from sleepcycle.model.device_memory import memory_for
from sleepcycle.model.fit import fit
from sleepcycle.model.gradients import NLL, Gradients
from sleepcycle.model.student import Student
from tests.model.conftest import make_plan, random_folders, some_examples
from tests.model.kinds import tiny_model

CTRL = {"vocab_size": 800, "n_embd": 32, "n_layer": 2, "n_head": 4, "dff": 48}


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


def test_one_that_cannot_compute_layers_twice_learns_all_the_same(llama, monkeypatch):
    monkeypatch.setattr(llama.model, "supports_gradient_checkpointing", False)
    base = replace(llama, checkpointing="auto")
    far_too_many = memory_for("cpu").free_bytes

    assert not needs_checkpoints(base, tokens=far_too_many, longest=50, rank=4)


def test_one_that_cannot_is_not_loaded_where_it_is_set(load, tmp_path_factory):
    folder = random_folders(tmp_path_factory, lambda kind: CTRLConfig(**CTRL))("ctrl")

    with pytest.raises(ConfigError, match=r"\(ctrl\) cannot compute layers twice"):
        load(folder, gradient_checkpointing="on")

    assert load(folder).model.config.model_type == "ctrl"


def test_adapters_do_not_make_a_base_larger(base):
    bare = loaded_size(base)

    new_day(base, "day", day_config(4, 8.0, 0.0), seed=0)

    assert loaded_size(base) == bare


@pytest.mark.parametrize(("kind", "passing"), [("llama", 10 + 4), ("bloom", 2 * 10)])
def test_padding_passes_too_where_sequences_are_padded(llama, kind, passing):
    model = tiny_model(kind)
    base = replace(llama, model=model, targets=find_targets(model, ["all-linear"]))
    new_day(base, "day", day_config(4, 8.0, 0.0), seed=0)
    batch = [*some_examples(base, 1, 10), *some_examples(base, 1, 4)]

    gradients = Gradients(base, Student(base, "day"), NLL, [batch])

    assert gradients.most_at_once == passing
