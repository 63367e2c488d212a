"""The gate's judgement: what it accepts, and which number it names."""

import math
import re
from dataclasses import replace

import pytest
import torch

from sleepcycle.learning.gate import Measures, judge, measure
from sleepcycle.learning.gate_scores import GateExam, GateInputs
from sleepcycle.model import adapters
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import encode, render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.model.score import compare, encode_held_out, nll
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.content import Completion, Text
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.records.verdict import Drift, Exact, Kept, Loss
from sleepcycle.settings.config import GateSettings, ModelSettings

LIMITS = GateSettings(
    max_agreement_loss=0.2,
    max_rise=0.5,
    max_general_rise=1.0,
    max_general_kl=2.0,
    max_exact_drop=0.25,
)


def moved(rise, start=2.0):
    """Return a held-out loss that rose by so many nats per token."""
    return Loss(live=start, candidate=start + rise, examples=4, tokens=40)


@pytest.mark.parametrize(
    ("today", "known", "accepted", "reason"),
    [
        (moved(-1), moved(0.1), True, "known batches rose 0.100 nats per token"),
        (moved(-1), moved(-0.2), True, "known batches fell 0.200"),
        (moved(-1), moved(0.6), False, "rose 0.600 .* more than 0.5"),
        (moved(0.1), moved(0), False, "today's batches rose 0.100 .* must fall"),
        (moved(0), moved(0), False, "must fall"),
        (moved(math.nan), moved(0), False, "must fall"),
        (moved(-1), moved(math.nan), False, "more than 0.5"),
        (moved(-1), None, True, "nothing known is held out"),
        (None, moved(0.1), True, "nothing of today's batches is held out"),
        (None, None, True, "retention is not measured"),
    ],
)
def test_it_wants_the_new_and_keeps_the_old(today, known, accepted, reason):
    verdict = judge(Measures(acquisition=today, retention=known), LIMITS)

    assert verdict.accepted is accepted
    assert re.search(reason, verdict.reason)
    assert (verdict.acquisition, verdict.retention) == (today, known)


@pytest.mark.parametrize(("rise", "accepted"), [(0.9, True), (1.1, False)])
def test_what_the_base_can_do_may_not_be_lost(rise, accepted):
    verdict = judge(Measures(acquisition=moved(-1), general=moved(rise)), LIMITS)

    assert verdict.accepted is accepted
    assert ("dreams of the base rose 1.100" in verdict.reason) is not accepted


@pytest.mark.parametrize(
    ("live", "candidate", "accepted"),
    [
        pytest.param(0.0, 1.9, True, id="near"),
        pytest.param(0.0, 2.1, False, id="far"),
        pytest.param(2.3, 2.2, True, id="nearer than live, which is far already"),
        pytest.param(2.1, 2.2, False, id="farther than live, which is far already"),
        pytest.param(0.0, math.nan, False, id="no number"),
        pytest.param(math.nan, 2.1, False, id="far, and live is no number"),
    ],
)
def test_many_nights_may_not_add_up_to_another_model(live, candidate, accepted):
    verdict = judge(Measures(drift=Drift(live, candidate, 100)), LIMITS)

    assert verdict.accepted is accepted
    assert verdict.failed == (() if accepted else ("drift",))
    assert ("KL to the base on its dreams" in verdict.reason) is not accepted


@pytest.mark.parametrize(
    ("candidate", "asked", "accepted"),
    [
        pytest.param(0.75, 16, True, id="a drop of the bound itself"),
        pytest.param(0.70, 20, False, id="more than the bound"),
        pytest.param(0.0, 15, True, id="too few to say"),
        pytest.param(1.0, 64, True, id="no drop"),
    ],
)
def test_known_answers_may_not_be_lost(candidate, asked, accepted):
    verdict = judge(Measures(exact_known=Exact(1.0, candidate, asked)), LIMITS)

    assert verdict.accepted is accepted
    assert ("fell from 100% to 70% of 20" in verdict.reason) is not accepted


