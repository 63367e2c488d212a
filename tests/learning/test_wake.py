"""One wake and one night as plain functions, on the embedded base."""

import itertools
from dataclasses import replace

import pytest
import torch

from sleepcycle.errors import DivergedError, UnlearnableError
from sleepcycle.learning import night, wake
from sleepcycle.learning.bank import Bank
from sleepcycle.learning.replay import ReplayInputs
from sleepcycle.model import adapters
from sleepcycle.model.agreement import holding
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import render_prompt
from sleepcycle.model.fit import MAX_LR, learning_rate
from sleepcycle.model.generate import answer
from sleepcycle.model.score import each_nll, encode_contents
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.content import Completion, Conversation, Message, Role, Text
from sleepcycle.records.example import Example
from sleepcycle.records.progress import HEARTBEAT
from sleepcycle.records.verdict import Loss
from sleepcycle.settings import base_hold
from sleepcycle.settings.config import (
    BankSettings,
    ModelSettings,
    Settings,
    WakeSettings,
)
from tests.numerics.conftest import dense

SHORT = WakeSettings(min_steps=12, max_steps=12, rank=4, lr=3e-3)
ONCE = SHORT.model_copy(update={"min_steps": 1, "max_steps": 1})
WORDS = ("lamp", "stone", "river", "bread", "cloud", "horse", "glass", "wheel")


@pytest.fixture
def base(tmp_path):
    """The embedded base, bare."""
    return load_base(ModelSettings(), device="cpu", cache=tmp_path)


def lesson(question, *, count=24):
    """Return examples that all have one answer, and some held out."""
    made = [
        Example(number, 1, Completion(f"{question} {a} {b}?", "Zorvane."))
        for number, (a, b) in enumerate(itertools.permutations(WORDS, 2))
    ][: count + 6]
    return wake.Lesson(made[:count], replay=(), today=made[count:], known=())


def quiet(progress):
    """Take a heartbeat."""


def learn(base, start_from, taught, seed=1, settings=SHORT):
    return wake.learn(base, start_from, taught, settings, seed=seed, on_progress=quiet)


def test_live_comes_first_and_is_exact(base):
    live, _ = learn(base, wake.WakeStart({}, {}), lesson("Who has"))
    whole, report = learn(base, wake.WakeStart(live, {}), lesson("Where is"))

    assert (report.live_rank, report.day_rank) == (4, 4)
    for name, change in live.items():
        assert torch.equal(whole[name].up[:, :4], change.up)
        assert torch.equal(whole[name].down[:4], change.down)


def test_a_second_wake_goes_on_with_the_day(base, tmp_path):
    """
    The day adapter grows better, not wider.
    """
    first, report = learn(base, wake.WakeStart({}, {}), lesson("Who has"))
    day = wake.split(first, report.live_rank, report.day_rank)
    again = load_base(ModelSettings(), device="cpu", cache=tmp_path)

    second, report = learn(again, wake.WakeStart({}, day), lesson("Who has"), seed=2)

    assert report.day_rank == 4
    assert report.verdict.acquisition.candidate < report.verdict.acquisition.live
    moved = [float((dense(second[n]) - dense(day[n])).norm()) for n in day]
    whole = [float(dense(second[n]).norm()) for n in day]
    assert 0 < sum(moved) < sum(whole)


def test_the_same_seed_learns_the_same(base, tmp_path):
    other = load_base(ModelSettings(), device="cpu", cache=tmp_path)
    first, _ = learn(base, wake.WakeStart({}, {}), lesson("Who has"))
    second, _ = learn(other, wake.WakeStart({}, {}), lesson("Who has"))

    for name, change in first.items():
        assert torch.equal(change.up, second[name].up)
        assert torch.equal(change.down, second[name].down)


