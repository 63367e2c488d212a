"""The local engine: what it gives the worker, and what it makes of its end."""

import errno
import json
import os
import time

import psutil
import pytest

from sleepcycle.errors import (
    DiskError,
    DivergedError,
    Interrupted,
    ModelError,
    Paused,
    RunError,
)
from sleepcycle.files import disk
from sleepcycle.files.runfolder import ExampleFile, Fault, RunFolder
from sleepcycle.files.sealed import seal
from sleepcycle.records.content import Text
from sleepcycle.records.example import Example
from sleepcycle.records.progress import HEARTBEAT
from sleepcycle.records.reports import WakeReport
from sleepcycle.records.run_order import RunKind, RunOrder, RunRequest
from sleepcycle.records.version import BaseIdentity
from sleepcycle.runs.control import RunControl
from sleepcycle.runs.local_engine import LocalEngine
from sleepcycle.settings.config import EngineSettings, Settings
from tests.forked import forked_workers


@pytest.fixture
def run(tmp_path):
    """A run folder with an order and no examples."""
    folder = RunFolder(tmp_path / "runs" / "000001")
    folder.write_order(
        RunOrder(
            run=1,
            kind=RunKind.SLEEP,
            base=BaseIdentity("builtin:nano", None, ""),
            live=None,
            live_rank=0,
            day=None,
            day_rank=0,
            seed=1,
            settings=Settings().model_dump(mode="json"),
        )
    )
    for material in ExampleFile:
        folder.write_examples(material, [])
    return folder


@pytest.mark.parametrize(
    ("device", "visible", "seen"),
    [
        ("auto", None, "0"),
        ("cuda:1", None, "1"),
        ("cuda:1", "5,7", "7"),
        ("cpu", "3", "3"),
        ("auto", "", ""),
        ("cuda:1", "5", ""),
    ],
)
def test_the_worker_sees_one_gpu(monkeypatch, device, visible, seen):
    """
    Else the trainer spreads one step over all of them; one that is hidden stays so.
    """
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    environment = LocalEngine(EngineSettings(device=device))._environment()

    assert environment["CUDA_VISIBLE_DEVICES"] == seen


def test_an_unforeseen_error_is_named_with_its_log(run):
    (run.path / "known.jsonl").unlink()

    error = pytest.raises(RunError, match=r"FileNotFoundError: .*known\.jsonl.*log")
    with forked_workers(), error:
        LocalEngine(EngineSettings()).execute(run, no_progress, RunControl())

    assert "Traceback" in run.log.read_text()


def test_a_worker_that_cannot_be_started_is_a_run_that_failed(run, monkeypatch):
    monkeypatch.setattr(
        "sleepcycle.files.child_process.sys.executable", "/nowhere/python"
    )

    with pytest.raises(RunError, match=r"to start a worker in .*No such file"):
        LocalEngine(EngineSettings()).execute(run, no_progress, RunControl())


