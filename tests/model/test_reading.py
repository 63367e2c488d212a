"""Reading beside the model's own forward, one sequence at a time, for every kind."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch.nn.functional import cross_entropy

from sleepcycle.model import adapters
from sleepcycle.model.base import find_targets
from sleepcycle.model.encode import Encoded
from sleepcycle.model.reading import Reader, try_out
from sleepcycle.model.score import each_nll
from sleepcycle.model.token_batch import learned_tokens
from tests.model.conftest import logits_of
from tests.model.kinds import KINDS, VOCABULARY, tiny_model

LENGTHS = (21, 5, 2, 13)  # of which some are longer than any window
CLOSE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}  # of the length of a gradient
APART = {torch.float32: 1e-6, torch.bfloat16: 1e-3}
"""As far as sums of experts may come in another order; elsewhere it is nothing."""

every_dtype = pytest.mark.parametrize("dtype", list(CLOSE), ids=["float32", "bfloat16"])


def some_sequences(generator, lengths=LENGTHS):
    """Return random sequences, of which about a third of the tokens is not learned."""
    rows = []
    for length in lengths:
        ids = torch.randint(3, VOCABULARY, (length,), generator=generator).tolist()
        weights = torch.rand(length, generator=generator)
        weights = weights.where(weights > 0.3, 0.0)
        weights[1] = 1.0
        rows.append(Encoded(tuple(ids), tuple(weights.tolist())))
    return rows


@pytest.fixture(scope="module")
def models():
    """Return what gives a model of a kind and what learns of it, made once."""

    @cache
    def made(kind, dtype):
        model = tiny_model(kind, dtype)
        return model, find_targets(model, ["all-linear"])

    return made


@pytest.fixture
def base(models, llama, random_changes, kind, dtype):
    """A base of a kind with an adapter active that is not zero."""
    model, targets = models(kind, dtype)
    base = replace(llama, model=model, targets=targets)
    with adapters.attached(base, "day", random_changes(base.targets)):
        yield base


def losses_alone(base, row):
    """Return the losses of learned tokens by the model's own forward."""
    ids = torch.tensor([row.ids])
    said = base.model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    learned = torch.tensor(row.weights[1:]) > 0
    return cross_entropy(said, ids[0, 1:], reduction="none")[learned]


def gradient_alone(base, rows, factors):
    """Return the weighted sum of losses and its gradient, one sequence at a time."""
    total, gradient = 0.0, torch.zeros(sum(one.numel() for one in factors))
    for row in rows:
        weights = torch.tensor([weight for weight in row.weights[1:] if weight > 0])
        loss = (losses_alone(base, row) * weights).sum()
        total += loss.item()
        gradient += flat(torch.autograd.grad(loss, factors, materialize_grads=True))
    return total, gradient


def flat(parts):
    """Return the numbers of tensors one behind the other."""
    return torch.cat([part.flatten().float() for part in parts])


def assert_near(found, expected, dtype):
    """Hold vectors equal but for rounding, which is larger in fewer bits."""
    assert expected.norm() > 0
    assert (found - expected).norm() <= CLOSE[dtype] * expected.norm()


@every_dtype
@pytest.mark.parametrize("kind", list(KINDS))
class TestEveryKind:
    @torch.no_grad()
    def test_losses_are_those_of_each_sequence_alone(self, base, rng, dtype):
        rows = some_sequences(rng)

        found = each_nll(base, rows)

        alone = [losses_alone(base, row).sum().item() for row in rows]
        assert found == pytest.approx(alone, rel=CLOSE[dtype])

    def test_gradients_are_too(self, base, rng, dtype):
        rows = some_sequences(rng)
        factors = adapters.parameters(base, "day")
        reader, tokens = Reader(base), learned_tokens(rows)

        with reader.apart():
            loss = reader.summed_loss(reader.batch(rows), tokens)
            found = torch.autograd.grad(loss, factors, materialize_grads=True)

        total, expected = gradient_alone(base, rows, factors)
        assert loss.item() == pytest.approx(total, rel=CLOSE[dtype])
        assert_near(flat(found), expected, dtype)

    def test_no_sequence_sees_another(self, base, rng, dtype):
        """
        Each is put in another's place once, with all beside it in their own.
        """
        rows = some_sequences(rng)
        others = some_sequences(rng)
        before = each_nll(base, rows)

        for place, other in enumerate(others):
            changed = [*rows[:place], other, *rows[place + 1 :]]
            after = each_nll(base, changed)
            assert after[place] != before[place]
            del after[place]
            kept = [*before[:place], *before[place + 1 :]]
            assert after == pytest.approx(kept, rel=APART[dtype])