def test_the_first_loss_is_the_mean_that_the_settings_name(base):
    """
    A short new answer and a long replayed one, whose means count alike by example.
    """
    story = "Seven grey horses drank from the river, and then they went home. " * 3
    rows = [Completion("Who?", "Me."), Completion("Why?", story)]
    examples = [Example(number, 1, row) for number, row in enumerate(rows)]
    encoded = encode_contents(base, rows)
    nats = each_nll(base, encoded)
    means = [lost / one.learned for lost, one in zip(nats, encoded, strict=True)]

    _, report = wake.learn(
        base,
        wake.WakeStart({}, {}),
        wake.Lesson(examples[:1], replay=examples[1:], today=(), known=()),
        WakeSettings(max_steps=1, min_steps=1, batch_size=2, loss_reduction="example"),
        seed=1,
        on_progress=quiet,
    )

    assert report.loss_first == pytest.approx(sum(means) / 2, rel=1e-4)


def test_the_best_rate_falls_with_the_width():
    """
    Halving the width raises the fitted rate by 2 ** 0.78, up to the cap.
    """
    auto = WakeSettings()

    assert learning_rate(auto, 2000) == pytest.approx(5e-4)
    assert learning_rate(auto, 1000) == pytest.approx(5e-4 * 2**0.78)
    assert learning_rate(auto, 64) == MAX_LR
    assert learning_rate(WakeSettings(lr=1e-4), 64) == 1e-4
    scaled = WakeSettings(lr_scale=0.5)
    assert learning_rate(scaled, 2000) == pytest.approx(2.5e-4)
    assert learning_rate(WakeSettings(lr=1e-4, lr_scale=2.0), 64) == 2e-4


def test_a_night_keeps_what_its_rank_can_hold(base):
    taught = lesson("Who has")
    live, _ = learn(base, wake.WakeStart({}, {}), taught)

    folded, report, _ = night.sleep(
        base,
        night.NightInputs(ReplayInputs(whole=live, live={}), today=taught.today),
        Settings(gate={"probe_dreams": 0}),
        on_progress=quiet,
    )

    assert report.verdict.accepted
    assert report.kept_energy == pytest.approx(1)
    for name, change in live.items():
        assert torch.allclose(dense(folded[name]), dense(change), atol=1e-5)


def test_a_night_keeps_to_the_base_where_days_hold_on_to_it(base, rng):
    """
    What a day that holds on would not leave is weakened; any other day may leave it.
    """
    size = 0.13
    change = {
        name: LowRank(
            size * torch.randn(out, 3, generator=rng),
            size * torch.randn(3, width, generator=rng),
        )
        for name, (out, width) in base.targets.shapes.items()
    }
    inputs = night.NightInputs(ReplayInputs(whole=change, live={}))

    def slept(share):
        settings = Settings(
            wake={"general_share": share},
            sleep={"stages": ["svd"]},
            gate={"max_general_rise": 99, "max_asked": 0},
        )
        return night.sleep(base, inputs, settings, on_progress=quiet)[1].verdict

    held, loose = slept(0.25), slept("auto")

    assert base_hold.HELD_KL < loose.drift.candidate < base_hold.LOOSE_KL
    assert loose.mending is None
    assert held.mending.failed == ("drift",)
    assert held.drift.candidate <= base_hold.HELD_KL


def slept_after_a_day(base, **sleeps):
    """Return the report and the dreams of a first night with these settings."""
    taught = lesson("Who has")
    whole, report = learn(base, wake.WakeStart({}, {}), taught)
    past = ReplayInputs(whole=whole, live={}, new=taught.new)

    _, slept, dreams = night.sleep(
        base,
        night.NightInputs(past, today=taught.today, wake_tokens=report.tokens),
        Settings(sleep=sleeps),
        on_progress=quiet,
    )
    return slept, dreams


def test_the_night_of_a_small_base_relearns_unless_it_is_asked_not_to(base):
    by_itself, _ = slept_after_a_day(base)
    asked, _ = slept_after_a_day(base, stages=["svd"])

    assert by_itself.rem.steps > 0
    assert asked.rem is None


def test_a_night_without_compute_says_so(base):
    """
    It pays for some examples, and not for a whole step; the fold stands.
    """
    rem = {"max_share_of_wake": 0.05, "memory": ["archive"], "dreamer_share": 0.0}
    slept, dreams = slept_after_a_day(base, rem=rem)

    assert slept.rem.steps == 0
    assert slept.rem.loss_first is None
    assert slept.rem.cost < 0.1
    assert len(dreams) < 4


