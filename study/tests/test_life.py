"""How an arm lives through a course, on the builtin base."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch

from sleepcycle.files.dream_archive import normalised
from sleepcycle.learning import wake
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import encode
from sleepcycle.records.progress import ignore_progress
from sleepcycle_study.experiment import general, trial
from sleepcycle_study.experiment.arms import ARMS, arm_of
from sleepcycle_study.experiment.common_knowledge import QUESTIONS
from sleepcycle_study.experiment.life import Life, live
from sleepcycle_study.experiment.plan import read_plan
from sleepcycle_study.experiment.results import fingerprint
from sleepcycle_study.experiment.teaching import draw

SMALL = 0.004  # of the items: 8, 6, 6 and 4


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "tiny.toml"
    path.write_text(
        'curriculum = "four_phases"\narms = ["base", "dream"]\nseeds = [1]\n'
        f"questions = 2\nsamples_scale = {SMALL}\nlr_floor = 0.5\n"
        '[model]\ntarget_modules = ["all-linear"]\n[wake]\nbatch_size = 4\n'
    )
    return read_plan(path)


@pytest.fixture(scope="module")
def base(plan, tmp_path_factory):
    return load_base(
        plan.model, device=torch.device("cpu"), cache=tmp_path_factory.mktemp("cache")
    )


@pytest.fixture(scope="module")
def course(plan):
    return draw(plan.lessons(), seed=1, questions=2, samples_scale=SMALL)


def lived(base, arm, course, plan):
    """Return a whole life, and the names of its stops."""
    stops = list(live(base, arm, course, plan, seed=1, on_progress=ignore_progress))
    return stops[-1][1] if stops else Life(), [done for done, _ in stops]


@pytest.fixture(scope="module")
def both(base, plan, course):
    """Some arms' lives, and the names of their stops."""
    names = ("phases", "flat", "flat, folded", "dream", "cycle", "replay")
    names += ("last phase", "rank 8", "replay + fold + bank")
    return {name: lived(base, arm_of(name), course, plan) for name in names}


@pytest.fixture(scope="module")
def lives(both):
    """Some arms' lives."""
    return {name: life for name, (life, _) in both.items()}


def planned(base, course):
    """Return how many tokens the phases have, each as often as it is shown."""
    return sum(
        taught.phase.epochs
        * sum(
            len(part.ids)
            for e in taught.examples
            for part in encode(e.content, base, prompt_weight=0)
        )
        for taught in course.phases
    )


def test_every_arm_that_teaches_trains_on_as_many_tokens(lives, base, course):
    goal = planned(base, course)

    trained = {
        name: life.trained / goal
        for name, life in lives.items()
        if name != "last phase"
    }
    beside_turns = trained.pop("replay + fold + bank")

    assert all(0.85 <= share <= 1.15 for share in trained.values()), trained
    # of whose examples an eighth is turns of the base, which have lengths of their own
    assert beside_turns == pytest.approx(trained["replay"], rel=0.05)


def test_the_last_phase_alone_has_its_own_tokens(lives, base, course):
    goal = planned(base, replace(course, phases=course.phases[-1:]))

    assert lives["last phase"].trained / goal == pytest.approx(1, abs=0.15)


def test_rem_is_chosen_by_what_was_not_taught(base, plan, course, lives):
    """
    Its looks are at the held-out examples of all phases so far, and at dreams.
    """
    taught = {one.content for phase in course.phases for one in phase.examples}
    asked = {one.key for found in course.questions.values() for one in found}

    for phase in course.phases:
        assert len(phase.held_out) == 16
        assert not taught & {one.content for one in phase.held_out}
        assert not any(
            key in str(one.content) for key in asked if key for one in phase.held_out
        )
    assert [rem.when for rem in lives["cycle"].rems] == [
        "after foundation",
        "after consolidation",
        "after delegation",
        "after orchestration",
    ]
    assert all(rem.best_step <= rem.steps for rem in lives["cycle"].rems)


def test_replay_is_a_cycle_without_its_nights(both):
    life, stops = both["replay"]

    assert stops == ["foundation", "consolidation", "delegation", "orchestration"]
    assert not life.folds
    assert not life.slept
    assert len(life.known) == 4


def noted(base, plan, course, arm, monkeypatch, banks=None):
    """Return the settings of every wake of an arm; its banks come to `banks`."""
    asked = []

    def heard(base, start_from, lesson, settings, **others):
        asked.append(settings)
        if banks is not None:
            banks.append(others["bank"])
        return learn(base, start_from, lesson, settings, **others)

    learn = wake.learn
    monkeypatch.setattr(wake, "learn", heard)
    lived(base, arm_of(arm), course, plan)
    return asked


def test_folds_without_rem_come_after_every_phase_and_cost_no_tokens(both):
    life, stops = both["replay + fold + bank"]

    assert stops[1::2] == [f"sleep after {name}" for name in stops[::2]]
    assert not life.slept
    assert max(change.rank for change in life.whole.values()) == 16


def test_the_bases_own_turns_are_learned_where_an_arm_says_so(
    base, plan, course, monkeypatch
):
    """
    Of eight places one; what is new and what is known share the others.
    """
    banks = []
    asked = noted(base, plan, course, "replay + fold + bank", monkeypatch, banks)

    assert [one.general_share for one in asked] == [1 / 8] * 4
    assert [one.replay_share for one in asked] == [0, 0.5, 0.5, 0.5]
    assert all(normalised(one.prompt) in banks[0].avoid for one in QUESTIONS)


