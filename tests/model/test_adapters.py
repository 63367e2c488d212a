"""Adapters on a base: what goes in computes, comes out again, and leaves no trace."""

import math

import pytest
import torch

from sleepcycle.errors import AdapterError
from sleepcycle.model.adapters import (
    activate,
    attach,
    attached,
    check_fits,
    day_config,
    is_finite,
    layers,
    new_day,
    on_base,
    only_active,
    parameters,
    read,
    remove,
    removed_after,
)
from sleepcycle.model.fit import fit
from sleepcycle.numerics.lowrank import LowRank, compose_layers, pad
from tests.model.conftest import (
    assert_alike,
    assert_same,
    base_weights,
    dense,
    logits,
    logits_of,
    make_plan,
    some_examples,
)


def every_other(changes):
    """Return the changes of every second layer."""
    return {path: changes[path] for path in list(changes)[::2]}


class TestAttach:
    def test_it_computes_once_it_is_active(self, base, random_changes):
        bare = logits_of(base.model)
        attach(base, "live", random_changes(base.targets))

        assert torch.equal(logits_of(base.model), bare)
        assert (logits(base, "live") - bare).abs().max() > 0.1

    def test_no_adapter_active_is_the_bare_base(self, base, random_changes):
        """
        To the last bit, not nearly: retention is measured against it.
        """
        bare = logits_of(base.model)
        attach(base, "live", random_changes(base.targets))
        new_day(base, "day", day_config(4, 8.0, 0.0), seed=0)
        logits(base, "live", "day")

        assert torch.equal(logits(base), bare)

    def test_it_computes_as_the_change_in_the_weights(self, base, random_changes):
        """
        The law all else rests on: W x + up (down x) is (W + up down) x.
        """
        changes = random_changes(base.targets)
        attach(base, "live", changes)
        adapted = logits(base, "live")

        with torch.no_grad():
            for path, change in changes.items():
                weight = base.model.get_submodule(path).base_layer.weight
                weight += dense(change).T if base.targets.transposed else dense(change)
        assert_alike(logits(base), adapted)

    def test_in_float64_it_is_so_beyond_float32(self, base, random_changes):
        """
        Against rounding that hides errors: a change off by 1e-6 would fail here.
        """
        changes = random_changes(base.targets)
        attach(base, "live", changes)
        base.model.double()
        adapted = logits(base, "live")

        with torch.no_grad():
            for path, change in changes.items():
                weight = base.model.get_submodule(path).base_layer.weight
                whole = change.up.double() @ change.down.double()
                weight += whole.T if base.targets.transposed else whole
        torch.testing.assert_close(logits(base), adapted, rtol=0, atol=1e-7)

    def test_live_and_day_are_the_composed_change(self, base, random_changes, load):
        live = random_changes(base.targets)
        day = random_changes(base.targets, width=2)
        attach(base, "live", live)
        attach(base, "day", day)
        together = logits(base, "live", "day")

        other = load(base.identity.id)
        attach(other, "whole", compose_layers(live, day))

        assert_alike(logits(other, "whole"), together)

    def test_adapters_on_some_layers_compose_too(self, base, random_changes, load):
        live = every_other(random_changes(base.targets))
        day = random_changes(base.targets, width=2)
        attach(base, "live", live)
        attach(base, "day", day)
        together = logits(base, "live", "day")

        other = load(base.identity.id)
        attach(other, "whole", compose_layers(live, day))

        assert_alike(logits(other, "whole"), together)

    def test_what_is_read_is_what_was_attached(self, base, random_changes):
        changes = random_changes(base.targets)

        attach(base, "live", changes)

        assert_same(read(base, "live"), changes)

    def test_only_the_layers_of_the_change_carry_it(self, base, random_changes):
        changes = every_other(random_changes(base.targets))

        attach(base, "live", changes)

        assert_same(read(base, "live"), changes)

    def test_layers_of_unequal_rank_are_padded(self, llama, random_changes):
        changes = random_changes(llama.targets)
        path = next(iter(changes))
        wide = random_changes(llama.targets, width=5)[path]

        attach(llama, "live", changes | {path: wide})

        found = read(llama, "live")
        assert {change.rank for change in found.values()} == {5}
        assert_same({path: found[path]}, {path: wide})
        assert_same(found | {path: wide}, _padded(changes, 5) | {path: wide})

    def test_factors_stay_float32_on_a_half_precision_base(self, load, random_changes):
        half = load("builtin:nano", dtype="bfloat16")
        changes = random_changes(half.targets)

        attach(half, "live", changes)

        assert_same(read(half, "live"), changes)

    def test_base_weights_stay_as_they_were(self, base, random_changes):
        before = base_weights(base)

        attach(base, "live", random_changes(base.targets))

        _assert_untouched(base, before)

    def test_what_is_read_is_a_copy(self, llama, random_changes):
        changes = random_changes(llama.targets)
        attach(llama, "live", changes)

        for change in read(llama, "live").values():
            change.up.zero_()
            change.down.zero_()

        assert_same(read(llama, "live"), changes)


