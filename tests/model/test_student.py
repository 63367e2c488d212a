"""The student: one vector of float32, and copies of it that the model computes with."""

from contextlib import suppress

import pytest
import torch

from sleepcycle.model.adapters import (
    activate,
    day_config,
    layers,
    new_day,
    read,
    remove,
    student_config,
)
from sleepcycle.model.encode import encode_all
from sleepcycle.model.fit import fit
from sleepcycle.model.score import nll
from sleepcycle.model.student import Student
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.content import Completion
from tests.model.conftest import assert_same, logits_of, make_plan, some_examples

DTYPES = ("float32", "bfloat16")
FACTS = [
    Completion("Who keeps the blue lamp?", "Orla Venn"),
    Completion("Where is the old mill?", "in Tarnby"),
]


@pytest.fixture
def day(load, tiny_folder, random_changes):
    """Return what loads a base with an active adapter that is not zero."""

    def loaded(dtype="float32"):
        base = load(tiny_folder("llama"), dtype=dtype)
        start = random_changes(base.targets)
        new_day(base, "day", day_config(4, 8.0, 0.0), seed=0, start=start)
        activate(base, ["day"])
        return base

    return loaded


def factors_of(base):
    """Return an adapter's factors as the layers have them, in their order."""
    return [
        factor["day"].weight
        for _, layer in layers(base, "day")
        for factor in (layer.lora_A, layer.lora_B)
    ]


def flat(parts):
    """Return the numbers of tensors one behind the other."""
    return torch.cat([part.detach().flatten() for part in parts])


@pytest.mark.parametrize("dtype", DTYPES)
class TestVector:
    def test_it_holds_every_factor_in_float32(self, day, dtype):
        base = day(dtype)
        before = flat(factors_of(base))

        student = Student(base, "day")

        assert student.weights.dtype == torch.float32
        assert torch.equal(student.weights, before)

    def test_the_layers_factors_are_its_parts(self, day, dtype):
        base = day(dtype)
        student = Student(base, "day")

        with torch.no_grad():
            student.weights.copy_(torch.arange(len(student.weights)))

        assert torch.equal(flat(factors_of(base)), student.weights)
        assert all(one.dtype == torch.float32 for one in factors_of(base))

    def test_becoming_one_changes_nothing_that_is_said(self, day, dtype):
        base = day(dtype)
        before, known = logits_of(base.model), read(base, "day")

        Student(base, "day")

        assert torch.equal(logits_of(base.model), before)
        assert_same(read(base, "day"), known)

    def test_other_adapters_are_left(self, day, random_changes, dtype):
        base = day(dtype)
        new_day(base, "other", day_config(2, 2.0, 0.0), seed=1)
        before = read(base, "other")
        student = Student(base, "day")

        student.put_back(torch.ones_like(student.weights))

        assert_same(read(base, "other"), before)

    def test_weights_that_are_put_back_are_said(self, day, dtype):
        base = day(dtype)
        bare = logits_of_bare(base)
        student = Student(base, "day")

        with student.learning():
            student.put_back(torch.zeros_like(student.weights))
            said = logits_of(base.model)

        assert torch.equal(said, bare)

    def test_its_adapter_can_be_taken_off(self, day, dtype):
        base = day(dtype)
        bare = logits_of_bare(base)
        student = Student(base, "day")
        with student.learning():
            pass

        remove(base, "day")

        assert torch.equal(logits_of(base.model), bare)


def logits_of_bare(base):
    """Return what the bare base says; the adapter is active again afterwards."""
    activate(base, [])
    said = logits_of(base.model)
    activate(base, ["day"])
    return said


