"""Merged weights: they compute what the adapters do, and nothing is left of them."""

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sleepcycle.model.adapters import activate, attach, layers
from sleepcycle.model.generate import answer
from sleepcycle.model.merged import merged
from tests.model.conftest import assert_alike, base_weights, logits_of
from tests.model.test_generate import prompts_of


@pytest.fixture
def adapted(base, random_changes):
    """A base of each kind with two adapters, both of them active."""
    attach(base, "live", random_changes(base.targets))
    attach(base, "day", random_changes(base.targets, width=2))
    activate(base, ["live", "day"])
    return base


class SecondSumIsFull(TorchFunctionMode):
    """A machine whose memory is full at the second sum of weights, and no other."""

    sums = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Compute what is asked for, but for one sum."""
        self.sums += function is torch.addmm
        if function is torch.addmm and self.sums == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return function(*args, **(kwargs or {}))


def tensors(base):
    """Return the very tensors of all weights."""
    return {name: weight.data for name, weight in base.model.named_parameters()}


class TestMerged:
    def test_it_computes_what_adapters_beside_the_weights_do(self, adapted):
        beside = logits_of(adapted.model)

        with merged(adapted, 2) as is_merged:
            found = logits_of(adapted.model)

        assert is_merged
        assert_alike(found, beside)

    def test_only_what_is_active_is_merged(self, adapted):
        activate(adapted, ["day"])
        beside = logits_of(adapted.model)

        with merged(adapted, 2):
            found = logits_of(adapted.model)

        assert_alike(found, beside)

    def test_nothing_is_left_of_it(self, adapted):
        before, addresses = base_weights(adapted), tensors(adapted)
        beside = logits_of(adapted.model)

        with merged(adapted, 2):
            pass

        assert torch.equal(logits_of(adapted.model), beside)
        assert all(torch.equal(w, before[n]) for n, w in base_weights(adapted).items())
        assert {n: w.data_ptr() for n, w in tensors(adapted).items()} == {
            n: w.data_ptr() for n, w in addresses.items()
        }

    def test_nothing_is_left_of_it_after_an_exception(self, adapted):
        beside = logits_of(adapted.model)

        with pytest.raises(RuntimeError, match="out"), merged(adapted, 2):
            raise RuntimeError("out")

        assert torch.equal(logits_of(adapted.model), beside)
        assert len(list(layers(adapted, "live"))) == len(adapted.targets.shapes)

    def test_where_sums_have_no_room_adapters_stay_beside(self, adapted):
        """
        What else is on the machine may have taken what was free a moment before.
        """
        beside, addresses = logits_of(adapted.model), tensors(adapted)

        with SecondSumIsFull(), merged(adapted, 2) as is_merged:
            found = logits_of(adapted.model)

        assert not is_merged
        assert torch.equal(found, beside)
        assert {n: w.data_ptr() for n, w in tensors(adapted).items()} == {
            n: w.data_ptr() for n, w in addresses.items()
        }

    def test_a_merge_within_a_merge_changes_nothing(self, adapted):
        with merged(adapted, 2):
            once = logits_of(adapted.model)
            with merged(adapted, 2):
                twice = logits_of(adapted.model)
            after = logits_of(adapted.model)

        assert torch.equal(once, twice)
        assert torch.equal(once, after)

    def test_on_a_cpu_one_answer_is_not_worth_it(self, adapted):
        with merged(adapted, 1) as is_merged:
            assert not is_merged

    def test_a_weight_keeps_its_dtype(self, tiny, load, random_changes):
        base = load(tiny, dtype="bfloat16")
        attach(base, "live", random_changes(base.targets))
        activate(base, ["live"])

        with merged(base, 2) as is_merged:
            kinds = {weight.dtype for weight in base.model.parameters()}

        assert is_merged
        assert kinds == {torch.bfloat16}

    def test_what_is_no_plain_weight_stays_unmerged(self, llama, random_changes):
        """
        As bitsandbytes' are: a kind of parameter of their own, in whole numbers.
        """

        class Packed(nn.Parameter):
            pass

        attach(llama, "live", random_changes(llama.targets))
        activate(llama, ["live"])
        _, layer = next(layers(llama, "live"))
        packed = Packed(layer.base_layer.weight.data, requires_grad=False)
        layer.base_layer.weight = packed
        beside = logits_of(llama.model)

        with merged(llama, 2) as is_merged:
            found = logits_of(llama.model)

        assert not is_merged
        assert torch.equal(found, beside)

    def test_answers_are_the_same(self, adapted):
        prompts = prompts_of(adapted)

        together = answer(adapted, prompts, max_new_tokens=8)

        assert together == [
            answer(adapted, [one], max_new_tokens=8)[0] for one in prompts
        ]
