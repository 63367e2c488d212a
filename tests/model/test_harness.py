"""The harness's worker: what it is told and what it leaves, without the library."""

import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sleepcycle.errors import HarnessError
from sleepcycle.model.harness import (
    HarnessFault,
    HarnessLook,
    HarnessTask,
    HarnessTasks,
    Measure,
    locate_tasks,
    look_at_tasks,
)
from sleepcycle.model.harness_worker import collect, measured, needs
from sleepcycle.records.codec import to_json
from tests.forked import forked_workers
from tests.harnesses import use_stand_in, write_task

PATIENCE_S = 120.0
GUARD = """
import socket, sys
from sleepcycle.model.harness_worker import refuse_network
sys.addaudithook(refuse_network)
ADDRESS = ('127.0.0.1', 9)
{act}
"""


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
    """A shell script plays the worker; what it leaves, and its exit code, decide."""

    FOUND = HarnessTasks([HarnessTask("one", Path("one.yaml"), ["json"])])

    @pytest.fixture
    def look(self, tmp_path, monkeypatch):
        """Return what asks a worker that leaves a text and ends with an exit code."""

        def ask(text, exit_code):
            left = tmp_path / "left"
            left.write_text(text or "")
            copied = "" if text is None else f'cp "{left}" "$5"'
            ended = "kill -9 $$" if exit_code == -9 else f"exit {exit_code}"
            script = tmp_path / "worker.sh"
            script.write_text(f"#!/bin/sh\n{copied}\n{ended}\n")
            script.chmod(0o755)
            monkeypatch.setattr(sys, "executable", str(script))
            return look_at_tasks(HarnessLook([]), tmp_path / "log")

        return ask

    def test_a_result_of_a_worker_that_ended_well_counts(self, look):
        assert look(to_json(self.FOUND), 0) == self.FOUND

    def test_a_fault_is_told_with_the_log(self, look, tmp_path):
        fault = to_json(HarnessFault("no such row"))

        with pytest.raises(HarnessError, match=rf"^no such row; see {tmp_path}/log$"):
            look(fault, 1)

    @pytest.mark.parametrize("exit_code", [0, 1, -9])
    @pytest.mark.parametrize("text", [None, "", to_json(FOUND)[:40], "[]", "{}"])
    def test_neither_a_result_nor_a_fault(self, look, text, exit_code):
        with pytest.raises(HarnessError, match=f"exit code {exit_code} and neither"):
            look(text, exit_code)

    def test_a_worker_that_died_after_its_result_has_none(self, look):
        with pytest.raises(HarnessError, match="exit code -9 and neither"):
            look(to_json(self.FOUND), -9)

    def test_one_that_cannot_be_started_is_told(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "executable", "/nowhere/python")

        with pytest.raises(HarnessError, match=r"to start the harness.*No such file"):
            look_at_tasks(HarnessLook([]), tmp_path / "log")


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


class TestLocated:
    def test_a_file_or_a_folder_of_them(self, tmp_path):
        path = write_task(tmp_path / "tasks")

        assert locate_tasks(path) == path
        assert locate_tasks(tmp_path) == tmp_path

    @pytest.mark.parametrize("name", ["hellaswag", "empty", "words.jsonl"])
    def test_what_else_there_is_is_refused(self, tmp_path, name):
        (tmp_path / "empty").mkdir()
        (tmp_path / "words.jsonl").write_text("{}")

        with pytest.raises(
            HarnessError, match=rf"YAML file .*{name}'; tasks are never"
        ):
            locate_tasks(tmp_path / name)


class TestNeeds:
    @pytest.mark.parametrize(
        ("data", "named"),
        [
            ({"data_files": "a.jsonl"}, ["json", "a.jsonl"]),
            ({"data_files": {"test": ["a", "b"], "train": "c"}}, ["json", *"abc"]),
            ({"data_dir": "rows", "streaming": True}, ["json", "rows"]),
            (None, ["json"]),
        ],
    )
    def test_all_that_is_named(self, data, named):
        config = SimpleNamespace(dataset_path="json", dataset_kwargs=data)

        assert needs(SimpleNamespace(config=config)) == named

    def test_a_task_that_is_code_names_nothing(self):
        assert needs(object()) == []


@pytest.mark.slow
class TestWorker:
    """
    The library is a stand-in, the processes are real.
    """

    @pytest.fixture(autouse=True)
    def library(self, monkeypatch):
        use_stand_in(monkeypatch)

    def test_a_look_finds_tasks_and_what_they_need(self, tmp_path):
        one, other = (
            write_task(tmp_path / "a", "one"),
            write_task(tmp_path / "b", "two"),
        )

        with forked_workers():
            found = look_at_tasks(
                HarnessLook([one, tmp_path / "b"]), tmp_path / "x" / "log"
            )

        assert found == HarnessTasks(
            [
                HarnessTask("one", one, ["json", "one.jsonl"]),
                HarnessTask("two", other.parent, ["json", "two.jsonl"]),
            ]
        )

    def test_data_that_are_not_there_are_told(self, tmp_path):
        path = write_task(tmp_path)
        path.with_suffix(".jsonl").unlink()

        with (
            forked_workers(),
            pytest.raises(HarnessError, match=r"on local data, .*words\.jsonl.*; see"),
        ):
            look_at_tasks(HarnessLook([path]), tmp_path / "log")

        assert "Traceback" in (tmp_path / "log").read_text()

    def test_a_worker_ends_when_its_parent_has_gone(self, tmp_path):
        order = tmp_path / "order.json"
        order.write_text(to_json(HarnessLook([write_task(tmp_path, waits=True)])))
        words = ["-m", "sleepcycle.model.harness_worker", "look", order, tmp_path / "r"]
        with subprocess.Popen(
            [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as worker:
            assert worker.stdout.readline() == b"waiting\n"

            worker.stdin.close()

            assert worker.wait(PATIENCE_S) == 1


def guarded(act):
    """Do something in a process that may reach no host."""
    with forked_workers():
        return subprocess.run(
            [sys.executable, "-c", GUARD.format(act=act)],
            capture_output=True,
            text=True,
            check=False,
        )
