"""What is still known of each batch: matrix, metrics, and a drawing of them."""

import json
from xml.etree import ElementTree

import pytest

from sleepcycle.cli.evaluate_commands import show_harness
from sleepcycle.model.harness import HarnessScores, Measure
from tests.cli.conftest import LESSONS
from tests.harnesses import EXAMPLE, needs_library, needs_none

KEYS = {
    "acc", "bwt", "fwt", "forgetting", "learned", "intransigence", "batches",
    "versions", "units", "matrix", "losses", "base",
}  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


class TestOneNight:
    def test_its_lesson_is_known_and_there_is_no_past_to_compare(self, lived):
        found = lived.json("evaluate")

        assert set(found) == KEYS
        assert (found["versions"], found["batches"]) == (["v2"], [1])
        assert found["units"] == ["exact"]
        assert found["acc"] == found["matrix"][0][0] > 0.9 > 0.5 > found["base"][0]
        assert 0 < found["losses"][0][0] < 0.5
        assert (found["bwt"], found["fwt"], found["forgetting"]) == (None, None, None)
        assert found["intransigence"] is None  # no home has a reference

    def test_versions_that_are_no_row_of_lessons_have_no_metrics(self, lived):
        found = lived.json("evaluate", "live", "v0")

        assert found["versions"] == ["v0", "v2"]
        assert found["matrix"][0] == found["base"]
        assert found["matrix"][0][0] < found["matrix"][1][0]
        assert found["acc"] is None

    def test_people_get_a_table_and_a_drawing(self, lived, tmp_path):
        shown = lived.run("evaluate", "--plot", tmp_path / "m.svg").stdout

        assert "batch 1 (exact)" in shown
        assert "backward transfer" in shown
        assert "intransigence" in shown
        drawn = ElementTree.parse(tmp_path / "m.svg")
        words = [text.text for text in drawn.iter(f"{SVG}text")]
        assert words[:2] == ["batch 1", "v2"]
        assert len(list(drawn.iter(f"{SVG}rect"))) == 1


def test_a_home_without_a_night_has_nothing_to_evaluate(cli):
    assert "expected an accepted night on the line of live" in cli.error("evaluate")
    assert "nothing to evaluate on" in cli.error("evaluate", "v0")


def test_a_drawing_in_no_folder_is_refused_before_any_work(cli, tmp_path):
    done = cli.run("evaluate", "--plot", tmp_path / "no" / "m.svg", exit_code=2)
    assert "there is no folder" in done.stderr


@pytest.mark.parametrize("name", ["m.png", "m", "svg"])
def test_a_drawing_that_is_no_svg_is_refused_before_any_work(cli, tmp_path, name):
    done = cli.run("evaluate", "--plot", tmp_path / name, exit_code=2)
    assert f"ends in .svg, got {name}" in done.stderr
    assert not (tmp_path / name).exists()


class TestHarness:
    def test_a_task_must_lie_on_this_machine(self, cli):
        said = cli.error("evaluate", "--harness", "hellaswag")
        assert "got 'hellaswag'; tasks are never downloaded" in said

    def test_it_draws_nothing(self, cli, tmp_path):
        done = cli.run(
            "evaluate", "--harness", EXAMPLE, "--plot", tmp_path / "m.svg", exit_code=2
        )
        assert "--plot draws no scores of --harness" in done.stderr

    @needs_none
    def test_it_says_what_to_install(self, cli):
        said = cli.error("evaluate", "--harness", EXAMPLE)
        assert "pip install 'sleepcycle[eval]'" in said

    @needs_library
    def test_what_a_night_learned_is_scored_before_and_after(self, lived, tmp_path):
        """
        Live answers what the bare base could not, so its adapter was on.
        """
        write_capitals(tmp_path)

        found = lived.json("evaluate", "--harness", tmp_path)["harness"]

        assert found["versions"] == ["v0", "v2"]
        assert found["measures"] == [
            {"task": "capitals", "metric": "exact_match", "higher_is_better": True}
        ]
        [[before, after]] = found["matrix"]
        assert before == 0 < 0.8 < after

    @needs_library
    def test_people_get_a_table(self, lived):
        shown = lived.run("evaluate", "--harness", EXAMPLE, "v2", "v0").stdout

        assert "acc ↑" in shown
        assert shown.split()[:5] == ["task", "metric", "v2", "v0", "change"]


def test_the_harness_table_has_an_arrow_an_error_and_a_change(capsys):
    show_harness(
        HarnessScores(
            versions=["v0", "v2"],
            measures=[Measure("t", "acc", True), Measure("u", "perplexity", False)],
            matrix=[[0.5, 0.75], [12.0, 11.5]],
            errors=[[0.1, 0.05], [None, None]],
        )
    )

    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert rows[1] == "t acc ↑ 0.5000 ± 0.1000 0.7500 ± 0.0500 +0.2500"
    assert rows[2] == "u perplexity ↓ 12.0000 11.5000 -0.5000"


def test_one_version_has_no_change(capsys):
    show_harness(HarnessScores(["v0"], [Measure("t", "acc", None)], [[0.5]], [[None]]))

    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["task", "metric", "v0"], ["t", "acc", "0.5000"]]


def write_capitals(folder):
    """Write the first lesson's questions as a task."""
    questions = (LESSONS / "capitals.questions.jsonl").read_text().splitlines()[:10]
    (folder / "rows.jsonl").write_text("\n".join(questions))
    task = {
        "task": "capitals",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "answer",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 16, "do_sample": False},
        "metric_list": [
            {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
        ],
    }
    (folder / "task.yaml").write_text(json.dumps(task))  # JSON is YAML too
