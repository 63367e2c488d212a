"""The local engine: what it gives the worker, and what it makes of its end."""

import json
import os
import time

import pytest

from sleepcycle.config import EngineSettings, Settings
from sleepcycle.engine.local import LocalEngine
from sleepcycle.errors import RunError
from sleepcycle.records import HEARTBEAT, BaseIdentity, RunKind, RunOrder
from sleepcycle.runfolder import Material, RunFolder


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
    for material in Material:
        folder.write_examples(material, [])
    return folder


@pytest.mark.parametrize(
    ("device", "visible", "seen"),
    [
        ("auto", None, "0"),
        ("cuda:1", None, "1"),
        ("cuda:1", "5,7", "7"),
        ("cpu", "3", "3"),
    ],
)
def test_the_worker_sees_one_gpu(monkeypatch, device, visible, seen):
    """
    Else the trainer spreads one step over all of them.
    """
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    environment = LocalEngine(EngineSettings(device=device))._environment()

    assert environment["CUDA_VISIBLE_DEVICES"] == seen


def test_an_unforeseen_error_is_named_with_its_log(run):
    (run.path / "known.jsonl").unlink()

    with pytest.raises(RunError, match=r"FileNotFoundError: .*known\.jsonl.*log"):
        LocalEngine(EngineSettings()).execute(run, lambda progress: None)

    assert "Traceback" in run.log.read_text()


def test_a_silent_worker_is_ended(run, monkeypatch):
    monkeypatch.setattr(
        "sleepcycle.engine.local.sys.executable", _script(run.path, "exec sleep 60")
    )
    started = time.monotonic()

    with pytest.raises(RunError, match=r"no sign of life for 0\.5 s"):
        LocalEngine(EngineSettings(heartbeat_timeout_s=0.5)).execute(
            run, lambda progress: None
        )

    assert time.monotonic() - started < 30


def test_a_heartbeat_is_a_sign_of_life(run, monkeypatch):
    beat = f"printf '%s\\n' '{json.dumps(vars_of(HEARTBEAT))}' >> {run.progress}"
    script = f"for i in 1 2 3 4 5 6; do {beat}; sleep 0.3; done"
    monkeypatch.setattr(
        "sleepcycle.engine.local.sys.executable", _script(run.path, script)
    )
    beats = []

    LocalEngine(EngineSettings(heartbeat_timeout_s=1.0)).execute(run, beats.append)

    assert beats == [HEARTBEAT] * 6


def vars_of(progress):
    """Return a heartbeat as the worker writes it."""
    return {"stage": progress.stage, "step": progress.step, "steps": progress.steps}


def _script(folder, body):
    """Write something that is run instead of Python."""
    file = folder / "worker.sh"
    file.write_text(f"#!/bin/sh\n{body}\n")
    os.chmod(file, 0o755)
    return str(file)