def test_a_fold_leaves_half_the_rank_for_the_rest_of_the_life(lives):
    [fold] = lives["dream"].folds

    assert (fold.phase, fold.rank) == ("before consolidation", 8)
    assert 0.5 < fold.kept_energy < 1
    assert (len(fold.before), len(fold.after)) == (16, 8)
    assert fold.before[:8] == fold.after
    assert max(change.rank for change in lives["dream"].whole.values()) == 8


def test_the_control_has_the_small_rank_and_no_fold(lives):
    assert max(change.rank for change in lives["rank 8"].whole.values()) == 8
    assert not lives["rank 8"].folds


def rates(base, plan, course, arm, monkeypatch):
    """Return the learning rate of every wake of an arm, over the first's."""
    asked = noted(base, plan, course, arm, monkeypatch)
    return [one.lr / asked[0].lr for one in asked]


def test_phases_learn_ever_more_slowly_but_where_the_arm_says_no(
    base, plan, course, monkeypatch
):
    floored = plan.model_copy(update={"lr_floor": 0.2})

    slower = rates(base, floored, course, "phases", monkeypatch)
    alike = rates(base, floored, course, "phases, full rate", monkeypatch)

    assert slower == pytest.approx([1, 0.5, 0.25, 0.2])
    assert alike == [1, 1, 1, 1]


def test_a_cycle_sleeps_after_every_phase(lives):
    assert [fold.phase for fold in lives["cycle"].folds] == [
        "after foundation",
        "after consolidation",
        "after delegation",
        "after orchestration",
    ]


def test_what_is_folded_last_is_what_flat_learned(lives):
    """
    The same batches and nothing behind the fold, so that it alone makes the difference.
    """
    flat, folded = lives["flat"], lives["flat, folded"]

    assert folded.trained == flat.trained
    assert [fold.phase for fold in folded.folds] == ["after all phases"]
    for name, change in folded.whole.items():
        whole = flat.whole[name].up @ flat.whole[name].down
        left, sigma, right = torch.linalg.svd(whole.double())
        best = left[:, :8] * sigma[:8] @ right[:8]
        torch.testing.assert_close(
            (change.up @ change.down).double(), best, rtol=1e-4, atol=1e-6
        )


def test_a_life_stops_after_every_phase_and_every_sleep(both):
    assert both["phases"][1] == [
        "foundation",
        "consolidation",
        "delegation",
        "orchestration",
    ]
    assert both["dream"][1][:3] == [
        "foundation",
        "sleep before consolidation",
        "consolidation",
    ]
    assert both["cycle"][1][-2:] == ["orchestration", "sleep after orchestration"]
    assert both["flat, folded"][1] == ["all phases", "sleep after all phases"]


def test_steps_of_a_curve_go_on_from_phase_to_phase(lives):
    curves = lives["phases"].curves

    assert [curve.phase for curve in curves] == [
        "foundation",
        "consolidation",
        "delegation",
        "orchestration",
    ]
    steps = [step for curve in curves for step, _ in curve.losses]
    assert steps == sorted(set(steps))
    assert steps[-1] == lives["phases"].steps


def test_what_is_mixed_has_one_phase(lives):
    assert [curve.phase for curve in lives["flat"].curves] == ["all phases"]


def test_the_base_is_bare_after_each_life(lives, base, plan, course):
    again = general.scores(base, {}, seed=1, count=3, texts=["One day."])
    life, stops = lived(base, ARMS["base"], course, plan)

    assert life.whole == {}
    assert stops == []
    assert again["copying"] == 1.0
    assert not [n for n, _ in base.model.named_parameters() if "lora" in n]


def test_common_knowledge_is_asked_beside_the_drawn_tasks(base):
    """
    The built-in base knows a few of the 63.
    """
    found = general.scores(base, {}, seed=1, count=1, texts=[])

    assert 0 < found[general.COMMON] < 0.5
    assert 63 * found[general.COMMON] == pytest.approx(
        round(63 * found[general.COMMON])
    )


def test_a_run_is_the_same_again_and_tells_what_decided_it(base, plan):
    job = trial.Trial("dream", 1)

    first, second = trial.run(plan, base, job), trial.run(plan, base, job)

    assert first.answers == second.answers
    assert first.curves == second.curves
    assert first.stops == second.stops
    assert fingerprint(first.settings) == fingerprint(trial.decided_by(plan, base, job))
    other = plan.model_copy(update={"questions": 3})
    assert fingerprint(trial.decided_by(other, base, job)) != fingerprint(
        first.settings
    )
    assert {answer.dimension for answer in first.answers} == {
        "exact",
        "number_sense",
        "metacognition",
        "adversarial",
        "errors",
        "effective",
        "ability",
    }


def test_what_is_known_at_the_last_stop_is_what_the_end_answers(base, plan):
    """
    The stops ask the first of the final questions, and nothing is learned in between.
    """
    outcome = trial.run(plan, base, trial.Trial("phases", 1))

    exact = [a for a in outcome.answers if a.dimension == "exact"]
    last = outcome.stops[-1]
    assert last.after == "orchestration"
    for measure in ("exact", "exact.final", "exact.form"):
        values = [answer.measures[measure] for answer in exact]
        assert last.scores[measure] == pytest.approx(fmean(values))
    assert not [name for name in last.scores if name.startswith("article")]


def test_what_magnitude_pruning_zeroed_stays_zero(base, plan, course):
    """
    The second factor is never zero by itself, so its zeros are those of pruning.
    """
    arm = arm_of("magnitude")
    life, _ = lived(base, arm, course, plan)

    share = arm.sleep["prune_share"]
    for change in life.whole.values():
        zeros = (change.down == 0).double().mean().item()
        assert zeros == pytest.approx(share, abs=0.01)
    assert life.steps > 0
