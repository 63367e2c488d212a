"""The files of harness tasks: which count, what they decide, and their copies."""

import shutil

import pytest

from sleepcycle.errors import HarnessError
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment import planfile, taskfiles
from sleepcycle_study.experiment.plan import read_plan
from tests.harnesses import write_task

PLAN = 'curriculum = "logic"\narms = ["base"]\nseeds = [1]\n'


@pytest.fixture
def place(tmp_path):
    """A plan's folder, with tasks beside the plan."""
    write_task(tmp_path / "mine" / "tasks", "words")
    write_task(tmp_path / "mine" / "tasks", "more")
    return tmp_path / "mine"


def planned(place, *harness, limit=0):
    """Write a plan beside its tasks, and read it."""
    names = ", ".join(f'"{name}"' for name in harness)
    text = f"{PLAN}harness = [{names}]\nharness_limit = {limit}\n"
    (place / "plan.toml").write_text(text)
    return read_plan(place / "plan.toml")


class TestWhatDecides:
    @pytest.fixture
    def before(self, place):
        return taskfiles.digest(place / "tasks")

    def test_it_is_the_same_wherever_it_lies(self, place, before, tmp_path):
        shutil.copytree(place / "tasks", tmp_path / "elsewhere")

        assert taskfiles.digest(tmp_path / "elsewhere") == before

    @pytest.mark.parametrize("name", ["words.yaml", "words.jsonl", "utils.py", "sub/x"])
    def test_every_file_counts(self, place, before, name):
        (place / "tasks" / name).parent.mkdir(exist_ok=True)
        with (place / "tasks" / name).open("a") as file:
            file.write("\n")

        assert taskfiles.digest(place / "tasks") != before

    def test_a_file_counts_by_its_name_too(self, place, before):
        (place / "tasks" / "words.jsonl").rename(place / "tasks" / "words.json")

        assert taskfiles.digest(place / "tasks") != before

    @pytest.mark.parametrize("name", ["__pycache__/utils.pyc", ".git/HEAD", ".notes"])
    def test_what_tools_leave_does_not_count(self, place, before, name):
        (place / "tasks" / name).parent.mkdir(exist_ok=True)
        (place / "tasks" / name).write_text("x")

        assert taskfiles.digest(place / "tasks") == before

    def test_one_task_of_a_folder_is_not_all_of_them(self, place, before):
        found = taskfiles.decided_by(planned(place, "tasks", "tasks/words.yaml"))

        assert found == [
            {"folder": before, "file": ""},
            {"folder": before, "file": "words.yaml"},
        ]

    def test_a_file_that_cannot_be_read_is_told(self, place):
        (place / "tasks" / "gone").symlink_to("nowhere")

        with pytest.raises(StudyError, match=r"to read .*gone.*: No such file.*; mend"):
            taskfiles.digest(place / "tasks")

    def test_a_folder_that_is_a_link_is_told(self, place):
        (place / "tasks" / "data").symlink_to(place)

        with pytest.raises(StudyError, match=r"folder .*data itself .*; copy it there"):
            taskfiles.digest(place / "tasks")