@pytest.mark.parametrize(("right", "accepted"), [(6, True), (5, False)])
def test_a_drop_of_the_bound_is_no_matter_of_rounding(right, accepted):
    """
    11 of 20 less 6 of 20 is a quarter, but above it in floating point.
    """
    share = Exact(live=11 / 20, candidate=right / 20, asked=20)
    assert share.live - 6 / 20 > LIMITS.max_exact_drop

    verdict = judge(Measures(exact_known=share), LIMITS)

    assert verdict.accepted is accepted


@pytest.mark.parametrize(
    ("live", "candidate", "asked", "accepted"),
    [
        pytest.param(1.0, 0.81, 64, True, id="less than a fifth"),
        pytest.param(1.0, 0.8, 20, False, id="a fifth itself"),
        pytest.param(1.0, 0.19, 64, False, id="as nights on a real model did"),
        pytest.param(0.9, 0.75, 64, False, id="a fifth of the base's in two nights"),
        pytest.param(0.5, 0.5, 64, True, id="lost before, and no more"),
        pytest.param(0.5, 0.4, 64, False, id="lost before, and more now"),
        pytest.param(1.0, 0.0, 15, True, id="too few to say"),
    ],
)
def test_a_night_that_loses_a_fifth_of_the_base_never_goes_live(
    live, candidate, asked, accepted
):
    verdict = judge(Measures(agreement=Kept(live, candidate, asked)), LIMITS)

    assert verdict.accepted is accepted
    assert verdict.failed == (() if accepted else ("agreement",))
    assert verdict.agreement == Kept(live, candidate, asked)


@pytest.mark.parametrize(
    ("base", "live", "candidate", "asked", "accepted"),
    [
        pytest.param(0.0, 1.0, 0.95, 20, True, id="one of twenty"),
        pytest.param(0.0, 1.0, 0.9, 20, False, id="two of twenty"),
        pytest.param(0.0, 1.0, 0.8, 5, False, id="one of five: there are no few"),
        pytest.param(1.0, 0.8, 0.8, 5, True, id="none more than live"),
        pytest.param(1.0, 0.8, 0.75, 20, False, id="many nights add up"),
        pytest.param(0.0, 0.0, 0.0, 5, True, id="nobody knows any"),
        pytest.param(0.0, 0.2, 1.0, 5, True, id="learned"),
    ],
)
def test_the_owners_anchors_stay_right(base, live, candidate, asked, accepted):
    verdict = judge(Measures(anchors=Kept(live, candidate, asked, base)), LIMITS)

    assert verdict.accepted is accepted
    assert verdict.failed == (() if accepted else ("anchors",))
    assert ("anchors answered right fell from" in verdict.reason) is not accepted


@pytest.mark.parametrize(
    ("mean", "median", "accepted"),
    [
        pytest.param(-0.2, 0.6, False, id="most are lost, and the mean hides it"),
        pytest.param(0.6, -0.2, False, id="a few are lost altogether"),
        pytest.param(0.4, 0.4, True, id="both within the bound"),
        pytest.param(0.4, math.nan, False, id="no number"),
    ],
)
@pytest.mark.parametrize("measure", ["retention", "general"])
def test_what_is_kept_is_kept_by_mean_and_median(measure, mean, median, accepted):
    limits = LIMITS.model_copy(update={"max_general_rise": 0.5})
    found = Measures(**{measure: replace(moved(mean), median_rise=median)})

    verdict = judge(found, limits)

    assert verdict.accepted is accepted
    assert verdict.failed == (() if accepted else (measure,))


@pytest.mark.parametrize(
    ("mean", "median", "accepted"),
    [
        pytest.param(-0.1, 0.1, True, id="by the mean"),
        pytest.param(0.1, -0.1, True, id="most are, and one long text is not"),
        pytest.param(0.6, -0.1, False, id="most are, and the others are ruined"),
        pytest.param(0.1, 0.0, False, id="by neither"),
        pytest.param(math.nan, math.nan, False, id="no number"),
    ],
)
def test_what_is_learned_is_learned_by_mean_or_median(mean, median, accepted):
    found = Measures(acquisition=replace(moved(mean), median_rise=median))

    assert judge(found, LIMITS).accepted is accepted


