"""Training: the loss falls, the best is kept, and what breaks is stopped in time."""

import math
from itertools import cycle

import pytest
import torch
from transformers import get_cosine_with_min_lr_schedule_with_warmup

from sleepcycle.errors import DivergedError
from sleepcycle.model.adapters import activate, attach, day_config, new_day, read
from sleepcycle.model.encode import Encoded, encode_all
from sleepcycle.model.fit import FINAL_SHARE, fit, learning_rate, rate_share
from sleepcycle.model.forward import token_nll
from sleepcycle.model.gradients import Objective
from sleepcycle.model.score import nll
from sleepcycle.model.token_batch import learned_tokens
from sleepcycle.records.content import Completion
from sleepcycle.settings.config import WakeSettings
from tests.model.conftest import assert_same, logits_of, make_plan, some_examples

FACTS = [
    Completion("Who keeps the blue lamp?", "Orla Venn"),
    Completion("Where is the old mill?", "in Tarnby"),
    Completion("What does Mirko sell?", "seven red stones"),
    Completion("When does the ferry leave?", "at dawn"),
]


@pytest.fixture
def day(llama):
    """A random Llama with a fresh day adapter active."""
    new_day(llama, "day", day_config(4, 8.0, 0.0), seed=0)
    activate(llama, ["day"])
    return llama


def silent(progress):
    """Take no note of progress."""


def batches_of(base, steps):
    """Return the same random examples for every step."""
    return [some_examples(base)] * steps


def train_facts(base, **changed):
    """Train a fresh day adapter on the facts."""
    facts = encode_all(FACTS, base, prompt_weight=0)
    new_day(base, "day", day_config(8, 16.0, 0.0), seed=0)
    activate(base, ["day"])
    plan = make_plan(**changed)
    return fit(base, plan, [facts] * plan.steps, on_progress=silent)


def poison(base, random_changes, leaf):
    """Attach a live adapter with one NaN, in the first layer of that name."""
    changes = random_changes(base.targets)
    path = next(path for path in changes if path.endswith(leaf))
    changes[path].up[0, 0] = math.nan
    attach(base, "live", changes)
    activate(base, ["live", "day"])


def is_finite(changes):
    """Say whether no factor holds NaN or infinity."""
    return all(
        change.up.isfinite().all() and change.down.isfinite().all()
        for change in changes.values()
    )


class TestLearning:
    def test_facts_are_learned_in_a_few_steps(self, nano):
        """
        The held-out loss is measured apart from training, on the same facts.
        """
        facts = encode_all(FACTS, nano, prompt_weight=0)
        nats, tokens = nll(nano, facts)

        result = train_facts(nano, steps=15)

        after, _ = nll(nano, facts)
        assert nats / tokens > 2
        assert after < nats / 4
        assert result.loss_first == pytest.approx(nats / tokens, rel=1e-5)
        assert result.loss_last < result.loss_first / 3

    def test_the_live_adapter_is_learned_over(self, llama, random_changes):
        """
        The first loss is that of live and day together, the day still being zero.
        """
        attach(llama, "live", random_changes(llama.targets))
        new_day(llama, "day", day_config(4, 8.0, 0.0), seed=0)
        activate(llama, ["live"])
        nats, tokens = nll(llama, some_examples(llama))
        activate(llama, ["live", "day"])

        result = fit(llama, make_plan(), batches_of(llama, 3), on_progress=silent)

        assert result.loss_first == pytest.approx(nats / tokens, rel=1e-5)

    def test_it_says_what_it_did(self, day):
        result = fit(day, make_plan(steps=5), batches_of(day, 5), on_progress=silent)

        assert result.steps == result.best_step == 5
        assert result.tokens == 5 * 4 * 10
        assert not result.stopped_early
        assert result.held_out == ()
        assert result.seconds > 0

    def test_padding_is_not_counted(self, day):
        long, short = some_examples(day, count=2)
        short = Encoded(short.ids[:3], short.weights[:3])

        result = fit(day, make_plan(steps=1), [[long, short]], on_progress=silent)

        assert result.tokens == 13

    def test_every_step_is_reported(self, day):
        seen = []

        result = fit(
            day, make_plan(steps=4), batches_of(day, 4), on_progress=seen.append
        )

        assert [(p.step, p.steps) for p in seen] == [(n, 4) for n in range(1, 5)]
        assert seen[0].loss == result.loss_first
        assert seen[-1].loss == result.loss_last
        assert seen[-1].left_s == 0
        assert all(p.tokens_per_second > 0 for p in seen)

    def test_batches_come_in_their_order(self, day):
        """
        Not shuffled again: the share of replayed examples is in the order.
        """
        examples = some_examples(day, count=3)
        seen = []

        def gather(examples):
            seen.extend(list(example.ids) for example in examples)
            return learned_tokens(examples)

        fit(
            day,
            make_plan(steps=3),
            [[example] for example in examples],
            on_progress=silent,
            objective=Objective(gather=gather),
        )

        assert seen == [list(example.ids) for example in examples]

    def test_a_step_follows_adamw_at_the_planned_rate(self, day):
        """
        AdamW's first step is the rate itself, in the direction of the gradient: here
        the first of four warm-up steps, a quarter of the peak.
        """
        before = read(day, "day")

        fit(
            day,
            make_plan(steps=1, lr=4e-3, warmup_steps=4),
            batches_of(day, 1),
            on_progress=silent,
        )

        for path, change in read(day, "day").items():
            moved = (change.up - before[path].up).abs() / 2  # alpha / rank
            assert moved.max().item() == pytest.approx(1e-3, rel=1e-3)

    def test_the_base_is_frozen_and_evaluating_afterwards(self, day):
        fit(day, make_plan(), batches_of(day, 3), on_progress=silent)

        assert not day.model.training
        assert not any(weight.requires_grad for weight in day.model.parameters())


