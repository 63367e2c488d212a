"""A matrix with low-rank factors as one operator, beside the sum that it stands for."""

import pytest
import torch

from sleepcycle.model import adapters
from sleepcycle.model.low_rank_branch import LearnedFactors
from sleepcycle.model.student import learned_factors

TOKENS, INTO, OUT, RANK, HELD = 7, 5, 6, 3, 2

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="streams beside each other need a GPU"
)


@pytest.fixture
def draw(rng):
    """Return what draws a random tensor, which gradients reach or not."""

    def drawn(*shape, learns=False):
        made = torch.randn(*shape, generator=rng, dtype=torch.float64)
        return made.requires_grad_(learns)

    return drawn


@pytest.fixture(params=[False, True], ids=["alone", "beside others"])
def factors(request, draw):
    """Factors that learn, alone or beside those of another adapter."""
    down, up = draw(RANK, INTO, learns=True), draw(OUT, RANK, learns=True)
    held = (draw(HELD, INTO), draw(OUT, HELD)) if request.param else (None, None)
    return LearnedFactors(["day"], down, up, *held, 0.7)


@pytest.fixture(params=[False, True], ids=["plain", "bias"])
def matrix(request, draw):
    """A weight, and a bias or none."""
    return draw(OUT, INTO), draw(OUT) if request.param else None


def by_hand(factors, x, weight, bias):
    """Return the same product as a sum of products."""
    out = x @ weight.T + factors.scale * (x @ factors.down.T) @ factors.up.T
    if factors.held_down is not None:
        out = out + factors.scale * (x @ factors.held_down.T) @ factors.held_up.T
    return out if bias is None else out + bias


def gradients(out, by):
    """Return the gradients of a sum that weighs each number otherwise."""
    weights = torch.arange(out.numel(), dtype=out.dtype, device=out.device)
    return torch.autograd.grad((out.flatten() * weights).sum(), by)


def test_it_is_the_sum_of_the_products(factors, matrix, draw):
    x = draw(TOKENS, INTO, learns=True)
    by = x, factors.down, factors.up

    found, expected = factors.product(x, *matrix), by_hand(factors, x, *matrix)

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, by), gradients(expected, by))


def test_what_it_reads_need_not_learn(factors, matrix, draw):
    """
    As in a model's first layer.
    """
    x, by = draw(TOKENS, INTO), (factors.down, factors.up)

    found, expected = factors.product(x, *matrix), by_hand(factors, x, *matrix)

    torch.testing.assert_close(gradients(found, by), gradients(expected, by))


def test_it_can_be_compiled_whole(factors, matrix, draw):
    x = draw(TOKENS, INTO, learns=True)
    by = x, factors.down, factors.up
    compiled = torch.compile(factors.product, backend="aot_eager", fullgraph=True)

    found, expected = compiled(x, *matrix), by_hand(factors, x, *matrix)

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, by), gradients(expected, by))


@needs_gpu
def test_a_graph_computes_the_same_on_two_streams(factors, draw):
    """
    Again and again, with what it reads changed.
    """
    on = {
        name: one.detach().cuda() if isinstance(one, torch.Tensor) else one
        for name, one in vars(factors).items()
    }
    there = LearnedFactors(**on)
    by = x, _, _ = [
        one.requires_grad_() for one in (draw(99, INTO).cuda(), there.down, there.up)
    ]
    weight = draw(OUT, INTO).cuda()

    def step():
        return gradients(there.product(x, weight, None), by)

    step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step()
    for _ in range(20):
        with torch.no_grad():
            x.normal_()
        graph.replay()
        expected = gradients(by_hand(there, x, weight, None), by)
        torch.testing.assert_close(found, expected)


class TestLayer:
    @pytest.fixture
    def layers(self, tiny_folder, load, random_changes):
        """Return what gives the layers of a kind, of which one adapter learns."""

        def made(kind, dropout=0.0):
            base = load(tiny_folder(kind))
            adapters.attach(base, "live", random_changes(base.targets))
            settings = adapters.day_config(4, 12.0, dropout)
            start = random_changes(base.targets)
            adapters.new_day(base, "day", settings, seed=0, start=start)
            adapters.activate(base, ["live", "day"])
            found = [layer for _, layer in adapters.layers(base, "day")]
            for layer in found:
                layer.working["day"] = layer.factors("day", torch.float32)
            return found

        return made

    def test_it_computes_what_the_adapters_do_one_by_one(self, layers, rng):
        for layer in layers("llama"):
            x = torch.randn(2, TOKENS, layer.in_features, generator=rng)
            expected = layer(x)

            layer.learned = learned_factors(layer, "day")

            torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)

    def test_other_adapters_than_those_are_not_computed_so(self, layers, rng):
        """
        As where the live version alone is asked in between.
        """
        layer = layers("llama")[0]
        x = torch.randn(TOKENS, layer.in_features, generator=rng)
        layer.learned = learned_factors(layer, "day")
        both = layer(x)

        layer.set_adapter(["live"], inference_mode=True)

        assert not torch.allclose(layer(x), both)

    def test_dropout_is_left_to_the_layer(self, layers):
        assert learned_factors(layers("llama", dropout=0.1)[0], "day") is None

    def test_a_matrix_that_lies_the_other_way_is_left_to_the_layer(self, layers):
        assert learned_factors(layers("gpt2")[0], "day") is None
