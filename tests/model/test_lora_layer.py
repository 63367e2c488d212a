"""The low-rank layer beside PEFT's own forward on the same factors."""

import pytest
import torch
from peft.tuners.lora import Linear
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.pytorch_utils import Conv1D

from sleepcycle.model import adapters
from sleepcycle.model.lora_layer import LowRankLinear

TOKENS = 17  # as no factor has


@pytest.fixture
def layers_of(tiny_folder, load, random_changes):
    """Return what gives the layers of a kind with two adapters, by their paths."""

    def made(kind, dropout=0.0, dtype="float32"):
        base = load(tiny_folder(kind), dtype=dtype)
        adapters.attach(base, "live", random_changes(base.targets))
        settings = adapters.day_config(4, 12.0, dropout)
        start = random_changes(base.targets)
        adapters.new_day(base, "day", settings, seed=0, start=start)
        adapters.activate(base, ["live", "day"])
        return dict(adapters.layers(base, "day"))

    return made


def some_rows(layer, rng, dtype=torch.float32, shape=(TOKENS,)):
    """Return random inputs of a layer."""
    rows = torch.randn(*shape, layer.in_features, generator=rng)
    return rows.to(dtype).requires_grad_()


def factors_of(layer, *names):
    """Return the factors of adapters, and let gradients reach them."""
    return [
        factor[name].weight.requires_grad_(True)
        for name in names
        for factor in (layer.lora_A, layer.lora_B)
    ]


def assert_as_peft(layer, x, by):
    """Hold forward and gradients equal to PEFT's but for rounding."""
    found, expected = layer(x), Linear.forward(layer, x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    outer = torch.ones_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, by, outer),
        torch.autograd.grad(expected, by, outer),
        rtol=1e-4,
        atol=1e-4,
    )


class Dtypes(TorchDispatchMode):
    """Writes down the type and shape of all that is computed."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.seen |= {
            (one.dtype, tuple(one.shape))
            for one in tree_leaves(out)
            if isinstance(one, torch.Tensor)
        }
        return out


class TestFloat32:
    @pytest.mark.parametrize("kind", ["llama", "gpt2"])
    @pytest.mark.parametrize("active", [[], ["day"], ["live", "day"], ["day", "live"]])
    def test_it_computes_what_peft_does(self, layers_of, rng, kind, active):
        """
        GPT-2's layers have a bias and weights that lie the other way round.
        """
        for layer in layers_of(kind).values():
            layer.set_adapter(active, inference_mode=True)
            x = some_rows(layer, rng)

            assert_as_peft(layer, x, [x, *factors_of(layer, *active)])

    @pytest.mark.parametrize("shape", [(5,), (2, 3), (1, 4), (2, 1, 3), (0,)], ids=str)
    def test_inputs_may_have_any_shape(self, layers_of, rng, shape):
        layer = next(iter(layers_of("llama").values()))
        x = some_rows(layer, rng, shape=shape)

        found = layer(x)

        torch.testing.assert_close(found, Linear.forward(layer, x))

    def test_the_scale_is_peft_s(self, layers_of, rng):
        layer = next(iter(layers_of("llama").values()))
        layer.set_adapter(["day"], inference_mode=True)
        x = some_rows(layer, rng)

        change = layer(x) - layer.base_layer(x)

        down, up = layer.lora_A["day"].weight, layer.lora_B["day"].weight
        assert layer.scaling["day"] == 3
        torch.testing.assert_close(change, 3 * x @ down.T @ up.T, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("trains", [True, False])
    def test_dropout_drops_what_peft_drops(self, layers_of, rng, trains):
        """
        And nothing where the layer does not train.
        """
        layer = next(iter(layers_of("llama", dropout=0.5).values())).train(trains)
        x = some_rows(layer, rng)

        with torch.random.fork_rng():
            torch.manual_seed(0)
            found, again = layer(x), layer(x)
            torch.manual_seed(0)
            expected = Linear.forward(layer, x)

        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(found, again) is not trains

    def test_an_adapter_that_the_layer_lacks_is_left_out(self, layers_of, rng):
        layer = next(iter(layers_of("llama").values()))
        x = some_rows(layer, rng)
        layer.set_adapter(["day"], inference_mode=True)
        expected = layer(x)

        layer._active_adapter = ["day", "unknown"]

        assert torch.equal(layer(x), expected)

    @pytest.mark.parametrize(
        ("kind", "plain"), [("llama", nn.Linear), ("gpt2", Conv1D)]
    )
    def test_every_layer_is_one(self, layers_of, kind, plain):
        found = layers_of(kind).values()

        assert {type(layer) for layer in found} == {LowRankLinear}
        assert plain in {type(layer.base_layer) for layer in found}


class TestBfloat16:
    def test_no_activation_is_float32(self, layers_of, rng):
        """
        Forward and backward; the gradients of factors are, which have no token in
        their shape.
        """
        for layer in layers_of("llama", dtype="bfloat16").values():
            x = some_rows(layer, rng, torch.bfloat16)
            by = [x, *factors_of(layer, "day")]

            with Dtypes() as computed:
                out = layer(x)
                gradients = torch.autograd.grad(out, by, torch.ones_like(out))

            wide = {shape for dtype, shape in computed.seen if dtype == torch.float32}
            assert out.dtype == torch.bfloat16
            assert not any(TOKENS in shape for shape in wide)
            assert [one.dtype for one in gradients] == [
                torch.bfloat16,
                torch.float32,
                torch.float32,
            ]

    def test_it_is_near_what_float32_would_give(self, layers_of, rng):
        for layer in layers_of("llama", dtype="bfloat16").values():
            x = some_rows(layer, rng, torch.bfloat16)

            found = layer(x).float()

            expected = layer.float()(x.float())
            assert (found - expected).norm() < 0.01 * expected.norm()


class TestWorking:
    @pytest.fixture
    def layer(self, layers_of):
        """A layer with one adapter active."""
        layer = next(iter(layers_of("llama").values()))
        layer.set_adapter(["day"], inference_mode=True)
        return layer

    def test_copies_are_computed_with_in_place_of_the_masters(self, layer, rng):
        x = some_rows(layer, rng)
        expected = Linear.forward(layer, x)
        pair = tuple(factor.detach().clone() for factor in factors_of(layer, "day"))

        layer.working["day"] = pair
        for master in factors_of(layer, "day"):
            master.data.zero_()

        torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)

    def test_other_adapters_keep_their_own(self, layer, rng):
        x = some_rows(layer, rng)
        layer.set_adapter(["live"], inference_mode=True)
        expected = layer(x)

        layer.working["day"] = tuple(map(torch.zeros_like, factors_of(layer, "day")))

        assert torch.equal(layer(x), expected)

    def test_none_outlives_its_adapter(self, layer):
        layer.working["day"] = tuple(factors_of(layer, "day"))
        layer.set_adapter([])

        layer.delete_adapter("day")

        assert layer.working == {}