class TestPlaces:
    def test_tasks_beside_the_plan_are_refused(self, place):
        """
        The plan would be one of the files that decide the scores.
        """
        write_task(place, "here")

        for name in (".", "here.yaml"):
            with pytest.raises(StudyError, match=r"in a folder of their own, .*; move"):
                taskfiles.task_files(planned(place, name))

    def test_a_task_that_is_not_there_is_told(self, place):
        with pytest.raises(HarnessError, match=r"nowhere'; tasks are never downloaded"):
            taskfiles.task_files(planned(place, "nowhere"))

    @pytest.mark.parametrize("name", ["../x.jsonl", "/x.jsonl", "a/../../x"])
    def test_data_elsewhere_are_refused(self, tmp_path, name):
        with pytest.raises(
            StudyError, match=r"the data of t in .*x.*; copy what it nam"
        ):
            taskfiles.expect_inside(tmp_path, tmp_path, [name], "the data of t")

    @pytest.mark.parametrize("name", ["json", "x.jsonl", "./a/../x", "a/*.parquet"])
    def test_data_beside_the_task_are_not(self, tmp_path, name):
        for place in (tmp_path, tmp_path / "sub" / ".."):
            taskfiles.expect_inside(place, place, [name], "the data of t")

    @pytest.mark.parametrize(
        "text",
        [
            "include: ../b.yaml\n",
            'task: x\ninclude: ["a.yaml", "/b.yaml"]\n',
            "include:\n  - a.yaml\n  - ../b.yaml\ntask: x\n",
            "include:\n- '../b.yaml'",
        ],
    )
    def test_what_is_included_from_elsewhere_is_refused(self, tmp_path, text):
        (tmp_path / "one.yaml").write_text(text)

        with pytest.raises(StudyError, match=r"what one\.yaml includes in .*b\.yaml'"):
            taskfiles.expect_whole(tmp_path)

    def test_what_is_included_from_beside_is_not(self, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "one.yaml").write_text("include:\n  - ../a.yaml\n")
        (tmp_path / "one.yaml").write_text("include: a.yaml\ndoc_to_text: ../x\n")

        taskfiles.expect_whole(tmp_path)


class TestKept:
    @pytest.mark.parametrize("name", ["tasks", "tasks/words.yaml"])
    def test_the_copy_decides_the_same_where_the_study_goes(
        self, place, tmp_path, name
    ):
        plan = planned(place, name, limit=3)
        planfile.keep(plan, tmp_path / "out")
        shutil.rmtree(place)
        moved = (tmp_path / "out").rename(tmp_path / "moved")

        kept = planfile.kept(moved)

        assert kept.harness_limit == 3
        (entry,) = taskfiles.task_files(kept)
        assert entry.path.is_relative_to(moved)
        names = {path.name for path in entry.folder.iterdir()}
        assert names == {"words.yaml", "words.jsonl", "more.yaml", "more.jsonl"}
        assert entry.file == name[len("tasks/") :]

    def test_it_can_be_kept_again_from_there(self, place, tmp_path):
        planfile.keep(planned(place, "tasks", "tasks/words.yaml"), tmp_path / "out")
        before = everything(tmp_path / "out")

        planfile.keep(planfile.kept(tmp_path / "out"), tmp_path / "out")

        assert everything(tmp_path / "out") == before

    def test_bytes_that_are_no_text_are_copied_too(self, place, tmp_path):
        (place / "tasks" / "rows.parquet").write_bytes(bytes(range(256)) * 9000)
        plan = planned(place, "tasks")

        planfile.keep(plan, tmp_path / "out")

        kept = planfile.kept(tmp_path / "out")
        assert taskfiles.decided_by(kept) == taskfiles.decided_by(plan)

    def test_a_damaged_copy_is_made_again(self, place, tmp_path):
        plan = planned(place, "tasks")
        planfile.keep(plan, tmp_path / "out")
        (copy,) = (tmp_path / "out" / "harness").iterdir()
        (copy / "words.jsonl").write_text("")
        (copy / "stray").write_text("")

        planfile.keep(plan, tmp_path / "out")

        assert taskfiles.digest(copy) == taskfiles.digest(place / "tasks")

    def test_a_study_among_its_tasks_is_refused(self, place):
        with pytest.raises(StudyError, match=r"in which .*out lies; move the tasks"):
            planfile.keep(planned(place, "tasks"), place / "tasks" / "out")

    def test_a_plan_without_tasks_keeps_none(self, place, tmp_path):
        planfile.keep(planned(place), tmp_path / "out")

        assert not (tmp_path / "out" / "harness").exists()
        assert planfile.kept(tmp_path / "out").harness == []


def everything(folder):
    """Return the bytes of all files in a folder."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
