"""Layers compiled while a graph is captured, where a run is long enough for it."""

import pytest
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from sleepcycle.model.compiled_layers import PAYS_S, compiled_layers, pays
from sleepcycle.model.pace import StepWork
from tests.model.kinds import tiny_model

LAYERS = 30
PEAK = 1e15


def steps(count, flop=0.0):
    """Return so many steps of so many operations."""
    return [StepWork(tokens=1000, flop=flop)] * count


class TestPays:
    def test_a_short_run_of_a_small_model_does_not(self):
        assert not pays(steps(100), LAYERS, PEAK)

    def test_a_long_one_does_however_little_a_step_computes(self):
        assert pays(steps(10_000), LAYERS, PEAK)

    def test_a_few_large_steps_do(self):
        assert pays(steps(100, flop=PEAK * PAYS_S / 100), LAYERS, PEAK)

    def test_an_unknown_device_is_taken_for_a_slow_one(self):
        few = steps(100, flop=PEAK * PAYS_S / 1000)

        assert pays(few, LAYERS, None)
        assert not pays(few, LAYERS, PEAK)


@pytest.fixture
def eager(monkeypatch):
    """Let torch compile to what it traced, with no compiler; return what it was given.

    That takes no compiler on the machine, and seconds less.
    """
    given = []
    compiled = torch.compile

    def by_tracing(what, **options):
        given.append(what)
        return compiled(what, backend="aot_eager", **options)

    monkeypatch.setattr(torch, "compile", by_tracing)
    return given


class TestCompiled:
    @pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt2"])
    def test_the_model_says_the_same(self, kind, eager):
        model, ids = tiny_model(kind), torch.tensor([[5, 6, 7, 8]])
        expected = model(ids).logits

        with compiled_layers(model):
            found = model(ids).logits

        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert len(eager) == model.config.num_hidden_layers

    def test_nothing_is_compiled_afterwards(self, eager):
        model = tiny_model("llama")

        with compiled_layers(model):
            pass

        layers = [
            one
            for one in model.modules()
            if isinstance(one, GradientCheckpointingLayer)
        ]
        assert layers
        assert not any("forward" in vars(layer) for layer in layers)

    def test_what_cannot_be_compiled_runs_as_it_is(self, monkeypatch):
        def no_compiler(*_):
            raise RuntimeError("no compiler here")

        compiled = torch.compile
        monkeypatch.setattr(
            torch, "compile", lambda what, **o: compiled(what, backend=no_compiler, **o)
        )
        model, ids = tiny_model("llama"), torch.tensor([[5, 6, 7, 8]])
        expected = model(ids).logits

        with compiled_layers(model):
            found = model(ids).logits

        assert torch.equal(found, expected)