def test_todays_answers_are_reported_alone():
    """
    That today is learned is the loss's matter: it moves before answers are exact.
    """
    todays = Exact(1.0, 0.0, 64)

    assert judge(Measures(exact_today=todays), LIMITS).accepted


def test_every_refusal_is_named_and_the_first_is_told():
    found = Measures(
        acquisition=moved(0.1),
        retention=moved(0.6),
        general=moved(1.1),
        drift=Drift(0.0, 3.0, 9),
        exact_known=Exact(1.0, 0.5, 64),
        agreement=Kept(1.0, 0.5, 64),
        anchors=Kept(1.0, 0.5, 4),
    )

    verdict = judge(found, LIMITS)

    checks = (
        *("retention", "exact", "anchors", "acquisition"),
        *("agreement", "general", "drift"),
    )
    assert verdict.failed == checks
    assert verdict.reason.startswith("held-out loss of known batches rose 0.600")


def test_broken_weights_are_refused_whatever_the_losses_say():
    found = Measures(acquisition=moved(-1), retention=moved(-1), finite=False)

    verdict = judge(found, LIMITS)

    assert (verdict.accepted, verdict.reason) == (False, "weights are not finite")


def test_a_nat_a_token_is_so_many_bits():
    """
    40 tokens, each 1 nat likelier: 40 / ln 2.
    """
    verdict = judge(Measures(acquisition=moved(-1)), LIMITS)

    assert verdict.learned_bits == pytest.approx(57.708, abs=1e-3)


def held_out():
    """Return known examples of two batches, and what else there is to tell apart."""
    return [
        Example(1, 3, Completion("Who has the lamp?", "Ana.")),
        Example(2, 5, Completion("Who has the stone?", "Ben has it.")),
        Example(3, 3, Text("A river is long and wide.")),
    ]


@pytest.fixture
def base(tmp_path):
    """The embedded base, bare."""
    return load_base(ModelSettings(), device="cpu", cache=tmp_path)


def attach_random(base, rng, name, size):
    """Put a random adapter on the base."""
    changes = {
        path: LowRank(
            size * torch.randn(out, 3, generator=rng),
            size * torch.randn(3, width, generator=rng),
        )
        for path, (out, width) in base.targets.shapes.items()
    }
    adapters.attach(base, name, changes)


@pytest.fixture
def attached(base, rng):
    """The base with a live and a candidate adapter, both random."""
    attach_random(base, rng, "live", size=0.02)
    attach_random(base, rng, "candidate", size=0.06)
    return base


def measured(base, inputs, live="live", candidate="candidate", max_asked=0):
    """Return what is measured of two attached adapters; "" is the bare base."""
    exam = GateExam(base, inputs, max_asked, ignore_progress)
    scores = [exam.score([name] if name else []) for name in (live, candidate)]
    return measure(*scores, inputs, anchored=exam.hold([]), finite=True)