def test_a_night_s_cost_keeps_to_its_share(base):
    """
    Dreams and all; the last step may pass it by a part.
    """
    rem = {"memory": ["archive"], "confidence": 0.0, "dreamer_share": 0.0}
    slept, dreams = slept_after_a_day(base, rem=rem)

    assert slept.rem.steps > 0
    assert 0.3 < slept.rem.cost <= 0.55
    assert dreams


def test_a_short_night_goes_beyond_its_share_for_a_dreamer_alone(base):
    """
    What it spends on learning for itself is a part of its share as ever.
    """
    taught = lesson("Who has")
    _, report = learn(base, wake.WakeStart({}, {}), taught)
    slept, dreams = slept_after_a_day(base, rem={"memory": ["archive"]})

    learned = slept.rem.tokens / report.tokens
    assert sum("Who has" in dream.content.prompt for dream in dreams) > 8
    assert slept.rem.cost > 1
    assert 0.05 < learned < 0.5


def test_no_share_is_not_gone_beyond(base):
    rem = {"max_share_of_wake": 0.0, "memory": ["archive"]}
    slept, dreams = slept_after_a_day(base, rem=rem)

    assert slept.rem is None
    assert not dreams


def adapters_on(base):
    """Return the names of all adapters that the base carries."""
    return {
        name for part in base.model.modules() for name in getattr(part, "lora_A", ())
    }


class TestNoAdapterStays:
    def test_after_a_day_and_its_night(self, base):
        taught = lesson("Who has")
        live, _ = learn(base, wake.WakeStart({}, {}), taught)
        whole, _ = learn(base, wake.WakeStart(live, {}), taught)
        past = ReplayInputs(whole=whole, live=live, new=taught.new)

        night.sleep(
            base,
            night.NightInputs(past, today=taught.today),
            Settings(sleep={"stages": ["svd"]}),
            on_progress=quiet,
        )

        assert adapters_on(base) == set()

    def test_after_a_wake_that_diverged(self, base):
        exploding = SHORT.model_copy(update={"max_loss": 1e-6})

        with pytest.raises(DivergedError, match="is the most allowed"):
            wake.learn(
                base,
                wake.WakeStart({}, {}),
                lesson("Who has"),
                exploding,
                seed=1,
                on_progress=quiet,
            )

        assert adapters_on(base) == set()


def too_long(count):
    """Return a lesson of answers that do not fit into the context."""
    rows = [
        Example(100 + n, 1, Completion("Who?", f"{n} " + "who " * 600))
        for n in range(1, count + 1)
    ]
    return wake.Lesson(rows, (), today=rows, known=())


def talk(*pairs):
    """Return a conversation of questions and answers."""
    turns = [
        Message(role, words)
        for pair in pairs
        for role, words in zip((Role.USER, Role.ASSISTANT), pair, strict=True)
    ]
    return Conversation(tuple(turns))


