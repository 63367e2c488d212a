"""A study's plan: what a file may say, and how a wrong one is refused."""

import pickle
from pathlib import Path

import pytest

from sleepcycle.errors import ConfigError
from sleepcycle_study.experiment.arms import ARMS
from sleepcycle_study.experiment.plan import PLANS, read_plan

LEAST = 'curriculum = "four_phases"\narms = ["flat"]\n'


def written(folder, text):
    """Write a plan and return its path."""
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_least_of_a_plan_is_named_by_its_file(tmp_path):
    plan = read_plan(written(tmp_path, LEAST))

    assert (plan.name, plan.seeds, plan.questions) == ("mine", [42, 43, 44], 50)
    assert (plan.wake.batch_size, plan.wake.dropout) == (4, 0.05)
    assert plan.expected() == {"flat": [42, 43, 44]}


def test_tasks_of_the_harness_are_named_from_the_plans_folder(tmp_path):
    text = LEAST + 'harness = ["tasks", "more/one.yaml"]\nharness_limit = 100\n'

    plan = read_plan(written(tmp_path, text))

    assert plan.harness == ["tasks", "more/one.yaml"]
    assert plan.harness_limit == 100
    assert plan.model_copy(update={"questions": 3}).folder == tmp_path
    assert pickle.loads(pickle.dumps(plan)).folder == tmp_path


@pytest.mark.parametrize("name", sorted(path.stem for path in PLANS.glob("*.toml")))
def test_those_built_in_are_whole(name):
    plan = read_plan(Path(name))

    assert plan.lessons().phases
    assert set(plan.arms) <= set(ARMS)
    assert set(plan.controls) <= set(plan.arms)


def test_a_file_goes_before_one_built_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick").write_text(LEAST)

    assert read_plan(Path("quick")).arms == ["flat"]


def test_a_folder_of_that_name_does_not_hide_one_built_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick").mkdir()

    assert read_plan(Path("quick")).name == "quick"


def test_a_control_must_be_an_arm(tmp_path):
    with pytest.raises(ConfigError, match=r"expected arms among .*, got 'flta'"):
        read_plan(written(tmp_path, LEAST + 'controls = ["flta"]\n'))


def test_a_curriculum_of_ones_own_lies_beside_the_plan(tmp_path):
    (tmp_path / "own.toml").write_text(
        'name = "own"\n[[phases]]\nname = "one"\ndomain = "logic"\n'
        '[[phases.forms]]\nprompt = "{question}"\nanswer = "{answer}"\n'
    )
    plan = read_plan(written(tmp_path, LEAST.replace("four_phases", "own.toml")))

    assert [phase.name for phase in plan.lessons().phases] == ["one"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            LEAST.replace("flat", "flatt"),
            r"mine\.toml: .*expected arms among .*'flatt'",
        ),
        (LEAST.replace('["flat"]', "[]"), r"mine\.toml: .*arms"),
        (LEAST + "seeds = []\n", r"mine\.toml: .*seeds"),
        (LEAST + "seeds = [1, 1]\n", r"mine\.toml: .*seeds"),
        (LEAST + "question = 3\n", r"mine\.toml: .*question"),
        (LEAST + 'folder = "x"\n', r"mine\.toml: unknown key folder; known are .*arms"),
        (LEAST + 'harness = "x"\n', r"mine\.toml: harness: expected a list"),
        (LEAST + 'harness = ["x", "x"]\n', r"mine\.toml: harness: .*no word twice"),
        (LEAST + "harness_limit = -1\n", r"mine\.toml: harness_limit: .*got -1"),
        (LEAST + "[wake]\nrank = 0\n", r"mine\.toml: .*wake\.rank"),
        ("arms = [", r"mine\.toml: expected TOML"),
        ('arms = ["flat"]\n', r"mine\.toml: .*curriculum"),
    ],
)
def test_a_wrong_plan_is_refused_by_file_and_key(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read_plan(written(tmp_path, text))


def test_a_plan_that_is_not_there_names_those_built_in(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.*one of those built in: .*quick"):
        read_plan(tmp_path / "nowhere")
