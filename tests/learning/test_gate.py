"""The gate's judgement: what it accepts, and which number it names."""

import math
import re

import pytest
import torch

from sleepcycle.learning.gate import (
    GateInputs,
    GateSides,
    Measures,
    judge,
    measure,
)
from sleepcycle.model import adapters
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import encode, render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.model.score import encode_held_out, nll
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.content import Completion, Text
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.records.verdict import Drift, Exact, Loss
from sleepcycle.settings.config import GateSettings, ModelSettings

LIMITS = GateSettings(
    max_rise=0.5, max_general_rise=1.0, max_general_kl=2.0, max_exact_drop=0.25
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
    )

    verdict = judge(found, LIMITS)

    checks = ("retention", "exact", "acquisition", "general", "drift")
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
def sides(base, rng):
    """A live and a candidate adapter, both random."""
    attach_random(base, rng, "live", size=0.02)
    attach_random(base, rng, "candidate", size=0.06)
    return GateSides(base, ["live"], ["candidate"], ignore_progress)


class TestMeasure:
    def test_batches_are_scored_as_if_each_were_alone(self, sides):
        examples = held_out()

        found = measure(sides, GateInputs([], examples, []), max_asked=0, finite=True)

        assert [(score.batch, score.known) for score in found.batches] == [
            (3, True),
            (5, True),
        ]
        for score in found.batches:
            alone = [example for example in examples if example.batch == score.batch]
            assert_alike(score.loss, compared(sides, alone))

    def test_the_whole_is_what_one_pass_over_all_says(self, sides):
        """
        `nll` sums in its own way, and weighs tokens, not batches or examples.
        """
        found = measure(sides, GateInputs(held_out(), [], []), max_asked=0, finite=True)

        assert found.acquisition is not None
        assert found.retention is None
        assert not any(score.known for score in found.batches)
        assert_alike(found.acquisition, compared(sides, held_out()))

    def test_dreams_are_scored_by_loss_and_by_distance(self, sides):
        dreams = encode(Text("The lamp is on."), sides.base, prompt_weight=1)

        found = measure(sides, GateInputs([], [], dreams), max_asked=0, finite=True)

        adapters.activate(sides.base, ["candidate"])
        nats, tokens = nll(sides.base, dreams)
        assert found.general.candidate == pytest.approx(nats / tokens)
        assert found.drift.tokens == tokens
        assert 0 < found.drift.live < found.drift.candidate

    def test_nothing_to_measure_refuses_nothing(self, sides):
        found = measure(sides, GateInputs([], [], []), max_asked=9, finite=True)

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

        found = measure(
            GateSides(base, [], ["other"], ignore_progress),
            GateInputs([], examples, []),
            max_asked=3,
            finite=True,
        )

        assert found.exact_known == Exact(live=1.0, candidate=0.0, asked=3)
        assert found.batches[0].exact == found.exact_known


def compared(sides, examples):
    """Return what one pass over examples says."""
    return sides.compare(encode_held_out(sides.base, examples))


def assert_alike(found, expected):
    """Hold two losses equal but for rounding."""
    assert (found.examples, found.tokens) == (expected.examples, expected.tokens)
    assert found.live == pytest.approx(expected.live, rel=1e-5)
    assert found.candidate == pytest.approx(expected.candidate, rel=1e-5)