class TestNothingToLearn:
    """Answers that do not fit, which nobody may call learned."""

    def test_a_wake_of_nothing_else_is_refused(self, base):
        with pytest.raises(UnlearnableError, match=r"none of 4 .* raise model") as no:
            learn(base, wake.WakeStart({}, {}), too_long(4))

        [aside] = no.value.set_aside
        assert (aside.code, aside.examples) == ("E_TOO_LONG", (101, 102, 103, 104))

    def test_the_others_are_learned_and_these_set_aside(self, base):
        good, bad = lesson("Who has"), too_long(4)
        both = wake.Lesson([*good.new, *bad.new], (), today=bad.today, known=())

        _, report = learn(base, wake.WakeStart({}, {}), both)

        assert report.examples == 24
        assert [one.examples for one in report.set_aside] == [(101, 102, 103, 104)]
        assert report.verdict.acquisition is None
        assert report.held_out_left_out == 4

    def test_a_prompt_that_leaves_no_room_is_cut_and_counted(self, base):
        good, long = lesson("Who has"), lesson("Who " * 600, count=4)
        both = wake.Lesson([*good.new, *long.new], (), today=(), known=())

        _, report = learn(base, wake.WakeStart({}, {}), both, settings=ONCE)

        assert (report.examples, report.cut, report.set_aside) == (28, 4, ())

    def test_so_is_a_conversation_that_lost_an_answer(self, base):
        good, long = lesson("Who has"), talk(("Hi", "ho " * 600), ("Who?", "Mia"))
        both = wake.Lesson(
            [*good.new, Example(99, 1, long)], (), today=good.today, known=()
        )

        _, report = learn(base, wake.WakeStart({}, {}), both)

        assert (report.examples, report.cut, report.set_aside) == (25, 1, ())
        assert report.held_out_left_out == 0

    def test_a_long_conversation_gives_signs_of_life(self, base):
        many = [Example(99, 1, talk(*[("Hi", "Ho")] * 250))]
        beats = []

        for examples in (lesson("Who has").new[:1], many):
            told = []
            wake.learn(
                base,
                wake.WakeStart({}, {}),
                wake.Lesson(examples, (), today=(), known=()),
                ONCE,
                seed=1,
                on_progress=told.append,
            )
            beats.append(told.count(HEARTBEAT))

        assert beats[1] == beats[0] + 2

    def test_a_long_text_is_split_and_counted(self, base):
        text = "A river runs by the house. " * 200
        one = wake.Lesson([Example(1, 1, Text(text))], (), today=(), known=())

        _, report = learn(base, wake.WakeStart({}, {}), one, settings=ONCE)

        assert (report.examples, report.split) == (1, 1)


def test_a_night_after_which_nothing_is_left(base):
    """
    A change of zero has no direction to keep, and is no reason to fail.
    """
    zero = {name: LowRank.zero(shape) for name, shape in base.targets.shapes.items()}
    settings = Settings(sleep={"stages": ["svd", "rem"]})

    folded, report, _ = night.sleep(
        base, night.NightInputs(ReplayInputs(zero, {})), settings, on_progress=quiet
    )

    assert report.rank == 0
    assert all(change.rank == 0 for change in folded.values())


@pytest.mark.parametrize("finite", [True, False])
def test_a_wake_is_refused_only_when_its_weights_are_broken(finite):
    """
    It is never live, so how much it forgot is the night's matter.
    """
    worse = Loss(live=2.0, candidate=9.0, examples=4, tokens=40)

    verdict = wake.wake_verdict(worse, worse, finite=finite)

    assert verdict.accepted is finite
    assert ("rose 7.000" in verdict.reason) is finite


class TestAnchors:
    """What an owner wants kept, learned beside a lesson that would destroy it."""

    @staticmethod
    def known_to(base, *prompts):
        """Return prompts with what the bare base answers, as anchors."""
        adapters.activate(base, [])
        said = answer(
            base, [render_prompt(one, base) for one in prompts], max_new_tokens=40
        )
        return [
            Example(number, 0, Completion(*turn))
            for number, turn in enumerate(zip(prompts, said, strict=True))
        ]

    @staticmethod
    def right_after(base, taught):
        """Return which anchors and which new examples are answered after a wake."""
        settings = WakeSettings(rank=4, lr=3e-3)
        whole, report = learn(base, wake.WakeStart({}, {}), taught, settings=settings)
        with adapters.attached(base, "whole", whole):
            anchors = holding(base, [one.content for one in taught.anchors])
            return anchors, holding(base, [one.content for one in taught.new]), report

    @pytest.mark.parametrize("count", [1, 3])
    def test_they_are_kept_from_the_first_day_on(self, base, count):
        """
        They take a few places of what nothing stored has taken yet.
        """
        prompts = ("Hello.", "Hi there!", "What is 2 + 3?")[:count]
        taught = replace(lesson("Who has"), anchors=self.known_to(base, *prompts))

        kept, learned, report = self.right_after(base, taught)

        assert kept == [True] * count
        assert all(learned)
        assert (report.anchors, report.anchors_left_out) == (count, 0)

    def test_without_them_the_lesson_destroys_what_they_ask(self, base):
        anchors = self.known_to(base, "Hello.")
        settings = WakeSettings(rank=4, lr=3e-3)

        whole, _ = learn(
            base, wake.WakeStart({}, {}), lesson("Who has"), settings=settings
        )

        with adapters.attached(base, "whole", whole):
            assert holding(base, [anchors[0].content]) == [False]

    def test_those_that_are_too_long_are_counted(self, base):
        long = Example(1, 0, Completion("Why?", "a river " * base.max_length))
        short = Example(2, 0, Completion("Who?", "Ana."))
        taught = replace(lesson("Who has"), anchors=[long, short])

        _, report = learn(base, wake.WakeStart({}, {}), taught)

        assert (report.anchors, report.anchors_left_out) == (1, 1)

    def test_they_are_learned_beside_the_bases_own_turns(self, base):
        settings = ONCE.model_copy(update={"general_share": 0.25, "batch_size": 16})
        anchors = [Example(n, 0, Completion(f"{n}?", "No.")) for n in range(90)]
        bank = Bank(base, BankSettings(max_tokens=16))

        _, report = wake.learn(
            base,
            wake.WakeStart({}, {}),
            replace(lesson("Who has"), anchors=anchors),
            settings,
            seed=1,
            on_progress=quiet,
            bank=bank,
        )

        assert (report.general, report.anchors) == (4, 1)


