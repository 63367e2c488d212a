"""lm-evaluation-harness on versions: what surrounds it, and the library where it is."""

import json
import math
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sleepcycle.errors import HarnessError, SleepcycleError, VersionError
from sleepcycle.plain import to_json
from sleepcycle.service.harness import (
    HarnessFault,
    HarnessScores,
    Measure,
    read_result,
    score_with_harness,
)
from sleepcycle.service.harness_worker import collect, measured

EXAMPLE = Path(__file__).parents[2] / "examples" / "harness"
needs_library = pytest.mark.skipif(
    find_spec("lm_eval") is None, reason="the extra `eval` is not installed"
)
GUARD = """
import socket, sys
from sleepcycle.service.harness_worker import refuse_network
sys.addaudithook(refuse_network)
ADDRESS = ('127.0.0.1', 9)
{act}
"""


class TestWhatIsRefused:
    def test_a_task_name_is_never_looked_up(self, home):
        with pytest.raises(SleepcycleError, match=r"YAML file .* got 'hellaswag'"):
            score_with_harness(home.versions, "hellaswag")

    def test_a_folder_without_tasks(self, home, tmp_path):
        with pytest.raises(SleepcycleError, match=r"a folder that has some, got"):
            score_with_harness(home.versions, str(tmp_path / "home" / "logs"))

    @pytest.mark.skipif(find_spec("lm_eval") is not None, reason="it is installed")
    def test_without_the_library_the_message_says_what_to_install(self, home):
        with pytest.raises(SleepcycleError, match=r"pip install 'sleepcycle\[eval\]'"):
            score_with_harness(home.versions, str(EXAMPLE))


class TestMeasured:
    def test_numbers_are_read_with_their_errors(self):
        """
        What else stands in a result, such as names and counts, is no measure.
        """
        found = {
            "results": {
                "t": {
                    "name": "t",
                    "alias": "t",
                    "sample_len": 10,
                    "acc,none": 0.5,
                    "acc_stderr,none": 0.1,
                    "f1,strict": 0.25,
                    "f1_stderr,strict": "N/A",
                }
            },
            "higher_is_better": {"t": {"acc": True}},
        }

        assert dict(measured(found)) == {
            Measure("t", "acc", True): (0.5, 0.1),
            Measure("t", "f1,strict", None): (0.25, None),
        }

    def test_what_is_no_number_is_nan(self):
        found = {"results": {"t": {"acc,none": []}}}

        [(_, (value, error))] = measured(found)
        assert math.isnan(value)
        assert error is None


def test_versions_become_columns_and_measures_rows():
    acc, loss = Measure("t", "acc", True), Measure("t", "loss", False)
    columns = {
        "v0": {acc: (0.25, 0.1), loss: (2.0, None)},
        "v2": {acc: (0.5, 0.2), loss: (1.0, None)},
    }

    found = collect(columns)

    assert (found.versions, found.measures) == (["v0", "v2"], [acc, loss])
    assert found.matrix == [[0.25, 0.5], [2.0, 1.0]]
    assert found.errors == [[0.1, 0.2], [None, None]]


class TestResult:
    SCORES = HarnessScores(["v0"], [Measure("t", "acc", True)], [[0.5]], [[None]])

    def test_scores_of_a_worker_that_ended_well_count(self, tmp_path):
        assert read_result(to_json(self.SCORES), 0, tmp_path) == self.SCORES

    def test_a_fault_is_told_with_the_log(self, tmp_path):
        with pytest.raises(HarnessError, match=rf"^no such row; see {tmp_path}$"):
            read_result(to_json(HarnessFault("no such row")), 1, tmp_path)

    @pytest.mark.parametrize("exit_code", [0, 1, -9])
    @pytest.mark.parametrize("text", [None, "", to_json(SCORES)[:40], "[]", "{}"])
    def test_neither_scores_nor_a_fault(self, tmp_path, text, exit_code):
        with pytest.raises(HarnessError, match=f"exit code {exit_code} and neither"):
            read_result(text, exit_code, tmp_path)

    def test_a_worker_that_died_after_its_scores_has_none(self, tmp_path):
        with pytest.raises(HarnessError, match="exit code -9 and neither"):
            read_result(to_json(self.SCORES), -9, tmp_path)


class TestNetwork:
    @pytest.mark.parametrize(
        "act",
        [
            "socket.getaddrinfo('example.com', 443)",
            "socket.gethostbyname('localhost')",
            "socket.gethostbyaddr('127.0.0.1')",
            "socket.socket().connect(ADDRESS)",
            "socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ADDRESS)",
            "socket.socket(type=socket.SOCK_DGRAM).sendmsg([b''], (), 0, ADDRESS)",
        ],
    )
    def test_no_host_is_reached(self, act):
        done = guarded(act)

        assert done.returncode == 1
        assert "expected a task on local data, and it asks for the host" in done.stderr

    def test_a_socket_file_is_no_host(self, tmp_path):
        path = str(tmp_path / "s")
        act = (
            "a, b = (socket.socket(socket.AF_UNIX) for _ in range(2)); "
            f"a.bind({path!r}); a.listen(); b.connect({path!r}); b.sendmsg([b'x'])"
        )

        assert guarded(act).returncode == 0


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


def guarded(act):
    """Do something in a process that may reach no host."""
    return subprocess.run(
        [sys.executable, "-c", GUARD.format(act=act)],
        capture_output=True,
        text=True,
        check=False,
    )
