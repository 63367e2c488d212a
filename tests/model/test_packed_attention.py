"""Packed attention against sums that are written out, one sequence at a time."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import DbrxConfig

from sleepcycle.model.packed_attention import (
    PACKED,
    PackedAttention,
    attend,
    sequences,
)
from tests.model.kinds import tiny_model

HEADS, SIZE = 4, 8
EVEN, UNEVEN = (5, 7, 6), (23, 1, 2, 3, 1)


@pytest.fixture
def inputs(rng):
    """Return what makes queries, keys and values of some tokens, (1, heads, …)."""

    def make(lengths, heads=HEADS, shared=HEADS):
        tokens = sum(lengths)
        return tuple(
            torch.randn(1, many, tokens, SIZE, generator=rng).requires_grad_()
            for many in (heads, shared, shared)
        )

    return make


def slow(inputs, lengths, *, scaling=SIZE**-0.5, window=None):
    """Return what attention is by its formula, (1, tokens, heads, size)."""
    query, key, value = inputs
    groups = query.shape[1] // key.shape[1]
    key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
    parts, first = [], 0
    for length in lengths:
        q, k, v = (one[0, :, first : first + length] for one in (query, key, value))
        apart = torch.arange(length)[:, None] - torch.arange(length)
        seen = (apart >= 0) & (apart < (window or length))
        scores = (scaling * q @ k.mT).masked_fill(~seen, -torch.inf)
        parts.append(scores.softmax(dim=-1) @ v)
        first += length
    return torch.cat(parts, dim=1).transpose(0, 1)[None]


def fast(inputs, lengths, **options):
    """Return what the layer gives."""
    out, weights = attend(
        torch.nn.Module(), *inputs, None, packed=sequences(lengths), **options
    )
    assert weights is None
    return out


def assert_equal_with_gradients(inputs, found, expected, rng):
    """Hold two results equal, and the gradients of each input by some sum of them."""
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    outer = torch.randn(found.shape, generator=rng)
    ours, theirs = (
        torch.autograd.grad(one, inputs, outer) for one in (found, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


lengths_of_all_kinds = pytest.mark.parametrize(
    "lengths", [EVEN, UNEVEN, (9,), (1,), (1, 1, 1)], ids=str
)


class TestSequences:
    def test_they_begin_where_those_before_end(self):
        packed = sequences((3, 1, 2))

        assert packed.starts.tolist() == [0, 3, 4, 6]
        assert packed.starts.dtype == torch.int32
        assert packed.lengths == (3, 1, 2)
        assert packed.longest == 3

    def test_places_are_those_in_rows_of_the_longest(self):
        assert sequences((3, 1, 2)).places.tolist() == [0, 1, 2, 3, 6, 7]

    def test_even_ones_are_at_most_half_padding(self):
        """
        4 + 2 + 2 of 12 places, and 4 + 1 + 1 that half fill them; one less does not.
        """
        assert sequences((4, 2, 2)).even
        assert sequences((4, 1, 1)).even
        assert not sequences((5, 1, 1)).even


class TestAttend:
    @lengths_of_all_kinds
    def test_each_sequence_is_attended_to_alone(self, inputs, rng, lengths):
        given = inputs(lengths)

        found = fast(given, lengths)

        assert_equal_with_gradients(given, found, slow(given, lengths), rng)

    @pytest.mark.parametrize("shared", [1, 2])
    @pytest.mark.parametrize("lengths", [EVEN, UNEVEN], ids=str)
    def test_heads_may_share_keys(self, inputs, rng, lengths, shared):
        given = inputs(lengths, shared=shared)

        found = fast(given, lengths)

        assert_equal_with_gradients(given, found, slow(given, lengths), rng)

    @pytest.mark.parametrize("window", [1, 3, 6, 7, 100])
    @pytest.mark.parametrize("lengths", [EVEN, UNEVEN], ids=str)
    def test_a_window_hides_what_is_further_back(self, inputs, rng, lengths, window):
        """
        The token itself is one of those that it holds.
        """
        given = inputs(lengths)

        found = fast(given, lengths, sliding_window=window)

        expected = slow(given, lengths, window=window)
        assert_equal_with_gradients(given, found, expected, rng)

    @pytest.mark.parametrize("lengths", [EVEN, UNEVEN], ids=str)
    def test_scores_are_scaled_as_the_model_says(self, inputs, rng, lengths):
        given = inputs(lengths)

        found = fast(given, lengths, scaling=0.7)

        expected = slow(given, lengths, scaling=0.7)
        assert_equal_with_gradients(given, found, expected, rng)

    @pytest.mark.parametrize("lengths", [EVEN, UNEVEN], ids=str)
    def test_another_sequence_changes_nothing(self, inputs, lengths):
        """
        To the last bit, whatever stands in it.
        """
        given = inputs(lengths)
        changed = [one.detach().clone() for one in given]
        for one in changed:
            one[:, :, : lengths[0]] = 1e3

        before, after = (
            fast(each, lengths)[:, lengths[0] :] for each in (given, changed)
        )

        assert torch.equal(before, after)

    @pytest.mark.parametrize("lengths", [EVEN, UNEVEN], ids=str)
    def test_dropped_weights_keep_the_mean(self, inputs, lengths):
        given = [one.detach() for one in inputs(lengths)]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            drawn = [fast(given, lengths, dropout=0.3) for _ in range(500)]

        mean = torch.stack(drawn).mean(dim=0)

        assert not torch.equal(drawn[0], drawn[1])
        torch.testing.assert_close(mean, slow(given, lengths), rtol=0, atol=0.3)

    @pytest.mark.parametrize("name", ["softcap", "s_aux", "position_bias"])
    def test_attention_that_is_not_plain_is_refused(self, inputs, name):
        with pytest.raises(ValueError, match=rf"plain attention .* got \['{name}'\]"):
            fast(inputs(EVEN), EVEN, **{name: torch.ones(HEADS)})

    def test_so_is_a_mask(self, inputs):
        with pytest.raises(ValueError, match="plain attention over packed sequences"):
            attend(
                torch.nn.Module(),
                *inputs(EVEN),
                torch.ones(1, 1, 18, 18),
                packed=sequences(EVEN),
            )

    def test_and_a_model_that_hands_no_sequences_on(self, inputs):
        with pytest.raises(ValueError, match="plain attention over packed sequences"):
            attend(torch.nn.Module(), *inputs(EVEN), None)

    @pytest.mark.parametrize("lengths", [EVEN, UNEVEN], ids=str)
    def test_without_lengths_it_takes_the_kernel(self, inputs, lengths):
        """
        As of what is padded to a graph's size, which is then computed as it comes.
        """
        padded = replace(sequences(lengths), lengths=())

        with pytest.raises(RuntimeError, match=r"lengths .* where there is no kernel"):
            attend(torch.nn.Module(), *inputs(lengths), None, packed=padded)


class TestInAModel:
    def test_a_model_attends_so_inside_alone(self):
        model = tiny_model("llama")
        usual = model.config._attn_implementation

        with PackedAttention(model).active():
            assert model.config._attn_implementation == PACKED

        assert model.config._attn_implementation == usual

    def test_also_after_an_error(self):
        model = tiny_model("llama")
        usual = model.config._attn_implementation

        with pytest.raises(RuntimeError, match="stop"), PackedAttention(model).active():
            raise RuntimeError("stop")

        assert model.config._attn_implementation == usual

    def test_weights_are_dropped_in_training_alone(self):
        model = tiny_model("llama")
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = 0.5
        lengths = (5, 4)
        ids = torch.arange(9)[None] + 3
        places = torch.cat([torch.arange(length) for length in lengths])[None]

        def said():
            asked = {"input_ids": ids, "position_ids": places}
            with PackedAttention(model).active(), torch.no_grad():
                return model(**asked, packed=sequences(lengths)).logits

        with torch.random.fork_rng():
            evaluating = said(), said()
            model.train()
            training = said(), said()

        assert torch.equal(*evaluating)
        assert not torch.equal(*training)
        assert not torch.equal(training[0], evaluating[0])


class TestDrops:
    @pytest.mark.parametrize(
        ("kind", "drops"), [("llama", False), ("gpt2", True), ("opt", False)]
    )
    def test_it_is_as_a_kind_has_it(self, kind, drops):
        """
        OPT drops what comes out of its layers, which any attention allows.
        """
        assert PackedAttention(tiny_model(kind)).drops is drops

    def test_a_configuration_within_another_counts(self):
        model = nn.Linear(1, 1)
        model.config = DbrxConfig(attn_config={"attn_pdrop": 0.2})

        assert PackedAttention(model).drops