def test_a_worker_that_ends_leaves_nothing_that_it_started(run, play):
    play(f"sleep 60 & echo $! > {run.path}/child")

    LocalEngine(EngineSettings()).execute(run, no_progress, RunControl())

    child = int((run.path / "child").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != "zombie":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_silent_worker_is_ended(run, monkeypatch):
    monkeypatch.setattr(
        "sleepcycle.files.child_process.sys.executable",
        _script(run.path, "exec sleep 60"),
    )
    started = time.monotonic()

    with pytest.raises(RunError, match=r"no sign of life for 0\.5 s"):
        LocalEngine(EngineSettings(heartbeat_timeout_s=0.5)).execute(
            run, no_progress, RunControl()
        )

    assert time.monotonic() - started < 30


def test_a_heartbeat_is_a_sign_of_life(run, monkeypatch):
    beat = f"printf '%s\\n' '{json.dumps(vars_of(HEARTBEAT))}' >> {run.progress}"
    script = f"for i in 1 2 3 4 5 6; do {beat}; sleep 0.3; done"
    monkeypatch.setattr(
        "sleepcycle.files.child_process.sys.executable", _script(run.path, script)
    )
    beats = []

    LocalEngine(EngineSettings(heartbeat_timeout_s=1.0)).execute(
        run, beats.append, RunControl()
    )

    assert beats == [HEARTBEAT] * 6


def test_only_what_this_worker_says_is_handed_on(run, play):
    """
    A run that goes on has progress from before, whose last line may be torn.
    """
    run.append_progress(HEARTBEAT)
    with run.progress.open("a") as file:
        file.write('{"stage": "wa')
    beats = []
    play(f"printf '%s\\n' '{json.dumps(vars_of(HEARTBEAT))}' >> {run.progress}")

    LocalEngine(EngineSettings()).execute(run, beats.append, RunControl())

    assert beats == [HEARTBEAT]
    assert len(run.progress.read_text().splitlines()) == 2


def test_the_log_is_gone_on_with(run, play):
    run.log.write_text("before\n")
    play("echo after")

    LocalEngine(EngineSettings()).execute(run, no_progress, RunControl())

    assert run.log.read_text() == "before\nafter\n"


class TestPause:
    """A pause is asked for by SIGTERM, and answered by exit code 75."""

    @pytest.fixture
    def pausing(self, run, play):
        """Return what runs a worker that answers SIGTERM so, and is asked to pause."""

        def pause(answer):
            beat = json.dumps(vars_of(HEARTBEAT))
            play(
                f"trap '{answer}' TERM; printf '%s\\n' '{beat}' >> {run.progress}; "
                "while true; do sleep 0.05; done"
            )
            control = RunControl()
            LocalEngine(EngineSettings()).execute(
                run, lambda progress: control.ask(RunRequest.PAUSE), control
            )

        return pause

    def test_with_a_checkpoint_the_run_is_paused(self, run, pausing):
        leave_checkpoint(run)

        with pytest.raises(Paused, match="paused at a checkpoint"):
            pausing("exit 75")

    def test_without_one_it_is_stopped(self, pausing):
        with pytest.raises(Interrupted, match="before there was a checkpoint") as stop:
            pausing("exit 75")

        assert not isinstance(stop.value, Paused)

    def test_a_damaged_one_is_none(self, run, pausing):
        (leave_checkpoint(run) / "state.json").write_text("{}")

        with pytest.raises(Interrupted, match="before there was a checkpoint"):
            pausing("exit 75")

    def test_a_worker_that_does_not_heed_is_killed(self, run, pausing, monkeypatch):
        """
        What it kept before is whole, so the run can still go on.
        """
        monkeypatch.setattr("sleepcycle.runs.local_engine.PAUSE_S", 0.3)
        leave_checkpoint(run)

        with pytest.raises(Paused, match="paused at a checkpoint"):
            pausing("")

    def test_one_that_is_done_just_then_is_done(self, run, pausing):
        leave_checkpoint(run)

        pausing("exit 0")

    def test_one_that_fails_just_then_has_failed(self, run, pausing):
        leave_checkpoint(run)
        run.write_fault(Fault("DivergedError", "the loss is nan"))

        with pytest.raises(DivergedError, match="the loss is nan"):
            pausing("exit 1")

    def test_another_may_ask_the_worker(self, run, play):
        """
        As a service manager does that stops all processes at once.
        """
        leave_checkpoint(run)
        play("exit 75")

        with pytest.raises(Paused, match="paused at a checkpoint"):
            LocalEngine(EngineSettings()).execute(run, no_progress, RunControl())

    @pytest.mark.parametrize("first", [[], [RunRequest.PAUSE]])
    def test_a_run_can_be_cancelled_instead(self, run, play, first):
        """
        Also after a pause was asked for; a checkpoint does not matter then.
        """
        leave_checkpoint(run)
        play("trap '' TERM; read line; exit 1")
        control = RunControl()
        for request in (*first, RunRequest.CANCEL, RunRequest.PAUSE):
            control.ask(request)

        with pytest.raises(Interrupted, match="cancelled") as stop:
            LocalEngine(EngineSettings()).execute(run, no_progress, control)

        assert not isinstance(stop.value, Paused)


class TestFault:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("DivergedError", DivergedError),
            ("DiskError", DiskError),
            (ModelError.__name__, RunError),
        ],
    )
    def test_what_the_worker_says_is_raised(self, run, play, name, kind):
        run.write_fault(Fault(name, "words"))
        play("exit 1")

        with pytest.raises(kind, match="words"):
            LocalEngine(EngineSettings()).execute(run, no_progress, RunControl())

    def test_a_full_disk_is_told_from_a_broken_one(self, run, play):
        run.write_fault(Fault("DiskError", "words", errno.ENOSPC))
        play("exit 1")

        with pytest.raises(DiskError, match="words") as full:
            LocalEngine(EngineSettings()).execute(run, no_progress, RunControl())

        assert disk.is_full(full.value)


