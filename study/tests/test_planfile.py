"""Whose folder a study's folder is."""

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment.plan import StudyPlan
from sleepcycle_study.experiment.planfile import expect_own, keep

PLAN = StudyPlan(name="mine", curriculum="logic", arms=["base"], seeds=[1])


@pytest.fixture
def folder(tmp_path):
    """A folder that keeps the plan."""
    keep(PLAN, tmp_path / "study")
    return tmp_path / "study"


def changed(**fields):
    """Return the plan with some of it changed."""
    return PLAN.model_copy(update=fields)


def with_model(**fields):
    """Return the plan with some of its model changed."""
    return changed(model=PLAN.model.model_copy(update=fields))


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        changed(arms=["base", "flat"], seeds=[1, 2], controls=["base"]),
        changed(curriculum="facts"),
        changed(samples_scale=0.5, lr_floor=0.5),
        changed(wake=PLAN.wake.model_copy(update={"rank": 4})),
    ],
)
def test_more_runs_and_other_learning_go_into_the_same_folder(folder, plan):
    expect_own(plan, folder)
    keep(plan, folder)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (changed(name="other"), r"study 'other', got that of 'mine'; .* --out"),
        (changed(questions=9), r"with questions = 9, got .* questions = 50; .* --out"),
        (changed(language="it"), r'language = "it", got .* language = "en"; .* --out'),
        (
            with_model(base="mine"),
            r'with model\.base = "mine", got .* model\.base = "builtin:nano"; .* --out',
        ),
        (with_model(dtype="bfloat16"), r'model\.dtype = "bfloat16", got .*"auto"'),
        (with_model(target_modules=["q_proj"]), r'target_modules = \["q_proj"\], got'),
    ],
)
def test_who_is_asked_and_what_are_those_of_the_folder(folder, plan, said):
    before = (folder / "plan.toml").read_bytes()

    with pytest.raises(StudyError, match=said):
        expect_own(plan, folder)
    with pytest.raises(StudyError, match=said):
        keep(plan, folder)
    assert (folder / "plan.toml").read_bytes() == before


def test_all_that_differs_is_named(folder):
    model = PLAN.model.model_copy(update={"base": "mine"})
    plan = changed(model=model, questions=9)

    with pytest.raises(StudyError, match=r'model\.base = "mine", questions = 9, got'):
        expect_own(plan, folder)


def test_a_folder_without_a_plan_is_anybodys(tmp_path):
    expect_own(PLAN, tmp_path)
