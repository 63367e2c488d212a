"""Harness tasks in a study from the command line; the library is a stand-in."""

import json
import shutil
from pathlib import Path

import pytest
from test_commands import PLAN, in_process, stamps, write_plan

from sleepcycle_study.experiment import results
from tests.harnesses import needs_none, use_stand_in, write_task

HARNESSED = 'harness = ["tasks/words.yaml"]\nharness_limit = 3\n' + PLAN


@pytest.fixture
def plan(tmp_path):
    """A plan with a task."""
    path = write_plan(tmp_path / "plan", HARNESSED)
    write_task(path.parent / "tasks")
    return path


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """The folder of the plan's study, made by two processes."""
    place = tmp_path_factory.mktemp("study")
    plan, out = write_plan(place / "plan", HARNESSED), place / "out"
    write_task(plan.parent / "tasks")
    with pytest.MonkeyPatch.context() as patch:
        use_stand_in(patch)
        in_process("study", "run", plan, "--out", out, "--jobs", "2")
    return out


@pytest.fixture
def made(made_once, tmp_path, monkeypatch):
    """A copy of that folder elsewhere, and the library."""
    use_stand_in(monkeypatch)
    return Path(shutil.copytree(made_once, tmp_path / "made"))


@needs_none
def test_without_the_library_nothing_is_begun(plan, tmp_path):
    said = in_process("study", "run", plan, "--out", tmp_path / "out", exit_code=1)

    assert "pip install 'sleepcycle[eval]'" in said.err
    assert len(said.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_task_that_is_not_here_is_told_before_anything_is_begun(plan, tmp_path):
    plan.write_text(HARNESSED.replace("tasks/words.yaml", "hellaswag"))

    said = in_process("study", "run", plan, "--out", tmp_path / "out", exit_code=1)

    assert "hellaswag'; tasks are never downloaded" in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
class TestFlow:
    def test_every_run_has_its_scores(self, made):
        found = {run.arm: run.general for run in results.read(made)}

        assert set(found) == {"base", "dream"}
        for general in found.values():
            assert general["harness: words, acc ↑"]["before"] == pytest.approx(2 / 3)
        before = {g["harness: words, nats ↓"]["before"] for g in found.values()}
        assert len(before) == 1

    def test_the_moved_folder_goes_on_by_its_own_plan(self, made):
        before = stamps(made)

        said = in_process("study", "run", made / "plan.toml", "--out", made)

        assert "2 of 2 there already, 0 runs to make" in said.out
        assert stamps(made) == before

    def test_the_report_has_them_among_the_general_tasks(self, made):
        in_process("study", "report", made)

        sections = json.loads((made / "report.json").read_text())["sections"]
        (section,) = (one for one in sections if one["title"] == "Generalism")
        rows = [(row["arm"], row["task"]) for row in section["tables"][0]["rows"]]
        assert ("dream", "harness: words, acc ↑") in rows
        assert ("dream", "copying") in rows