class TestGoingOn:
    """The real worker, each time another process; the last one loads all anew."""

    STEPS = 8

    @pytest.fixture
    def lesson(self, tmp_path):
        """Return what makes a run folder with one and the same wake."""

        def made(name):
            folder = RunFolder(tmp_path / name / "runs" / "000001")
            (tmp_path / name / "runs").mkdir(parents=True)
            wake = {"min_steps": self.STEPS, "max_steps": self.STEPS, "dropout": 0.1}
            wake |= {"check_every": 2, "checkpoint_every": 3, "batch_size": 2}
            settings = Settings(wake=wake, engine={"device": "cpu"})
            folder.write_order(
                RunOrder(
                    run=1,
                    kind=RunKind.WAKE,
                    base=BaseIdentity("builtin:nano", None, ""),
                    live=None,
                    live_rank=0,
                    day=None,
                    day_rank=0,
                    seed=1,
                    settings=settings.model_dump(mode="json"),
                )
            )
            texts = [
                Example(i, 1, Text(f"The {word} lamp is on floor {i}."))
                for i, word in enumerate("abcdefgh")
            ]
            for material in ExampleFile:
                held = texts[:2] if material is ExampleFile.TODAY else []
                new = texts[2:] if material is ExampleFile.NEW else held
                folder.write_examples(material, new)
            return folder

        return made

    def test_a_paused_wake_ends_with_the_same_bytes(self, lesson):
        """
        As the same one that nobody broke off.
        """
        whole, broken = lesson("whole"), lesson("broken")
        engine = LocalEngine(EngineSettings(threads=1))
        with forked_workers():
            engine.execute(whole, no_progress, RunControl())
        control = RunControl()

        with forked_workers(), pytest.raises(Paused, match="paused at a checkpoint"):
            engine.execute(
                broken, at_step(2, lambda: control.ask(RunRequest.PAUSE)), control
            )
        step, steps = broken.reached()
        broken.reopen()
        seen = []
        engine.execute(broken, seen.append, RunControl())

        assert 2 <= step < steps == self.STEPS
        assert next(p.step for p in seen if p.loss is not None) == step + 1
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            expected = (whole.result / name).read_bytes()
            assert (broken.result / name).read_bytes() == expected
        found, expected = (f.read_report(WakeReport) for f in (broken, whole))
        assert found.held_out == expected.held_out
        assert found.verdict == expected.verdict


def no_progress(progress):
    """Take a heartbeat."""


def at_step(step, act):
    """Return what acts once when training has come to a step."""
    return lambda progress: act() if progress.step == step else None


def leave_checkpoint(run):
    """Leave a checkpoint, as a worker does."""
    stage = run.checkpoints / "stage"
    stage.mkdir(parents=True)
    (stage / "state.json").write_text('{"step": 3, "steps": 8}')
    return seal(stage, run.checkpoints, "000003")


@pytest.fixture
def play(run, monkeypatch):
    """Let a shell script play the worker."""

    def with_script(body):
        script = _script(run.path, body)
        monkeypatch.setattr("sleepcycle.files.child_process.sys.executable", script)

    return with_script


def vars_of(progress):
    """Return a heartbeat as the worker writes it."""
    return {"stage": progress.stage, "step": progress.step, "steps": progress.steps}


def _script(folder, body):
    """Write something that is run instead of Python."""
    file = folder / "worker.sh"
    file.write_text(f"#!/bin/sh\n{body}\n")
    os.chmod(file, 0o755)
    return str(file)