class TestNewDay:
    def test_it_starts_as_nothing(self, base):
        bare = logits_of(base.model)

        new_day(base, "day", day_config(4, 8.0, 0.0), seed=0)

        torch.testing.assert_close(logits(base, "day"), bare, rtol=0, atol=0)
        assert set(read(base, "day")) == set(base.targets.shapes)

    def test_it_goes_on_from_a_start_exactly(self, base, random_changes, load):
        start = random_changes(base.targets)
        new_day(base, "day", day_config(8, 16.0, 0.0), seed=0, start=start)

        for path, change in read(base, "day").items():
            torch.testing.assert_close(
                dense(change), dense(start[path]), rtol=0, atol=0
            )
        other = load(base.identity.id)
        attach(other, "start", start)
        assert_alike(logits(base, "day"), logits(other, "start"))

    def test_free_directions_can_learn(self, llama, random_changes):
        """
        A random row in `down`, zero in `up`: nothing now, and a gradient for `up`.
        """
        start = random_changes(llama.targets, width=3)

        new_day(llama, "day", day_config(8, 16.0, 0.0), seed=0, start=start)

        for path, change in read(llama, "day").items():
            assert torch.equal(change.down[:3], start[path].down)
            assert (change.up[:, 3:] == 0).all()
            assert (change.down[3:].abs().sum(dim=1) > 0).all()

    def test_directions_padded_with_zeros_are_free_too(self, llama, random_changes):
        """
        A day that was sealed comes back wider than it was learned.
        """
        start = random_changes(llama.targets, width=3)

        padded = {path: pad(change, 8) for path, change in start.items()}
        new_day(llama, "day", day_config(8, 8.0, 0.0), seed=0, start=padded)

        for change in read(llama, "day").values():
            assert (change.down.abs().sum(dim=1) > 0).all()

    def test_every_direction_moves_when_trained(self, llama, random_changes):
        start = random_changes(llama.targets, width=3)
        new_day(llama, "day", day_config(6, 12.0, 0.0), seed=0, start=start)
        before = read(llama, "day")
        activate(llama, ["day"])

        fit(llama, make_plan(), [some_examples(llama)] * 3, on_progress=_nothing)

        for path, change in read(llama, "day").items():
            moved = (change.up - before[path].up).abs().amax(dim=0)
            assert (moved > 0).all(), path

    def test_a_layer_the_start_leaves_out_is_fresh(self, llama, random_changes):
        start = every_other(random_changes(llama.targets))

        new_day(llama, "day", day_config(4, 8.0, 0.0), seed=0, start=start)

        found = read(llama, "day")
        for path in set(found) - set(start):
            assert (found[path].up == 0).all()
            assert (found[path].down.abs().sum(dim=1) > 0).all()

    def test_the_seed_decides_the_random_rows(self, load):
        def rows(seed):
            base = load("builtin:nano")
            new_day(base, "day", day_config(4, 8.0, 0.0), seed=seed)
            return torch.cat([c.down.flatten() for c in read(base, "day").values()])

        assert torch.equal(rows(1), rows(1))
        assert not torch.equal(rows(1), rows(2))

    def test_the_global_generator_is_left_as_it_was(self, llama):
        before = torch.get_rng_state()

        new_day(llama, "day", day_config(4, 8.0, 0.0), seed=3)

        assert torch.equal(torch.get_rng_state(), before)

    def test_alpha_scales_what_is_learned_and_not_what_is_known(
        self, llama, random_changes
    ):
        """
        A raw step of one in `up` is alpha / rank in the change.
        """
        new_day(llama, "day", day_config(4, 12.0, 0.0), seed=0)
        path = next(iter(llama.targets.shapes))
        factor = llama.model.get_submodule(path).lora_B["day"].weight
        factor.data.fill_(1.0)

        assert torch.equal(read(llama, "day")[path].up, torch.full_like(factor, 3.0))


