"""Losses at learned tokens, some at a time: the same as of all logits at once."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sleepcycle.model.adapters import activate, day_config, new_day, parameters
from sleepcycle.model.encode import Encoded
from sleepcycle.model.forward import Head, head_of, summed_loss, token_nll
from sleepcycle.model.memory_need import LOGITS_BYTES
from sleepcycle.model.reading import Reader
from sleepcycle.model.token_batch import LearnedTokens, learned_tokens
from tests.model.conftest import some_examples
from tests.model.kinds import VOCABULARY, tiny_model

TOKENS, WIDTH = 11, 8


def head(module, cap, at_once):
    """Return a head of a model in float32."""
    return Head(module, cap, at_once, torch.float32)


@pytest.fixture
def module(rng):
    """A head that does not learn."""
    layer = nn.Linear(WIDTH, VOCABULARY, bias=False).requires_grad_(False)
    layer.weight.normal_(generator=rng)
    return layer


@pytest.fixture
def hidden(rng):
    """Hidden states."""
    return torch.randn(TOKENS, WIDTH, generator=rng).requires_grad_()


@pytest.fixture
def tokens(rng):
    """Learned tokens of unlike weight."""
    return LearnedTokens(
        targets=torch.randint(VOCABULARY, (TOKENS,), generator=rng),
        weights=torch.rand(TOKENS, generator=rng),
    )


def whole_loss(logits, tokens):
    """Return the sum of losses by weight, of all logits at once."""
    each = cross_entropy(logits, tokens.targets, reduction="none")
    return (each * tokens.weights).sum()


@pytest.mark.parametrize("at_once", [1, 2, 4, TOKENS, 100])
class TestSlices:
    @pytest.mark.parametrize("cap", [None, 2.0])
    def test_sum_and_gradient_are_those_of_the_whole(
        self, module, hidden, tokens, at_once, cap
    ):
        """
        Also where logits are bent, as Gemma 2's are.
        """
        found = summed_loss(hidden, head(module, cap, at_once), tokens)

        logits = module(hidden)
        if cap is not None:
            logits = cap * (logits / cap).tanh()
        expected = whole_loss(logits, tokens)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)
        torch.testing.assert_close(
            torch.autograd.grad(3 * found, hidden),
            torch.autograd.grad(3 * expected, hidden),
            rtol=1e-5,
            atol=1e-6,
        )

    def test_no_more_logits_are_made_at_once(self, module, hidden, tokens, at_once):
        made = []
        module.register_forward_hook(lambda _, args, out: made.append(len(out)))

        summed_loss(hidden, head(module, None, at_once), tokens)

        assert sum(made) == TOKENS
        assert max(made) == min(at_once, TOKENS)

    def test_each_slice_has_its_own_tokens(self, module, hidden, tokens, at_once):
        seen = []

        def losses(logits, part):
            seen.extend(part.targets.tolist())
            return token_nll(logits, part)

        summed_loss(hidden, head(module, None, at_once), tokens, losses)

        assert seen == tokens.targets.tolist()


class TestSum:
    def test_it_is_float32_where_the_model_is_not(self, module, hidden, tokens):
        module.to(torch.bfloat16)
        states = hidden.detach().to(torch.bfloat16).requires_grad_()

        found = summed_loss(states, head(module, None, 2), tokens)

        [gradient] = torch.autograd.grad(found, states)
        expected = whole_loss(module(states).float(), tokens)
        assert found.dtype == torch.float32
        assert gradient.dtype == torch.bfloat16
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)

    def test_without_a_head_logits_come_in(self, rng, tokens):
        logits = torch.randn(TOKENS, VOCABULARY, generator=rng).requires_grad_()

        found = summed_loss(logits, head(None, None, 3), tokens)

        expected = whole_loss(logits, tokens)
        torch.testing.assert_close(
            torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits)
        )

    def test_of_no_tokens_it_is_zero_and_so_is_its_gradient(self, module):
        nothing = torch.zeros(0, WIDTH, requires_grad=True)
        none = LearnedTokens(torch.zeros(0, dtype=torch.long), torch.zeros(0))

        found = summed_loss(nothing, head(module, None, TOKENS), none)

        [gradient] = torch.autograd.grad(found, nothing)
        assert found.item() == 0
        assert gradient.shape == (0, WIDTH)

    def test_no_gradient_is_made_where_none_is_asked_for(self, module, hidden, tokens):
        with torch.no_grad():
            found = summed_loss(hidden, head(module, None, TOKENS), tokens)

        assert not found.requires_grad


class TestHead:
    def test_it_is_the_models_own(self):
        model = tiny_model("llama")

        found = head_of(model, split=True)

        assert found.module is model.lm_head
        assert (found.cap, found.at_once) == (None, LOGITS_BYTES[0] // (4 * VOCABULARY))
        assert found.dtype == torch.float32

    def test_logits_of_gemma_2_are_bent(self):
        assert head_of(tiny_model("gemma2"), split=True).cap == 30.0

    def test_where_it_is_not_asked_apart_there_is_none(self):
        assert head_of(tiny_model("llama"), split=False).module is None


class TestLogits:
    """What is not learned costs no logits."""

    @pytest.fixture
    def rows_made(self, llama):
        """Rows of logits of each time that the head of a random Llama is asked."""
        Reader(llama)  # has tried the model by now
        made = []
        llama.model.lm_head.register_forward_hook(
            lambda _, args, out: made.append(out.numel() // out.shape[-1])
        )
        return made

    @pytest.fixture
    def rows(self, llama):
        """Examples of which two tokens are learned each."""
        weights = (0.0,) * 5 + (1.0, 0.0, 0.5) + (0.0,) * 2
        return [Encoded(one.ids, weights) for one in some_examples(llama)]

    def test_training_makes_those_of_learned_tokens_alone(self, llama, rows, rows_made):
        new_day(llama, "day", day_config(4, 8.0, 0.0), seed=0)
        activate(llama, ["day"])
        reader, factors = Reader(llama), parameters(llama, "day")

        with reader.apart():
            loss = reader.summed_loss(reader.batch(rows), learned_tokens(rows))
            torch.autograd.grad(loss, factors)

        assert rows_made == [4 * 2]

    def test_so_does_scoring(self, llama, rows, rows_made):
        [(logits, tokens)] = Reader(llama).logits(rows, learned_tokens(rows))

        assert rows_made == [len(logits)] == [len(tokens.targets)] == [4 * 2]