class TestRate:
    """Beside transformers' schedule with a floor, at whose rate no old run goes on."""

    @pytest.mark.parametrize(("steps", "warmup"), [(10, 3), (100, 10), (50, 0), (4, 9)])
    def test_after_the_warm_up_it_is_the_same_to_the_last_bit(self, steps, warmup):
        plan = make_plan(steps=steps, warmup_steps=warmup)

        ours = [rate_share(plan, step) for step in range(warmup, steps)]

        assert ours == scheduled(steps, warmup)[warmup:]

    def test_in_the_warm_up_it_is_a_step_ahead(self):
        """
        Theirs has a first step of rate 0, in which nothing is learned.
        """
        plan = make_plan(steps=10, warmup_steps=4)

        ours = [rate_share(plan, step) for step in range(4)]

        assert ours == scheduled(10, 4)[1:5] == [0.25, 0.5, 0.75, 1.0]

    def test_past_the_last_step_it_stays_at_the_floor(self):
        assert rate_share(make_plan(steps=10, warmup_steps=1), 99) == FINAL_SHARE


def scheduled(steps, warmup):
    """Return the rates of transformers' cosine with a floor, at a peak of 1."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_cosine_with_min_lr_schedule_with_warmup(
        optimizer, warmup, steps, min_lr_rate=FINAL_SHARE
    )
    return [schedule.lr_lambdas[0](step) for step in range(steps)]


class TestSeed:
    @pytest.fixture
    def train(self, load, tiny_folder):
        """Return what trains a day adapter with dropout anew from a seed."""

        def trained(seed):
            base = load(tiny_folder("llama"))
            new_day(base, "day", day_config(4, 8.0, 0.3), seed=7)
            activate(base, ["day"])
            plan = make_plan(seed=seed, steps=4)
            fit(base, plan, batches_of(base, 4), on_progress=silent)
            return read(base, "day")

        return trained

    def test_the_same_gives_the_same_adapter(self, train):
        """
        To the last bit, whatever was drawn in between.
        """
        one = train(1)
        torch.rand(100)

        assert_same(train(1), one)

    def test_another_drops_others(self, train):
        one, other = train(1), train(2)

        assert any(not torch.equal(one[path].up, other[path].up) for path in one)

    def test_the_global_generator_is_left_as_it_was(self, day):
        before = torch.get_rng_state()

        fit(day, make_plan(), batches_of(day, 3), on_progress=silent)

        assert torch.equal(torch.get_rng_state(), before)


class TestDiverged:
    def test_a_step_that_breaks_is_not_taken(self, day):
        """
        The weights are those of the step before, to the last bit.
        """
        seen = []

        def explode(logits, tokens):
            return token_nll(logits, tokens) * (1000 if len(seen) == 2 else 1)

        with pytest.raises(
            DivergedError,
            match=r"diverged at step 3 of 9: .* 20 is the most allowed; try a lower "
            r"wake\.lr than 0\.01",
        ):
            fit(
                day,
                make_plan(steps=9),
                batches_of(day, 9),
                on_progress=lambda progress: seen.append(read(day, "day")),
                objective=Objective(losses=explode),
            )

        assert len(seen) == 2
        assert_same(read(day, "day"), seen[1])

    def test_a_rate_far_too_high_is_stopped(self, nano):
        """
        On the real base, whose first loss is far below the most that is allowed.
        """
        with pytest.raises(DivergedError, match=r"lower wake\.lr than 1e\+06"):
            train_facts(nano, lr=1e6, steps=9)

    def test_it_is_stopped_before_weights_are_nan(self, nano):
        with pytest.raises(DivergedError, match=r"lower wake\.lr than 1e\+06"):
            train_facts(nano, lr=1e6, steps=9)

        assert is_finite(read(nano, "day"))

    @pytest.mark.parametrize("leaf", ["v_proj", "o_proj", "gate_proj", "down_proj"])
    def test_weights_that_are_no_numbers_are_noticed(self, day, random_changes, leaf):
        poison(day, random_changes, leaf)
        before = read(day, "day")

        with pytest.raises(DivergedError, match="at step 1 of 3: the loss is nan"):
            fit(day, make_plan(), batches_of(day, 3), on_progress=silent)

        assert_same(read(day, "day"), before)

    @pytest.mark.parametrize("leaf", ["q_proj", "k_proj"])
    def test_so_are_those_that_attention_hides(self, day, random_changes, leaf):
        poison(day, random_changes, leaf)

        with pytest.raises(DivergedError, match="diverged at step"):
            fit(day, make_plan(), batches_of(day, 3), on_progress=silent)

        assert is_finite(read(day, "day"))

    def test_a_loss_that_is_infinite_is_too_much(self, day):
        with pytest.raises(DivergedError, match="the loss is inf nats per token"):
            fit(
                day,
                make_plan(),
                batches_of(day, 3),
                on_progress=silent,
                objective=Objective(losses=lambda *said: token_nll(*said) / 0.0),
            )

    def test_the_base_is_frozen_and_evaluating_afterwards(self, day):
        bare = logits_of(day.model)

        with pytest.raises(DivergedError, match=r"0\.1 is the most allowed"):
            fit(day, make_plan(max_loss=0.1), batches_of(day, 3), on_progress=silent)

        assert not day.model.training
        assert not any(weight.requires_grad for weight in day.model.parameters())
        assert torch.equal(logits_of(day.model), bare)


class TestHeldOut:
    @pytest.fixture
    def watched(self, day):
        """Return what trains with given held-out losses, and keeps each look."""

        def run(losses, **changed):
            looks, left = [], iter(losses)

            def look():
                assert not day.model.training
                looks.append(read(day, "day"))
                return next(left)

            plan = make_plan(**({"steps": 9} | changed))
            result = fit(
                day,
                plan,
                batches_of(day, plan.steps),
                on_progress=silent,
                held_out_loss=look,
            )
            return result, looks

        return run

    def test_training_stops_when_nothing_gets_better(self, watched):
        result, _ = watched([3.0, 1.0, 2.0, 1.5], patience=2)

        assert result.stopped_early
        assert result.steps == 4
        assert result.best_step == 2
        assert result.held_out == ((1, 3.0), (2, 1.0), (3, 2.0), (4, 1.5))

    def test_the_weights_of_the_best_look_are_kept(self, watched, day):
        _, looks = watched([3.0, 1.0, 2.0, 1.5], patience=2)

        assert_same(read(day, "day"), looks[1])
        assert not torch.equal(
            looks[1][next(iter(looks[1]))].up, looks[3][next(iter(looks[3]))].up
        )

    def test_a_better_look_starts_the_wait_again(self, watched):
        result, _ = watched([3.0, 4.0, 2.0, 4.0, 1.0, 4.0, 4.0], patience=2)

        assert result.steps == 7
        assert result.best_step == 5

    def test_without_patience_it_goes_to_the_end(self, watched, day):
        result, looks = watched([1.0, 2.0, 3.0, 4.0], patience=0, steps=4)

        assert not result.stopped_early
        assert result.steps == 4
        assert result.best_step == 1
        assert_same(read(day, "day"), looks[0])

    def test_it_looks_now_and_then_and_at_the_end(self, watched):
        result, _ = watched([3.0, 2.0, 1.0], check_every=3, steps=8)

        assert [step for step, _ in result.held_out] == [3, 6, 8]

    def test_a_look_that_is_no_number_ends_the_run(self, watched):
        """
        Whatever the training loss says: what is kept would be what came before.
        """
        with pytest.raises(DivergedError, match="3 of 3: the held-out loss is nan"):
            watched([2.0, math.nan, 1.0], steps=3)


class TestLearned:
    """A plan with steps to spare ends where all is learned."""

    @pytest.fixture
    def taught(self, day):
        """Return what trains and finds itself so sure of all."""

        def run(*sure, held_out=1.0, **changed):
            heard, left = [], iter(sure)
            losses = cycle([held_out] if isinstance(held_out, float) else held_out)

            def look():
                assert not day.model.training
                return next(left)

            plan = make_plan(**({"steps": 9, "check_every": 2} | changed))
            result = fit(
                day,
                plan,
                batches_of(day, plan.steps),
                on_progress=heard.append,
                held_out_loss=lambda: next(losses),
                confidence=look,
            )
            return result, heard

        return run

    def test_it_looks_now_and_then_from_a_step_on(self, taught):
        falling = (4.0, 3.0, 2.0, 1.0)

        result, _ = taught(0.1, 0.79, 0.8, held_out=falling, ends_from=3, ends_every=2)

        assert result.confidence == ((3, 0.1), (5, 0.79), (7, 0.8))
        assert (result.steps, result.learned, result.stopped_early) == (7, True, True)

    def test_weights_of_before_are_not_said_to_have_learned_it(self, taught):
        """
        The held-out loss was lower then, so they are put back.
        """
        result, _ = taught(0.1, 0.8, ends_from=3, ends_every=2)

        assert (result.steps, result.best_step, result.learned) == (5, 2, False)

    def test_what_is_held_out_is_looked_at_in_the_end(self, taught):
        result, _ = taught(1.0, ends_from=3)

        assert result.held_out == ((2, 1.0), (3, 1.0))

    def test_its_heartbeats_say_how_far_it_is_and_that_it_ends(self, taught):
        _, heard = taught(0.1, 0.8, ends_from=3, ends_every=2)

        assert [one.confidence for one in heard] == [None, None, 0.1, 0.1, 0.8]
        assert [one.steps for one in heard] == [9, 9, 9, 9, 5]
        assert heard[-1].left_s == 0

    def test_what_is_never_learned_takes_all_steps(self, taught):
        """
        It is not looked at in the last round, which a look could hardly save.
        """
        result, _ = taught(*[0.5] * 3, ends_from=1, ends_every=3)

        assert (result.steps, result.learned) == (9, False)
        assert [step for step, _ in result.confidence] == [1, 4]

    def test_a_plan_without_steps_to_spare_does_not_look(self, taught):
        result, _ = taught()

        assert (result.steps, result.confidence) == (9, ())


class TestLoss:
    def test_it_is_the_weighted_mean_over_learned_tokens(self, day):
        """
        Against the log-probabilities, token by token.
        """
        rows = [Encoded((5, 6, 7, 8), (1.0, 0.0, 0.5, 2.0)), Encoded((9, 4), (0, 1.0))]
        total = weight = 0.0
        for row in rows:
            with torch.no_grad():
                said = day.model(input_ids=torch.tensor([row.ids])).logits[0]
            for place in range(1, len(row.ids)):
                lost = -said[place - 1].log_softmax(0)[row.ids[place]].item()
                total += row.weights[place] * lost
                weight += row.weights[place]

        result = fit(day, make_plan(steps=1), [rows], on_progress=silent)

        assert weight == 3.5
        assert result.loss_first == pytest.approx(total / weight, rel=1e-5)

    def test_a_batch_that_learns_nothing_costs_nothing(self, day):
        rows = [Encoded((5, 6, 7), (0.0, 0.0, 0.0))]

        before = read(day, "day")

        result = fit(day, make_plan(steps=1), [rows], on_progress=silent)

        assert result.loss_first == 0
        assert_same(read(day, "day"), before)


@pytest.mark.parametrize(
    ("width", "changes", "held", "lr"),
    [
        (2000, {}, False, 5e-4),
        (2000, {}, True, 1e-3),  # the base's turns have the larger part of a gradient
        (64, {}, True, 3e-3),  # no higher than any
        (2000, {"lr_scale": 3.0}, True, 3e-3),
        (2000, {"lr": 1e-4}, True, 1e-4),
    ],
)
def test_the_automatic_rate_is_twice_as_high_where_the_base_is_held(
    width, changes, held, lr
):
    found = learning_rate(WakeSettings(**changes), width, held=held)

    assert found == pytest.approx(lr)
