"""Harness tasks in a study: refused in time, scored before and after, remembered."""

import json
import shutil
from dataclasses import replace

import pytest

from sleepcycle.errors import HarnessError
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment import harness_tasks, planfile, trial
from sleepcycle_study.experiment.plan import read_plan
from sleepcycle_study.experiment.results import fingerprint
from sleepcycle_study.experiment.workbench import Workbench
from tests.forked import forked_workers
from tests.harnesses import (
    EXAMPLE,
    needs_library,
    needs_none,
    use_stand_in,
    write_task,
)

PLAN = """
curriculum = "wake_sleep"
arms = ["phases", "base"]
seeds = [7]
questions = 2
samples_scale = 0.004
harness = ["tasks"]
[wake]
lr = 0.01
"""
ELSEWHERE, OUTSIDE = (
    {"dataset_kwargs": {"data_files": {"test": name}}}
    for name in ("no.jsonl", "../x.jsonl")
)
ACC, NATS, ODD = "words, acc ↑", "words, nats ↓", "words, odd"


@pytest.fixture
def place(tmp_path):
    """A plan's folder, with a task."""
    write_task(tmp_path / "mine" / "tasks")
    return tmp_path / "mine"


@pytest.fixture
def library(monkeypatch):
    """The stand-in for lm-eval."""
    use_stand_in(monkeypatch)


def planned(place, text=PLAN):
    """Write a plan beside its tasks, and read it."""
    (place / "plan.toml").write_text(text)
    return read_plan(place / "plan.toml")


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """What runs are made on."""
    place = tmp_path_factory.mktemp("ground")
    write_task(place / "tasks")
    return Workbench(planned(place), place / "out", device="cpu", threads=1)


@pytest.fixture(scope="module")
def base(ground):
    return ground.load()


@pytest.fixture(scope="module")
def made(ground, base):
    """The plan's two runs."""
    with pytest.MonkeyPatch.context() as patch, forked_workers():
        use_stand_in(patch)
        return [ground.make(base, job) for job in trial.trials(ground.plan)]


