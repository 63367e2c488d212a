"""Mending: a refused candidate on its way back to live."""

import pytest
import torch

from sleepcycle.learning import gate, night
from sleepcycle.learning.gate_scores import GateExam, GateInputs
from sleepcycle.learning.mending import (
    MOST_TRIED,
    GateTrials,
    Tried,
    between,
    judge_or_mend,
)
from sleepcycle.learning.replay import ReplayInputs
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import encode
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.content import Completion, Text
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.records.verdict import Drift, Kept, Loss
from sleepcycle.settings.config import GateSettings, ModelSettings, Settings
from tests.numerics.conftest import dense

LIMITS = GateSettings(max_general_kl=2.0, max_agreement_loss=1.0)


def layer(rng, rank, size=1.0):
    """Return a random change of one layer."""
    return LowRank(
        size * torch.randn(12, rank, generator=rng),
        size * torch.randn(rank, 9, generator=rng),
    )


class TestBetween:
    @pytest.mark.parametrize("weight", [0.25, 0.5, 1.0])
    def test_it_is_the_point_on_the_line_where_the_rank_has_room(self, rng, weight):
        """
        Live is a part of the candidate's own directions, so nothing is cut off.
        """
        candidate = layer(rng, 5)
        live = LowRank(candidate.up[:, :2], candidate.down[:2])

        found = between({"a": live}, {"a": candidate}, weight)

        expected = (1 - weight) * dense(live) + weight * dense(candidate)
        torch.testing.assert_close(dense(found["a"]), expected, rtol=1e-4, atol=1e-4)
        assert found["a"].rank == 5

    def test_it_is_the_nearest_of_the_candidates_rank_elsewhere(self, rng):
        live, candidate = layer(rng, 3), layer(rng, 4)

        found = between({"a": live}, {"a": candidate}, 0.5)

        middle = (dense(live) + dense(candidate)) / 2
        left = torch.linalg.norm(middle - dense(found["a"]))
        tail = torch.linalg.norm(torch.linalg.svdvals(middle)[4:])
        torch.testing.assert_close(left, tail, rtol=1e-4, atol=1e-5)

    def test_over_the_bare_base_it_is_the_candidate_made_weaker(self, rng):
        candidate = layer(rng, 4)

        found = between({}, {"a": candidate}, 0.25)

        torch.testing.assert_close(dense(found["a"]), dense(candidate) / 4)
        assert found["a"].rank == 4

    def test_a_layer_that_one_side_lacks_is_kept(self, rng):
        live, candidate = layer(rng, 2), layer(rng, 3)

        found = between({"a": live}, {"b": candidate}, 0.25)

        torch.testing.assert_close(
            dense(found["a"]), 0.75 * dense(live), rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(
            dense(found["b"]), dense(candidate) / 4, rtol=1e-4, atol=1e-5
        )

    def test_a_candidate_of_no_rank_is_none(self, rng):
        found = between({"a": layer(rng, 2)}, {"a": LowRank.zero((12, 9))}, 0.5)

        assert found["a"].rank == 0


class Line:
    """Judges as if all that is measured were a function of λ."""

    def __init__(self, measures):
        self._measures = measures
        self.asked = []

    def judge(self, change, weight=1.0):
        """Return the verdict on that λ."""
        self.asked.append(weight)
        found = self._measures(weight)
        verdict = gate.judge(found, LIMITS)
        return Tried(weight, {"weight": weight}, verdict, gate.checked(found, LIMITS))


def far(most, least=0.0):
    """Return a line that is too far from the base beyond `most`, and learns from
    `least` on."""

    def measures(weight):
        return gate.Measures(
            drift=Drift(0.0, weight / most * LIMITS.max_general_kl, 10),
            acquisition=Loss(2.0, 2.0 - (weight - least), 4, 40),
        )

    return measures


def mended(line, *, mend=True, on_progress=ignore_progress):
    """Return what becomes of a candidate of no layers."""
    return judge_or_mend(line, {}, {}, mend=mend, on_progress=on_progress)


class TestSearch:
    @pytest.mark.parametrize("most", [0.1, 0.26, 0.4, 0.6, 0.9])
    def test_the_strongest_that_the_gate_takes_is_found(self, most):
        line = Line(far(most))

        change, verdict = mended(line)

        assert verdict.accepted
        assert most - 1 / 8 <= verdict.mending.weight <= most
        assert change == {"weight": verdict.mending.weight}
        assert len(verdict.mending.tried) <= MOST_TRIED
        assert line.asked == [1.0, *verdict.mending.tried]

    def test_a_candidate_that_is_accepted_is_measured_once(self):
        line = Line(far(1.0))

        change, verdict = mended(line)

        assert (change, verdict.mending, line.asked) == ({}, None, [1.0])

    def test_it_says_which_part_is_kept_and_how_each_check_moved(self):
        _, verdict = mended(Line(far(0.5)))

        mending = verdict.mending
        assert (mending.weight, mending.failed) == (0.5, ("drift",))
        assert mending.refusal.startswith(
            "KL to the base on its dreams went from 0.000"
        )
        moves = {move.name: move for move in mending.moves}
        assert moves["drift"].whole == pytest.approx(2 * LIMITS.max_general_kl)
        assert moves["drift"].weakened == pytest.approx(LIMITS.max_general_kl)
        assert moves["drift"].bound == LIMITS.max_general_kl
        assert moves["acquisition"].weakened == pytest.approx(-0.5)
        assert "weakened to 0.5 of the way from live" in verdict.reason
        assert mending.refusal in verdict.reason

    def test_where_none_meets_the_gate_the_whole_is_refused_with_both_reasons(self):
        """
        What is near enough to the base has not learned today.
        """
        change, verdict = mended(Line(far(0.2, least=0.6)))

        assert not verdict.accepted
        assert change == {}
        assert verdict.failed == ("drift",)
        assert verdict.mending.weight is None
        assert len(verdict.mending.tried) == MOST_TRIED
        assert "still refused" in verdict.reason
        assert verdict.reason.startswith(verdict.mending.refusal)

    def test_what_is_too_weak_to_have_learned_is_made_stronger_again(self):
        _, verdict = mended(Line(far(0.9, least=0.7)))

        assert verdict.accepted
        assert 0.7 < verdict.mending.weight <= 0.9

    @pytest.mark.parametrize(
        "measures",
        [
            pytest.param(
                lambda weight: gate.Measures(finite=False), id="broken weights"
            ),
            pytest.param(far(0.5, least=2.0), id="nothing learned, and too far"),
        ],
    )
    def test_what_weakening_cannot_mend_is_refused_at_once(self, measures):
        line = Line(measures)

        _, verdict = mended(line)

        assert not verdict.accepted
        assert (verdict.mending, line.asked) == (None, [1.0])

    def test_it_can_be_switched_off(self):
        line = Line(far(0.5))

        _, verdict = mended(line, mend=False)

        assert not verdict.accepted
        assert (verdict.mending, line.asked) == (None, [1.0])

    def test_its_cost_is_told(self):
        told = []

        mended(Line(far(0.5)), on_progress=told.append)

        assert [(one.stage, one.step) for one in told][:2] == [("mend", 0), ("mend", 1)]
        assert told[-1].step == told[-1].steps == MOST_TRIED


@pytest.fixture
def base(tmp_path):
    """The embedded base, bare."""
    return load_base(ModelSettings(), device="cpu", cache=tmp_path)


def random_change(base, rng, size):
    """Return a random adapter for the base."""
    return {
        path: LowRank(
            size * torch.randn(out, 3, generator=rng),
            size * torch.randn(3, width, generator=rng),
        )
        for path, (out, width) in base.targets.shapes.items()
    }


def test_a_candidate_that_lost_the_base_is_weakened_until_it_has_not(base, rng):
    """
    Random weights forget all; a bound between bare base and candidate is met on the
    way, and what comes back is measured as it is.
    """
    dreams = encode(Text("The lamp is on the table."), base, prompt_weight=1)
    candidate = random_change(base, rng, 0.15)
    exam = GateExam(base, GateInputs([], [], dreams), 0, ignore_progress)
    whole = GateTrials(exam, {}, LIMITS).judge(candidate).verdict.drift.candidate
    limits = GateSettings(
        max_general_kl=whole / 4, max_general_rise=99, max_agreement_loss=1.0
    )
    trials = GateTrials(exam, {}, limits)

    change, verdict = judge_or_mend(
        trials, {}, candidate, mend=True, on_progress=ignore_progress
    )

    assert verdict.accepted
    assert 0 < verdict.drift.candidate <= whole / 4
    again = trials.judge(change).verdict.drift
    assert again.candidate == pytest.approx(verdict.drift.candidate)


def test_live_is_measured_once_and_taken_off_again(base, rng):
    live, candidate = (random_change(base, rng, size) for size in (0.02, 0.05))
    known = [Example(1, 3, Completion("Who has the lamp?", "Ana."))]
    exam = GateExam(base, GateInputs([], known, []), 4, ignore_progress)
    trials = GateTrials(exam, live, LIMITS)

    first, second = (trials.judge(change).verdict for change in (candidate, live))

    assert first.retention.live == second.retention.live
    assert second.retention.rise == pytest.approx(0.0, abs=1e-6)
    modules = base.model.modules()
    assert not any(getattr(one, "lora_A", None) for one in modules)


class TestNight:
    """A whole night, on the base that ships."""

    def slept(self, base, change, *, anchors=(), **limits):
        """Return what a night without REM makes of a change."""
        inputs = night.NightInputs(ReplayInputs(whole=change, live={}), anchors=anchors)
        settings = Settings(
            bank={"max_tokens": 16},
            sleep={"stages": ["svd"], "svd": {"rank": 3}},
            gate={
                "probe_dreams": 16,
                "max_general_rise": 99,
                "max_agreement_loss": 0.2,
                **limits,
            },
        )
        found, report, _ = night.sleep(
            base, inputs, settings, on_progress=ignore_progress
        )
        return found, report.verdict

    def test_turns_of_the_bank_and_anchors_are_asked(self, base, rng):
        hello = Completion("Hello.", "xyzzy plugh")

        _, verdict = self.slept(
            base,
            random_change(base, rng, 1e-4),
            anchors=[Example(1, 0, hello)],
        )

        assert verdict.accepted
        assert verdict.agreement == Kept(1.0, 1.0, 16)
        assert verdict.anchors == Kept(0.0, 0.0, 1, base=0.0)

    def test_what_has_lost_the_base_is_handed_back_weaker(self, base, rng):
        change = random_change(base, rng, 0.15)

        whole, refused = self.slept(base, change, mend=False)
        found, verdict = self.slept(base, change, mend=True)

        assert "agreement" in refused.failed
        assert verdict.accepted
        assert verdict.agreement.candidate > 0.8
        for path, layer in whole.items():
            torch.testing.assert_close(
                dense(found[path]),
                verdict.mending.weight * dense(layer),
                rtol=1e-4,
                atol=1e-5,
            )