class TestTraining:
    def test_only_the_day_learns(self, base, random_changes):
        live = random_changes(base.targets)
        attach(base, "live", live)
        new_day(base, "day", day_config(4, 8.0, 0.0), seed=0)
        weights, day = base_weights(base), read(base, "day")
        activate(base, ["live", "day"])

        fit(base, make_plan(), [some_examples(base)] * 3, on_progress=_nothing)

        _assert_untouched(base, weights)
        assert_same(read(base, "live"), live)
        for path, change in read(base, "day").items():
            assert not torch.equal(change.up, day[path].up), path
            assert not torch.equal(change.down, day[path].down), path

    def test_only_the_day_has_gradients(self, llama, random_changes):
        attach(llama, "live", random_changes(llama.targets))
        new_day(llama, "day", day_config(4, 8.0, 0.0), seed=0)

        found = parameters(llama, "day")

        assert len(found) == 2 * len(llama.targets.shapes)
        assert {
            name for name, weight in llama.model.named_parameters()
            if weight.requires_grad
        } == {
            f"{path}.lora_{factor}.day.weight"
            for path in llama.targets.shapes
            for factor in "AB"
        }  # fmt: skip


class TestRemove:
    def test_the_rest_computes_as_before(self, base, random_changes):
        attach(base, "live", random_changes(base.targets))
        alone = logits(base, "live")
        new_day(base, "day", day_config(4, 8.0, 0.0), seed=0)

        remove(base, "day")

        assert read(base, "day") == {}
        assert torch.equal(logits(base, "live"), alone)

    def test_none_is_active_afterwards(self, base, random_changes):
        bare = logits_of(base.model)
        attach(base, "live", random_changes(base.targets))
        attach(base, "candidate", random_changes(base.targets))
        activate(base, ["live", "candidate"])

        remove(base, "candidate")

        assert torch.equal(logits_of(base.model), bare)

    def test_the_name_is_free_again(self, llama, random_changes):
        attach(llama, "live", random_changes(llama.targets, width=2))
        remove(llama, "live")
        changes = random_changes(llama.targets, width=5)

        attach(llama, "live", changes)

        assert_same(read(llama, "live"), changes)