class TestRefused:
    """
    Before a model is loaded.
    """

    @needs_none
    def test_without_the_library(self, place, tmp_path):
        with pytest.raises(HarnessError, match=r"pip install 'sleepcycle\[eval\]'"):
            harness_tasks.expect_runnable(planned(place), tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_tasks_that_are_not_there(self, place, tmp_path):
        plan = planned(place, PLAN.replace("tasks", "hellaswag"))

        with pytest.raises(
            HarnessError, match="hellaswag'; tasks are never downloaded"
        ):
            harness_tasks.expect_runnable(plan, tmp_path / "out")

    def test_a_study_among_its_tasks(self, place):
        with pytest.raises(StudyError, match="in a folder of their own"):
            harness_tasks.expect_runnable(planned(place), place / "tasks" / "out")

    def test_an_include_from_elsewhere(self, place, tmp_path):
        (place / "tasks" / "other.yaml").write_text("include: ../other.yaml\n")

        with pytest.raises(StudyError, match=r"what other\.yaml includes in"):
            harness_tasks.expect_runnable(planned(place), tmp_path / "out")

    @pytest.mark.slow
    @pytest.mark.usefixtures("library")
    @pytest.mark.parametrize(
        ("entry", "config", "said"),
        [
            ('"tasks"', ELSEWHERE, r"on local data, .*no\.jsonl"),
            ('"tasks"', OUTSIDE, r"the data of words in .*'\.\./x\.jsonl'; copy"),
            (
                '"tasks", "tasks/words.yaml"',
                {},
                "different names, got 2 called 'words'",
            ),
        ],
    )
    def test_what_only_the_harness_sees(self, place, tmp_path, entry, config, said):
        (place / "x.jsonl").write_text('{"word": "a", "answer": 0}')
        write_task(place / "tasks", **config)
        plan = planned(place, PLAN.replace('"tasks"', entry))

        with (
            forked_workers(),
            pytest.raises((HarnessError, StudyError), match=said),
        ):
            harness_tasks.expect_runnable(plan, tmp_path / "out")

    @pytest.mark.slow
    @pytest.mark.usefixtures("library")
    def test_nothing_where_all_is_well(self, place, tmp_path):
        with forked_workers():
            harness_tasks.expect_runnable(planned(place), tmp_path / "out")

    def test_a_plan_without_tasks_needs_no_library(self, place, tmp_path):
        plan = planned(place, PLAN.replace('["tasks"]', "[]"))

        harness_tasks.expect_runnable(plan, tmp_path / "out")

        assert not (tmp_path / "out").exists()


class TestDecided:
    @pytest.fixture
    def before(self, place, base):
        return decided(planned(place), base)

    def test_tasks_elsewhere_decide_the_same(self, place, base, before, tmp_path):
        planfile.keep(planned(place), tmp_path / "out")
        shutil.rmtree(place)

        assert decided(planfile.kept(tmp_path / "out"), base) == before

    def test_their_data_decide(self, place, base, before):
        write_task(place / "tasks", answers=(1, 1))

        assert decided(planned(place), base) != before

    def test_the_limit_decides(self, place, base, before):
        limited = planned(place, "harness_limit = 2\n" + PLAN)

        assert decided(limited, base) != before

    def test_a_plan_without_tasks_has_no_trace_of_them(self, place, base):
        """
        So that runs of before there were any stay as they are.
        """
        plan = planned(place, "harness_limit = 2\n" + PLAN.replace('["tasks"]', "[]"))

        found = trial.decided_by(plan, base, trial.Trial("base", 7))

        assert not [name for name in found if "harness" in name]


@pytest.mark.slow
class TestScores:
    """
    The library is a stand-in, and the processes are forks.
    """

    def test_they_are_general_tasks_before_and_after(self, made):
        learned, _ = made

        assert learned.general["copying"].keys() == {"before", "after"}
        assert learned.general[f"harness: {ACC}"] == {"before": 0.75, "after": 0.75}
        nats = learned.general[f"harness: {NATS}"]
        assert nats["before"] != pytest.approx(nats["after"], abs=1e-3)
        assert learned.general[f"harness: {ODD}"] == {"before": None, "after": None}

    def test_the_bare_base_is_the_same_in_each_run(self, made):
        learned, bare = made

        before = learned.general[f"harness: {NATS}"]["before"]
        assert bare.general[f"harness: {NATS}"] == {"before": before, "after": before}

    def test_a_run_tells_what_decided_it(self, made, ground, base):
        job = trial.Trial("phases", 7)

        assert not list(trial.missing(ground.plan, base, ground.folder, [job]))
        write_task(ground.plan.folder / "tasks", answers=(1,))
        assert list(trial.missing(ground.plan, base, ground.folder, [job])) == [job]
        write_task(ground.plan.folder / "tasks")

    def test_the_bare_base_is_scored_once(self, made, ground, base):
        """
        Its second run printed nothing, and what is remembered is what is told.
        """
        logs = {path.name for path in base.cache.glob("harness-*.log")}
        (memory,) = base.cache.glob("harness-*.json")
        told = {"harness: mine, acc": 0.125}
        kept = memory.read_text()

        memory.write_text(json.dumps(told))
        found = harness_tasks.scores(ground.plan, base, {}, "other")
        memory.write_text(kept)

        assert logs == {"harness-phases-7.log"}
        assert found == told

    @pytest.mark.usefixtures("library")
    def test_a_limit_takes_the_first_documents(self, place, base, tmp_path):
        plan = planned(place, "harness_limit = 2\n" + PLAN)

        with forked_workers():
            found = harness_tasks.scores(
                plan, replace(base, cache=tmp_path), {}, "limited"
            )

        assert found[f"harness: {ACC}"] == 0.5


@needs_library
@pytest.mark.slow
class TestWithTheLibrary:
    @pytest.fixture
    def plan(self, place):
        """The plan, with the example in place of its task."""
        shutil.rmtree(place / "tasks")
        shutil.copytree(EXAMPLE, place / "tasks")
        return planned(place)

    def test_the_example_is_scored_before_and_after(self, plan, base, tmp_path):
        harness_tasks.expect_runnable(plan, tmp_path / "out")

        found = trial.run(plan, base, trial.Trial("phases", 7))

        assert found.general["harness: opposites, acc ↑"]["before"] == 1.0
        assert 0 <= found.general["harness: opposites, acc ↑"]["after"] <= 1
        assert found.settings["harness"]["lm_eval"].startswith("0.4.")

    def test_a_limit_is_heeded(self, plan, base):
        """
        Of the first document alone there is no standard error, and one score.
        """
        wrong = plan.folder / "tasks" / "opposites.jsonl"
        rows = [json.loads(line) for line in wrong.read_text().splitlines()]
        rows[1:] = [row | {"answer": (row["answer"] + 1) % 4} for row in rows[1:]]
        wrong.write_text("\n".join(map(json.dumps, rows)))
        limited = plan.model_copy(update={"harness_limit": 1})

        all_, one = (
            harness_tasks.scores(each, base, {}, "x")["harness: opposites, acc ↑"]
            for each in (plan, limited)
        )

        assert (all_, one) == (0.1, 1.0)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("opposites.jsonl", "https://example.com/rows.jsonl", "on local data"),
            ("dataset_path: json", "dataset_path: cais/mmlu", "on local data"),
            (
                "opposites.jsonl",
                "../rows.jsonl",
                r"the data of opposites in .*rows\.js",
            ),
        ],
    )
    def test_data_elsewhere_are_refused(self, plan, tmp_path, old, new, said):
        task = plan.folder / "tasks" / "opposites.yaml"
        task.write_text(task.read_text().replace(old, new))
        shutil.copy(
            plan.folder / "tasks" / "opposites.jsonl", plan.folder / "rows.jsonl"
        )

        with pytest.raises((HarnessError, StudyError), match=said):
            harness_tasks.expect_runnable(plan, tmp_path / "out")


def decided(plan, base):
    """Return the fingerprint of a run."""
    return fingerprint(trial.decided_by(plan, base, trial.Trial("phases", 7)))