class TestMeasure:
    def test_batches_are_scored_as_if_each_were_alone(self, attached):
        examples = held_out()

        found = measured(attached, GateInputs([], examples, []))

        assert [(score.batch, score.known) for score in found.batches] == [
            (3, True),
            (5, True),
        ]
        for score in found.batches:
            alone = [example for example in examples if example.batch == score.batch]
            assert_alike(score.loss, compared(attached, alone))

    def test_the_whole_is_what_one_pass_over_all_says(self, attached):
        """
        `nll` sums in its own way, and weighs tokens, not batches or examples.
        """
        found = measured(attached, GateInputs(held_out(), [], []))

        assert found.acquisition is not None
        assert found.retention is None
        assert not any(score.known for score in found.batches)
        assert_alike(found.acquisition, compared(attached, held_out()))

    def test_dreams_are_scored_by_loss_and_by_distance(self, attached):
        dreams = encode(Text("The lamp is on."), attached, prompt_weight=1)

        found = measured(attached, GateInputs([], [], dreams))

        adapters.activate(attached, ["candidate"])
        nats, tokens = nll(attached, dreams)
        assert found.general.candidate == pytest.approx(nats / tokens)
        assert found.drift.tokens == tokens
        assert 0 < found.drift.live < found.drift.candidate

    def test_nothing_to_measure_refuses_nothing(self, attached):
        found = measured(attached, GateInputs([], [], []), max_asked=9)

        assert found == Measures()
        assert judge(found, LIMITS).accepted

    def test_each_side_is_asked_with_its_own_adapters(self, base, rng):
        """
        What the bare base says is stored as the answer, so only it is right.
        """
        attach_random(base, rng, "other", size=0.3)
        adapters.activate(base, [])
        prompts = ["Hello.", "Who are you?", "What is a river?"]
        said = answer(
            base, [render_prompt(p, base) for p in prompts], max_new_tokens=33
        )
        examples = [
            Example(n, 1, Completion(prompt, text))
            for n, (prompt, text) in enumerate(zip(prompts, said, strict=True))
        ]

        inputs = GateInputs([], examples, [])
        found = measured(base, inputs, "", "other", max_asked=3)

        assert found.exact_known == Exact(live=1.0, candidate=0.0, asked=3)
        assert found.batches[0].exact == found.exact_known


class TestKept:
    """What the bare base and the owner want kept."""

    def test_each_side_is_asked_the_bases_own_turns(self, base, rng):
        attach_random(base, rng, "other", size=0.3)
        inputs = GateInputs([], [], [], turns=[Completion("Hello.", "Hello, Ana.")])

        found = measured(base, inputs, "", "other", max_asked=9)

        assert found.agreement == Kept(live=1.0, candidate=0.0, asked=1)

    def test_anchors_are_asked_of_the_bare_base_too(self, attached):
        adapters.activate(attached, [])
        ids = render_prompt("Hello.", attached)
        [said] = answer(attached, [ids], max_new_tokens=48)
        anchors = [Completion("Hello.", said), Completion("Hello.", "xyzzy plugh")]

        found = measured(
            attached, GateInputs([], [], [], anchors=anchors), "", max_asked=9
        )

        assert (found.anchors.base, found.anchors.live) == (0.5, 0.5)
        assert found.anchors.asked == 2

    @pytest.mark.parametrize(("most", "asked"), [(2, 2), (9, 3), (0, 0)])
    def test_anchors_that_are_not_asked_are_counted(self, base, most, asked):
        """
        One of four is too long, and of the others `most` are asked.
        """
        prompts = ["a river " * base.max_length, "Who?", "Why?", "When?"]
        anchors = [Completion(prompt, "Ana.") for prompt in prompts]

        found = measured(
            base, GateInputs([], [], [], anchors=anchors), "", max_asked=most
        ).anchors

        assert (found.asked, found.unasked) == (asked, 4 - asked)
        assert not judge(Measures(anchors=found), LIMITS).failed

    def test_no_more_are_asked_than_may_be(self, base):
        turns = [Completion(f"What is {n}?", "Nothing.") for n in range(9)]

        found = measured(base, GateInputs([], [], [], turns=turns), "", "", 4)

        assert found.agreement.asked == 4
        assert (
            measured(base, GateInputs([], [], [], turns=turns), "", "").agreement
            is None
        )


def compared(base, examples):
    """Return what one pass over examples says."""
    encoded = encode_held_out(base, examples)
    return compare(base, encoded, ["live"], ["candidate"])


def assert_alike(found, expected):
    """Hold two losses equal but for rounding."""
    assert (found.examples, found.tokens) == (expected.examples, expected.tokens)
    assert found.live == pytest.approx(expected.live, rel=1e-5)
    assert found.candidate == pytest.approx(expected.candidate, rel=1e-5)
