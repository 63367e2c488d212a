"""lm-evaluation-harness on versions: what is refused, and the library where it is."""

import json
import shutil

import pytest

from sleepcycle.errors import SleepcycleError, VersionError
from sleepcycle.home.harness_scores import score_with_harness
from sleepcycle.model.harness import Measure
from tests.harnesses import EXAMPLE, needs_library, needs_none


class TestWhatIsRefused:
    def test_a_task_name_is_never_looked_up(self, home):
        with pytest.raises(SleepcycleError, match=r"YAML file .* got 'hellaswag'"):
            score_with_harness(home.versions, "hellaswag")

    def test_a_folder_without_tasks(self, home, tmp_path):
        with pytest.raises(SleepcycleError, match=r"a folder that has some, got"):
            score_with_harness(home.versions, str(tmp_path / "home" / "logs"))

    @needs_none
    def test_without_the_library_the_message_says_what_to_install(self, home):
        with pytest.raises(SleepcycleError, match=r"pip install 'sleepcycle\[eval\]'"):
            score_with_harness(home.versions, str(EXAMPLE))


@needs_library
@pytest.mark.slow
class TestWithTheLibrary:
    def test_the_example_is_answered_by_the_bare_base(self, home):
        """
        Live is the bare base still, so that both are one column.
        """
        found = score_with_harness(home.versions, str(EXAMPLE))

        assert found.versions == ["v0"]
        assert found.measures == [Measure("opposites", "acc", True)]
        assert found.matrix == [[1.0]]

    def test_one_file_is_enough(self, home):
        found = score_with_harness(home.versions, str(EXAMPLE / "opposites.yaml"))

        assert [measure.task for measure in found.measures] == ["opposites"]

    @pytest.mark.parametrize(
        "place", ["https://example.com/rows.jsonl", "nowhere.jsonl"]
    )
    def test_data_elsewhere_is_refused(self, home, tmp_path, place):
        text = (EXAMPLE / "opposites.yaml").read_text()
        (tmp_path / "task.yaml").write_text(text.replace("opposites.jsonl", place))

        with pytest.raises(SleepcycleError, match=r"on local data.*harness\.log"):
            score_with_harness(home.versions, str(tmp_path / "task.yaml"))

    def test_an_unknown_version_is_named(self, home):
        with pytest.raises(VersionError, match="v7"):
            score_with_harness(home.versions, str(EXAMPLE), ["v7"])

    def test_the_data_are_read_anew(self, home, tmp_path):
        """
        A task's data may change between two looks.
        """
        shutil.copytree(EXAMPLE, tmp_path / "tasks")
        score_with_harness(home.versions, str(tmp_path / "tasks"))
        data = tmp_path / "tasks" / "opposites.jsonl"
        rows = [json.loads(line) for line in data.read_text().splitlines()]
        wrong = [row | {"answer": (row["answer"] + 1) % 4} for row in rows]
        data.write_text("\n".join(map(json.dumps, wrong)))

        found = score_with_harness(home.versions, str(tmp_path / "tasks"))

        assert found.matrix == [[0.0]]