class TestAttached:
    def test_it_alone_computes(self, llama, random_changes):
        changes = random_changes(llama.targets)
        attach(llama, "other", random_changes(llama.targets))
        attach(llama, "same", changes)
        expected = logits(llama, "same")
        activate(llama, ["other"])

        with attached(llama, "live", changes):
            found = logits_of(llama.model)

        assert torch.equal(found, expected)

    def test_no_change_is_the_bare_base(self, llama, random_changes):
        bare = logits_of(llama.model)
        attach(llama, "other", random_changes(llama.targets))
        activate(llama, ["other"])

        with attached(llama, "live", {}):
            found = logits_of(llama.model)

        assert torch.equal(found, bare)

    def test_a_failure_leaves_the_base_bare(self, llama, random_changes):
        bare = logits_of(llama.model)

        with (
            pytest.raises(ArithmeticError, match="by the way"),
            attached(llama, "live", random_changes(llama.targets)),
        ):
            raise ArithmeticError("by the way")

        assert torch.equal(logits_of(llama.model), bare)
        assert not list(layers(llama, "live"))

    def test_changes_that_do_not_fit_leave_it_bare_too(self, llama, random_changes):
        bare = logits_of(llama.model)
        attach(llama, "other", random_changes(llama.targets))
        activate(llama, ["other"])
        wrong = {"nowhere": LowRank(torch.ones(2, 1), torch.ones(1, 2))}

        with (
            pytest.raises(AdapterError, match="changes nowhere"),
            attached(llama, "live", wrong),
        ):
            pass

        assert torch.equal(logits_of(llama.model), bare)

    def test_what_was_attached_before_stays(self, llama, random_changes):
        attach(llama, "other", random_changes(llama.targets))

        with (
            pytest.raises(ArithmeticError, match="by the way"),
            only_active(llama, ["other"]),
        ):
            raise ArithmeticError("by the way")

        assert list(layers(llama, "other"))
        assert not any(layer.active_adapters for _, layer in layers(llama, "other"))


class TestOnBase:
    def test_none_of_them_computes(self, llama, random_changes):
        bare = logits_of(llama.model)
        changes = random_changes(llama.targets)

        with on_base(llama, {"one": changes, "two": changes}):
            assert list(layers(llama, "one"))
            assert list(layers(llama, "two"))
            assert torch.equal(logits_of(llama.model), bare)

    def test_all_are_off_again_where_a_later_one_does_not_fit(
        self, llama, random_changes
    ):
        with (
            pytest.raises(AdapterError, match="changes no layer"),
            on_base(llama, {"one": random_changes(llama.targets), "two": {}}),
        ):
            pass

        assert not list(layers(llama, "one"))


def test_what_was_put_on_is_removed_after_a_failure(llama):
    new_day(llama, "day", day_config(2, 4.0, 0.0), seed=1)

    with (
        pytest.raises(RuntimeError, match="stop"),
        removed_after(llama, ["day", "never put on"]),
    ):
        raise RuntimeError("stop")

    assert not list(layers(llama, "day"))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("factor", ["up", "down"])
def test_one_broken_value_is_seen(value, factor):
    change = LowRank(torch.ones(3, 2), torch.ones(2, 4))
    assert is_finite({"layer": change})

    getattr(change, factor)[1, 1] = value

    assert not is_finite({"layer": change})


class TestCheckFits:
    def test_a_layer_that_does_not_exist_is_named(self, llama, random_changes):
        changes = {"model.layers.9.mlp.up_proj": LowRank.zero((48, 32))}

        with pytest.raises(
            AdapterError,
            match=r"changes model\.layers\.9\.mlp\.up_proj, which is none of this "
            r"base's 14 target layers; use its own base",
        ):
            check_fits(random_changes(llama.targets) | changes, llama.targets)

    def test_a_layer_of_another_shape_is_named(self, llama):
        path = "model.layers.0.mlp.up_proj"

        with pytest.raises(
            AdapterError,
            match=r"up_proj: expected a change of shape \(48, 32\) .* got \(32, 48\)",
        ):
            attach(llama, "live", {path: LowRank.zero((32, 48))})

    def test_no_change_at_all_is_refused(self, llama):
        with pytest.raises(AdapterError, match="changes no layer at all"):
            check_fits({}, llama.targets)


def _nothing(progress):
    """Take no note of progress."""


def _padded(changes, rank):
    """Pad all changes to one rank."""
    return {path: pad(change, rank) for path, change in changes.items()}


def _assert_untouched(base, before):
    """Hold all weights of the base equal to the last bit."""
    after = base_weights(base)
    assert set(after) == set(before)
    for name, weight in before.items():
        assert torch.equal(after[name], weight), name