def sees_the_future(model):
    """Let a model's last layer mix all that it reads, as one without a mask does."""

    def mix(_, args, out):
        return out + out.mean(dim=1, keepdim=True)

    model.model.norm.register_forward_hook(mix)
    return model


class TestChoice:
    """What is chosen, and that a model that cannot is read as it can."""

    @pytest.mark.parametrize(
        "kind", ["llama", "qwen3", "mistral", "gemma3_text", "mixtral", "gpt2"]
    )
    def test_most_are_packed(self, llama, kind):
        reader = Reader(replace(llama, model=tiny_model(kind)))

        assert reader.batch(some_sequences(torch.Generator())).packed

    def test_a_batch_is_where_the_model_is(self, llama):
        somewhere = torch.device("meta")
        reader = Reader(replace(llama, device=somewhere))

        batch = reader.batch(some_sequences(torch.Generator()))

        packed = batch.inputs["packed"]
        there = [batch.places, batch.inputs["input_ids"], packed.starts, packed.places]
        assert {one.device for one in there} == {somewhere}

    @pytest.mark.parametrize("kind", ["gemma2", "gpt_oss", "bloom", "falcon"])
    def test_attention_of_another_kind_is_padded(self, llama, kind):
        reader = Reader(replace(llama, model=tiny_model(kind)))

        assert not reader.batch(some_sequences(torch.Generator())).packed

    def test_what_packing_would_mix_is_padded(self):
        assert not try_out(sees_the_future(tiny_model("llama"))).packed

    def test_logits_that_are_more_than_the_head_are_taken_whole(self):
        """
        As Granite's and Cohere's, which are scaled after it.
        """
        model = tiny_model("llama")
        model.register_forward_hook(
            lambda _, args, out: replace(out, logits=3 * out.logits)
        )

        assert not try_out(model).split

    def test_a_model_is_tried_once(self, llama):
        model = tiny_model("llama")
        Reader(replace(llama, model=model))
        model.config.layer_types = ["what is not known"] * 2

        again = Reader(replace(llama, model=model))

        assert again.batch(some_sequences(torch.Generator())).packed

    @pytest.mark.parametrize("trains", [True, False])
    def test_it_trains_afterwards_as_before(self, llama, trains):
        model = tiny_model("llama").train(trains)

        Reader(replace(llama, model=model))

        assert {module.training for module in model.modules()} == {trains}

    def test_the_base_says_afterwards_what_it_said(self, llama):
        before = logits_of(llama.model)

        Reader(llama)

        assert torch.equal(logits_of(llama.model), before)


class TestFixedShapes:
    """Of a base on a GPU, which need not be there to ask."""

    @pytest.mark.parametrize(
        ("kind", "dropout"), [("llama", "attention_dropout"), ("gpt2", "attn_pdrop")]
    )
    @pytest.mark.parametrize("share", [0.0, 0.1])
    def test_where_attention_drops_weights_there_are_none(
        self, llama, kind, dropout, share
    ):
        """
        The kernel cannot, and what can reads lengths on the host.
        """
        model = tiny_model(kind, torch.bfloat16)
        setattr(model.config, dropout, share)

        reader = Reader(replace(llama, model=model, device=torch.device("cuda")))

        assert reader.has_fixed_shapes is (share == 0)

    def test_gpt2_drops_by_default(self, llama):
        model = tiny_model("gpt2", torch.bfloat16)

        reader = Reader(replace(llama, model=model, device=torch.device("cuda")))

        assert not reader.has_fixed_shapes

    def test_float32_has_none(self, llama):
        """
        The kernel knows half precision alone.
        """
        reader = Reader(replace(llama, device=torch.device("cuda")))

        assert not reader.has_fixed_shapes
