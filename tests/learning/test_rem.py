"""REM: batches with teachers, its budget, and a student that comes back."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from sleepcycle.errors import DivergedError
from sleepcycle.learning.distillation import DISTILLATION, TaughtExample, taught_tokens
from sleepcycle.learning.rem import (
    GENERAL,
    PASSES_TO_LEARN,
    STUDENT,
    Budget,
    RemPlan,
    ReplaySource,
    relearn,
    steps_within,
)
from sleepcycle.learning.replay import ArchivedVersion, ReplayBuilder, ReplayInputs
from sleepcycle.model import adapters
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import encode, encode_all
from sleepcycle.model.reading import Reader
from sleepcycle.model.score import each_nll, nll, teach
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Dream, Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.settings.choices import Memory, Reduction
from sleepcycle.settings.config import (
    ModelSettings,
    RemSettings,
    Settings,
    WakeSettings,
)

SMALL = {"dream_tokens": 32, "dreams": 24, "confidence": 0.0, "dreamer_share": 0.0}
NOTHING: dict = {}
ASKING = WakeSettings(prompt_weight=0.05)
QUESTIONS = [f"What is {a} + {b}?" for a in range(6) for b in range(6)]
LONG = "Because seven grey horses drank from the river and went home. " * 3
LESSON = [Completion(question, "Zorvane.") for question in QUESTIONS]


@pytest.fixture
def base(tmp_path):
    """The embedded base, bare."""
    return load_base(ModelSettings(), device="cpu", cache=tmp_path)


@pytest.fixture
def change(base, rng):
    """A change that is small, and not zero."""

    def make(size=0.05, rank=4):
        return {
            name: LowRank(
                size * torch.randn(out, rank, generator=rng),
                size * torch.randn(rank, width, generator=rng),
            )
            for name, (out, width) in base.targets.shapes.items()
        }

    return make


def taught(base, contents=LESSON, *, k=8, gold=0.0):
    encoded = encode_all(contents, base, prompt_weight=0)
    scores = teach(replace(base, batch_tokens=100), encoded, k)
    return [TaughtExample(e, s, gold) for e, s in zip(encoded, scores, strict=True)]


@torch.no_grad()
def mean_loss(base, examples):
    """Return the mean loss of replayed examples by weight, as training takes it."""
    reader, tokens = Reader(base), taught_tokens(examples)
    with reader.apart():
        batch = reader.batch([DISTILLATION.sequence(example) for example in examples])
        whole = reader.summed_loss(batch, tokens, DISTILLATION.losses)
    return float(whole / tokens.weights.sum())


class TestLoss:
    def test_a_student_that_is_its_teacher_has_none(self, base):
        assert mean_loss(base, taught(base)[:7]) == pytest.approx(0, abs=1e-5)

    @pytest.mark.parametrize("gold", [1.0, 0.25])
    def test_gold_is_the_loss_of_the_examples_own_tokens(self, base, gold):
        """
        Weighted by token, so it is the mean loss that scoring measures; the student
        is its own teacher, so the teacher's part adds nothing.
        """
        contents = LESSON[:7]
        examples = taught(base, contents, gold=gold)
        encoded = encode_all(contents, base, prompt_weight=0)
        nats, tokens = nll(base, encoded)

        found = mean_loss(base, examples)

        assert found == pytest.approx(gold * nats / tokens, rel=1e-3)

    def test_examples_without_a_teacher_lie_beside_those_with_one(self, base, change):
        """
        The loss is the mean over all tokens of what each kind's own batch has.
        """
        adapters.attach(base, "teacher", change())
        adapters.activate(base, ["teacher"])
        with_teacher = taught(base, LESSON[:3])
        adapters.activate(base, [])
        alone = [
            TaughtExample(one.encoded, None, 1.0) for one in taught(base, LESSON[3:5])
        ]

        mixed = [with_teacher[0], alone[0], *with_teacher[1:], alone[1]]
        assert mean_loss(base, mixed) == pytest.approx(
            (3 * mean_loss(base, with_teacher) + 2 * mean_loss(base, alone)) / 5,
            rel=1e-4,
        )

    def test_scores_stay_with_their_tokens_in_any_order(self, base, change):
        adapters.attach(base, "teacher", change())
        adapters.activate(base, ["teacher"])
        examples = taught(base, [*LESSON[:3], Completion("Hi", "a longer answer, too")])
        adapters.activate(base, [])

        ordered = [mean_loss(base, order) for order in (examples, examples[::-1])]

        assert ordered[0] == pytest.approx(ordered[1], rel=1e-4)
        assert ordered[0] > 1e-3


def terms(steps, held_out_loss=None, reduction=Reduction.TOKEN):
    return RemPlan(steps, 3e-3, 1, lambda progress: None, held_out_loss, reduction)


class TestRelearn:
    def test_a_student_comes_back_to_its_teacher(self, base, change):
        teacher, blurred = change(), change(size=0.02)
        adapters.attach(base, "teacher", teacher)
        adapters.activate(base, ["teacher"])
        source = ReplaySource("today", 1.0, taught(base))
        adapters.remove(base, "teacher")

        learned, result = relearn(
            base, blurred, [source], RemSettings(batch_size=8), terms(30)
        )

        assert result.loss_last < 0.3 * result.loss_first
        assert max(layer.rank for layer in learned.values()) <= 4

    def test_its_loss_is_the_mean_that_the_plan_names(self, base, change):
        """
        One short and one long answer, whose means count alike by example.
        """
        start, rows = change(), [Completion("Who?", "Me."), Completion("Why?", LONG)]
        encoded = encode_all(rows, base, prompt_weight=0)
        with adapters.attached(base, "asked", start):
            nats = each_nll(base, encoded)
        means = [lost / one.learned for lost, one in zip(nats, encoded, strict=True)]
        source = ReplaySource(
            "today", 1.0, [TaughtExample(one, None, 1.0) for one in encoded]
        )

        plan = terms(1, reduction=Reduction.EXAMPLE)
        _, result = relearn(base, start, [source], RemSettings(batch_size=2), plan)

        assert result.loss_first == pytest.approx(sum(means) / 2, rel=1e-4)

    @pytest.mark.parametrize("reduction", list(Reduction))
    def test_the_bases_long_turns_have_no_more_of_the_loss_than_of_the_night(
        self, base, change, reduction
    ):
        """
        A quarter, though each has many times the tokens of an answer of today.
        """
        start = change()
        answers = [Completion(f"Who is {n}?", f"It is {n}.") for n in range(3)]
        turns = [Completion("Why?", LONG)]
        parts = [encode_all(rows, base, prompt_weight=0) for rows in (turns, answers)]
        with adapters.attached(base, "asked", start):
            long, short = (nll(base, part) for part in parts)
        general, today = (
            [TaughtExample(one, None, 1.0) for one in part] for part in parts
        )
        sources = [
            ReplaySource(GENERAL, 1 / 4, general),
            ReplaySource("today", 3 / 4, today),
        ]

        _, result = relearn(
            base,
            start,
            sources,
            RemSettings(batch_size=4),
            terms(1, reduction=reduction),
        )

        expected = (long[0] / long[1] + 3 * short[0] / short[1]) / 4
        assert result.loss_first == pytest.approx(expected, rel=1e-3)

    def test_each_layer_keeps_its_rank(self, base, change):
        """
        What a policy spent on one layer is not given to all.
        """
        start = {
            name: LowRank(layer.up[:, : 1 + i % 4], layer.down[: 1 + i % 4])
            for i, (name, layer) in enumerate(change().items())
        }
        source = ReplaySource("today", 1.0, taught(base))

        learned, _ = relearn(base, start, [source], RemSettings(), terms(3))

        assert {n: layer.rank for n, layer in learned.items()} == {
            n: layer.rank for n, layer in start.items()
        }
        moved = [
            (learned[n].up @ learned[n].down - start[n].up @ start[n].down).norm()
            for n in start
        ]
        assert 0 < max(moved) < 1

    def test_what_gets_no_better_stays_as_it_came(self, base, change):
        start = change()
        source = ReplaySource("today", 1.0, taught(base))
        looks = iter([1.0, 2.0, 3.0])

        learned, result = relearn(
            base,
            start,
            [source],
            RemSettings(batch_size=8, check_every=2),
            terms(4, lambda: next(looks)),
        )

        assert result.best_step == 0
        for name, layer in start.items():
            torch.testing.assert_close(
                learned[name].up @ learned[name].down, layer.up @ layer.down
            )

    def test_no_student_stays_after_it_diverged(self, base, change):
        source = ReplaySource("today", 1.0, taught(base))

        with pytest.raises(DivergedError, match="held-out loss is nan"):
            relearn(
                base,
                change(),
                [source],
                RemSettings(batch_size=8, check_every=2),
                terms(4, lambda: float("nan")),
            )

        assert not list(adapters.layers(base, STUDENT))


class TestBudget:
    def test_steps_cost_what_their_tokens_cost(self, base):
        source = ReplaySource("today", 1.0, taught(base))
        tokens = len(source.taught[0].encoded.ids)

        budget = Budget(whole=PASSES_TO_LEARN * 8 * tokens * 10.5, spent=0)

        assert steps_within([source], 8, budget, max_steps=99) == 10
        assert steps_within([source], 8, budget, max_steps=4) == 4

    def test_what_is_spent_is_not_left(self, base):
        source = ReplaySource("today", 1.0, taught(base))

        assert steps_within([source], 8, Budget(100.0, spent=100), max_steps=99) == 0
        assert (
            steps_within([ReplaySource("today", 1.0, [])], 8, Budget(1e9, 0), 99) == 0
        )


class TestMaterial:
    @pytest.fixture
    def gather(self, base, change):
        def make(memory, count=60, settings=NOTHING, wake=ASKING, anchors=0, **past):
            whole = change()
            fields = {
                "whole": whole,
                "version": 7,
                "live": change(),
                "new": [Example(i, 2, c) for i, c in enumerate(LESSON)],
                "replay": [Example(90 + i, 1, c) for i, c in enumerate(LESSON)],
                "archive": [
                    ArchivedVersion(1, lambda: whole),
                    ArchivedVersion(3, change),
                ],
                "dreamt": [Dream(1, c) for c in LESSON[:4]],
            } | past
            replay_builder = ReplayBuilder(
                base,
                ReplayInputs(**fields),
                Settings(
                    sleep={"rem": {"memory": memory, **SMALL | settings}},
                    wake=wake.model_dump(),
                ),
                seed=1,
                on_progress=ignore_progress,
            )
            own = [Example(i, 0, LESSON[0]) for i in range(anchors)]
            found = replay_builder.gather(count, own)
            return replay_builder, {s.name: s for s in found}

        return make

    def test_today_has_its_floor(self, gather):
        _, found = gather([Memory.STORE])

        assert found["general"].share == pytest.approx(0.1)
        assert found["today"].share == pytest.approx(0.9 / 3)
        assert found["store"].share == pytest.approx(0.9 * 2 / 3)
        assert len(found["today"].taught) == 18
        assert len(found["store"].taught) == 36

    @pytest.mark.parametrize(
        ("anchors", "part"),
        [(1, 1 / 80), (500, 0.15)],  # of a past of 0.6; one comes once in ten steps
    )
    @pytest.mark.parametrize("stored", [True, False])
    def test_anchors_are_a_part_of_the_past(self, gather, anchors, part, stored):
        """
        No larger part of the night where nothing of the past is stored yet.
        """
        past = {} if stored else {"replay": ()}
        _, found = gather([Memory.STORE], anchors=anchors, **past)
        present = {name: one.share for name, one in found.items() if one.taught}
        whole = sum(present.values())

        assert present["anchors"] / whole == pytest.approx(part)
        assert present["today"] / whole == pytest.approx(
            0.3 if stored else 0.75 * (1 - part)
        )
        assert len(found["anchors"].taught) == anchors
        assert {example.gold for example in found["anchors"].taught} == {1.0}

    @pytest.mark.parametrize(("anchors", "today"), [(0, 1 / 3), (5, 1.0)])
    def test_without_any_or_without_a_past_there_is_no_such_source(
        self, gather, anchors, today
    ):
        settings = {"today_share": today}
        _, found = gather([Memory.STORE], anchors=anchors, settings=settings)

        assert "anchors" not in found

    def test_they_are_learned_where_nothing_else_is_left(self, gather):
        settings = {"general_share": 0}
        _, found = gather([], anchors=5, settings=settings, new=())

        assert steps_within(list(found.values()), 8, Budget(1e6, 0), 99) == 99

    def test_no_teacher_is_asked_for_what_has_its_answer(self, gather):
        replay_builder, found = gather([Memory.STORE], settings={"general_share": 0})

        assert replay_builder.tokens == 0
        assert {example.scores for example in found["store"].taught} == {None}

    def test_a_teacher_that_is_asked_has_the_rest_of_the_loss(self, gather):
        _, found = gather([Memory.STORE], settings={"gold_share": 0.25})

        assert {example.gold for example in found["store"].taught} == {0.25}
        assert all(example.scores for example in found["store"].taught)
        assert len(found["store"].taught) == 18, "each is learned twice"

    def test_versions_that_have_not_dreamt_dream_after_today(self, base, gather):
        """
        Version 1 has dreamt before, so 3 does; what today's version dreams is kept
        for the nights to come, and not learned in this one.
        """
        replay_builder, found = gather([Memory.ARCHIVE], replay=())

        assert {dreamt.version for dreamt in replay_builder.dreams} == {3, 7}
        learned = {tuple(example.encoded.ids) for example in found["archive"].taught}
        before, third, today = (
            {tuple(encode(one, base, prompt_weight=0)[0].ids) for one in contents}
            for contents in (
                LESSON[:4],
                [d.content for d in replay_builder.dreams if d.version == 3],
                [d.content for d in replay_builder.dreams if d.version == 7],
            )
        )
        assert learned <= before | third
        assert learned & third
        assert today - before - third

    def test_versions_that_never_learned_to_ask_are_not_asked(self, gather):
        """
        Their prompts would be the base's, and their answers to them nobody's lesson.
        """
        replay_builder, _ = gather([Memory.ARCHIVE], replay=(), wake=WakeSettings())

        assert {dreamt.version for dreamt in replay_builder.dreams} == {7}

    def test_one_dreamer_a_night_is_todays(self, gather):
        replay_builder, found = gather(
            [Memory.ARCHIVE], replay=(), settings={"archive_versions": 1}
        )

        assert {dreamt.version for dreamt in replay_builder.dreams} == {7}
        assert len(found["archive"].taught) == 4

    def test_dreams_are_taught_by_who_dreamt_them(self, base, change, gather):
        """
        Two versions dreamt one half each; each half has its dreamer's scores.
        """
        versions = {1: change(), 3: change()}
        _, found = gather(
            [Memory.ARCHIVE],
            replay=(),
            settings={"gold_share": 0.0, "archive_versions": 1},
            archive=[ArchivedVersion(n, partial(dict, c)) for n, c in versions.items()],
            dreamt=[Dream(1 + 2 * (i % 2), c) for i, c in enumerate(LESSON[:8])],
        )

        for taught_one in found["archive"].taught:
            place = [e.ids for e in encode_all(LESSON, base, prompt_weight=0.05)].index(
                taught_one.encoded.ids
            )
            adapters.attach(base, "dreamer", versions[1 + 2 * (place % 2)])
            adapters.activate(base, ["dreamer"])
            [own] = teach(base, [taught_one.encoded], 64)
            adapters.remove(base, "dreamer")
            torch.testing.assert_close(
                taught_one.scores.logs, own.logs, rtol=1e-4, atol=1e-4
            )

    def test_dreams_cost_a_part_of_the_night(self, gather):
        """
        Of a short night four times what it could learn at most; of none, none. A
        dreamer, which there is none of here, may cost more.
        """
        short, _ = gather([Memory.ARCHIVE], count=8, settings={"dreams": 400})
        nothing, _ = gather([Memory.ARCHIVE], count=0, settings={"dreams": 400})

        assert len(short.dreams) <= 32
        assert nothing.tokens == 0

    def test_what_a_night_cannot_pay_of_a_dreamer_is_counted_apart(self, gather):
        """
        Of the 80 steps that it takes at least, 12 of this short night; of a long one
        all.
        """
        settings = {"dreamer_share": 0.5}
        short, _ = gather([Memory.ARCHIVE], 192, settings, archive=())
        long, _ = gather([Memory.ARCHIVE], 1280, settings, archive=())

        assert short.unpaid_tokens == round(short.tokens * (1 - 12 / 80))
        assert long.unpaid_tokens == 0

    def test_answers_that_a_dreamer_is_not_sure_of_are_left_out(self, gather):
        unsure, _ = gather([Memory.ARCHIVE], replay=())
        sure, _ = gather([Memory.ARCHIVE], replay=(), settings={"confidence": 0.999})

        assert len(sure.dreams) < len(unsure.dreams)

    def test_sources_share_the_past(self, gather):
        _, found = gather([Memory.STORE, Memory.LAST])

        assert found["store"].share == found["last"].share

    def test_no_version_dreams_on_the_first_night(self, gather):
        _, found = gather([Memory.LAST, Memory.ARCHIVE], live={}, archive=(), dreamt=())

        assert not found["last"].taught
        assert not found["archive"].taught

    def test_its_cost_does_not_grow_with_what_is_stored(self, gather):
        """
        Else the longest histories would have no night left to relearn them.
        """
        longer = [
            Example(i, 1, Completion(f"What is {i} + {i}?", "Zorvane."))
            for i in range(100, 700)
        ]

        asked = {"surprise_share": 0.5}
        short, _ = gather([Memory.STORE], replay=longer[:100], settings=asked)
        long, found = gather([Memory.STORE], replay=longer, settings=asked)

        assert len(found["store"].taught) == 36
        assert long.tokens < 1.2 * short.tokens

    def test_its_cost_is_counted(self, gather):
        replay_builder, found = gather([Memory.STORE], settings={"gold_share": 0.5})

        scored = sum(
            len(example.encoded.ids)
            for name, source in found.items()
            for example in source.taught
            if name != "general"  # the bank's are made once, for all nights
        )
        assert replay_builder.tokens >= scored