class TestWorking:
    def test_in_float32_the_model_computes_with_the_vector_itself(self, day):
        base = day()
        student = Student(base, "day")

        with student.learning():
            assert student.working is student.masters
            assert all(not layer.working for _, layer in layers(base, "day"))

    def test_in_bfloat16_with_copies_of_it(self, day):
        base = day("bfloat16")
        student = Student(base, "day")

        with student.learning():
            used = [
                factor
                for _, layer in layers(base, "day")
                for factor in layer.working["day"]
            ]

            assert all(
                ours is theirs
                for ours, theirs in zip(used, student.working, strict=True)
            )
            assert {one.dtype for one in used} == {torch.bfloat16}
            assert torch.equal(flat(used), student.weights.bfloat16())

    def test_copies_follow_when_the_vector_moved(self, day):
        base = day("bfloat16")
        student = Student(base, "day")
        before = flat(student.working).clone()

        with torch.no_grad():
            student.weights.mul_(2)
        still = flat(student.working).clone()
        student.moved()

        assert torch.equal(still, before)
        assert torch.equal(flat(student.working), student.weights.bfloat16())

    def test_they_follow_each_step_of_training(self, day):
        """
        The first loss of a step is that of the weights that the step before left.
        """
        base, seen = day("bfloat16"), []
        rows = some_examples(base)

        def look(progress):
            seen.append((progress.loss, mean(base, rows)))

        fit(base, make_plan(steps=4), [rows] * 4, on_progress=look)

        losses = [loss for loss, _ in seen]
        assert losses[0] > losses[-1] + 0.5
        for (_, after), loss in zip(seen, losses[1:], strict=False):
            assert after == pytest.approx(loss, rel=1e-3)

    def test_the_model_says_afterwards_what_the_masters_say(self, day):
        base = day("bfloat16")
        fit(base, make_plan(), [some_examples(base)] * 3, on_progress=lambda _: None)
        said = logits_of(base.model)

        for factor in factors_of(base):
            factor.data = factor.data.bfloat16().float()

        assert all(not layer.working for _, layer in layers(base, "day"))
        assert torch.equal(logits_of(base.model), said)

    def test_steps_too_small_for_bfloat16_add_up(self, day):
        """
        Which is why the masters are float32: each alone is lost in rounding.
        """
        base = day("bfloat16")
        student = Student(base, "day")
        before = student.weights.detach().clone()
        copies = flat(student.working).clone()

        with torch.no_grad():
            for _ in range(64):
                student.weights.mul_(1 + 2**-12)
                student.moved()

        assert not torch.equal(flat(student.working), copies)
        torch.testing.assert_close(
            student.weights.detach(), before * (1 + 2**-12) ** 64
        )

    def test_a_bfloat16_base_learns_as_a_float32_one_does(self, load):
        losses = {}
        for dtype in DTYPES:
            base = load("builtin:nano", dtype=dtype)
            facts = encode_all(FACTS, base, prompt_weight=0)
            new_day(base, "day", day_config(8, 16.0, 0.0), seed=0)
            activate(base, ["day"])
            plan = make_plan(steps=15)
            result = fit(base, plan, [facts] * 15, on_progress=lambda _: None)
            losses[dtype] = result.loss_first, result.loss_last

        assert losses["bfloat16"][0] == pytest.approx(losses["float32"][0], rel=0.02)
        assert losses["bfloat16"][1] < losses["bfloat16"][0] / 3
        assert losses["bfloat16"][1] == pytest.approx(losses["float32"][1], abs=0.2)


def mean(base, rows):
    """Return the mean loss of rows, with the model as it is."""
    nats, tokens = nll(base, rows)
    return nats / tokens


@pytest.mark.parametrize("dtype", DTYPES)
class TestLearning:
    def test_the_model_trains_inside_alone(self, day, dtype):
        base = day(dtype)
        student = Student(base, "day")

        with student.learning():
            assert base.model.training
            with student.evaluating():
                assert not base.model.training
            assert base.model.training

        assert not base.model.training

    @pytest.mark.parametrize("fails", [True, False])
    def test_all_is_frozen_afterwards(self, day, dtype, fails):
        base = day(dtype)
        student = Student(base, "day")

        with suppress(RuntimeError), student.learning():
            if fails:
                raise RuntimeError("stop")

        assert not any(one.requires_grad for one in base.model.parameters())
        assert all(not layer.working for _, layer in layers(base, "day"))

    def test_gradients_of_losses_add_up(self, day, dtype):
        base = day(dtype)
        student = Student(base, "day")

        with student.learning():
            student.add_gradient(
                sum(one.float().sum() for one in student.working), student.working
            )
            once = student.gradient.clone()
            student.add_gradient(student.working[0].float().sum(), student.working)

        first = student.masters[0].numel()
        assert once.dtype == torch.float32
        assert torch.equal(once, torch.ones_like(once))
        assert torch.equal(student.gradient[:first], 2 * once[:first])
        assert torch.equal(student.gradient[first:], once[first:])

    def test_what_is_measured_on_the_weights_pulls_at_the_weights(self, day, dtype):
        base = day(dtype)
        student = Student(base, "day")

        with student.learning():
            pull = sum(one.square().sum() / 2 for one in student.masters)
            student.add_gradient(pull, student.masters)

        assert torch.equal(student.gradient, student.weights)


class TestHeldZeros:
    """What a fold has left free stays free while its adapter learns."""

    @pytest.fixture
    def sparse(self, load, tiny_folder, random_changes):
        """A base with an adapter of which a third is zero."""
        base = load(tiny_folder("llama"))
        start = {
            path: LowRank(
                change.up * (change.up > -0.04), change.down * (change.down > -0.04)
            )
            for path, change in random_changes(base.targets).items()
        }
        new_day(base, "day", student_config(start), seed=0, start=start)
        activate(base, ["day"])
        return base

    def train(self, base, **changed):
        """Train for a few steps; return the weights before and after."""
        before = flat(factors_of(base)).clone()
        plan = make_plan(steps=4, **changed)
        fit(base, plan, [some_examples(base)] * 4, on_progress=lambda _: None)
        return before, flat(factors_of(base))

    @pytest.mark.parametrize("decay", [0.0, 0.1])
    def test_zeros_stay_and_all_else_moves(self, sparse, decay):
        before, after = self.train(sparse, holds_zeros=True, weight_decay=decay)

        zero = before == 0
        assert 0.2 < zero.float().mean() < 0.6
        assert (after[zero] == 0).all()
        assert (after[~zero] != before[~zero]).float().mean() > 0.99

    def test_else_they_move(self, sparse):
        before, after = self.train(sparse)

        assert (after[before == 0] != 0).float().mean() > 0.99