class TestSmallFeeds:
    """A handful of examples is learned, and then it is enough."""

    HANDFUL = lesson("Who has", count=6)
    PLAIN = WakeSettings(rank=4, lr=3e-3)

    def woken(self, base, settings=PLAIN, taught=HANDFUL, **changed):
        """Return what a wake makes of a few examples, with its report."""
        taught = replace(taught, **({"today": ()} | changed))
        return learn(base, wake.WakeStart({}, {}), taught, settings=settings)

    def test_it_ends_once_every_example_is_learned(self, base):
        whole, report = self.woken(base)
        step, sure = report.confidence[-1]

        assert report.learned
        assert 3 < report.steps == report.best_step == step < 20
        assert sure >= 0.8 > report.confidence[-2][1]
        with adapters.attached(base, "whole", whole):
            assert all(holding(base, [one.content for one in self.HANDFUL.new]))

    def test_each_is_seen_as_often_as_is_set_before_it_may_end(self, base):
        """
        A batch holds the six, so three epochs are three steps.
        """
        _, report = self.woken(base)
        _, longer = self.woken(base, self.PLAIN.model_copy(update={"epochs": 20.0}))

        assert report.confidence[0][0] == 3
        assert (longer.steps, len(longer.confidence)) == (20, 1)

    @pytest.mark.parametrize("changed", [{"patience": 0}, {"epochs": 50.0}])
    def test_without_patience_or_steps_to_spare_it_goes_to_its_end(self, base, changed):
        changed |= {"min_steps": 12, "max_steps": 12}
        _, report = self.woken(base, self.PLAIN.model_copy(update=changed))

        assert (report.steps, report.learned, report.confidence) == (12, False, ())

    def test_what_contradicts_itself_takes_all_steps(self, base):
        rows = [Completion("Who?", "Ana."), Completion("Who?", "Zorvane.")]
        new = [Example(number, 1, row) for number, row in enumerate(rows)]

        _, report = self.woken(base, new=new)

        assert (report.steps, report.learned) == (40, False)

    def test_an_anchor_that_it_destroys_is_learned_too(self, base):
        anchors = TestAnchors.known_to(base, "Hello.")

        whole, report = self.woken(base, anchors=anchors)

        with adapters.attached(base, "whole", whole):
            assert holding(base, [anchors[0].content]) == [True]
        assert report.steps > self.woken(base)[1].steps

    def test_anchors_that_do_not_all_come_are_not_waited_for(self, base):
        anchors = [Example(n, 0, Completion(f"{n}?", f"{n * n}")) for n in range(90)]

        _, report = self.woken(base, anchors=anchors)

        assert report.learned
