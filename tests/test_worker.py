"""The worker's answer to a wish to pause, and to the end of its parent."""

import os
import subprocess
import sys

import pytest
import torch

from sleepcycle.errors import Paused
from sleepcycle.files.runfolder import PAUSED, RunFolder
from sleepcycle.model.checkpoint import Seen, State
from sleepcycle.worker import PauseSignal, StoppableCheckpoints

PATIENCE_S = 60.0
LOADS = "import time; print('loading', flush=True); time.sleep(600)\n"


@pytest.fixture
def stop():
    """A wish to pause that nobody has yet."""
    return PauseSignal()


@pytest.fixture
def keep(tmp_path, stop):
    """Checkpoints every 50 steps."""
    folder = RunFolder(tmp_path / "000001")
    folder.path.mkdir()
    return StoppableCheckpoints(folder, 50, stop)


@pytest.fixture
def ended(monkeypatch):
    """What the process would have ended with."""
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


def after(step, *, finished=False):
    """Return the state of training after a step."""
    seen = Seen(step, 80, finished, {}, (1.0,) * step, (9,) * step, (), None, 0.5, 1)
    return State(seen, {"weight.0": torch.zeros(2)})


def test_while_nothing_is_trained_it_ends_at_once(stop, ended):
    """
    A night too: it is done again from its beginning.
    """
    stop()

    assert ended == [PAUSED] == [75]


def test_while_training_it_ends_after_the_step(stop, keep, ended):
    assert keep.load() is None
    assert not keep.due(3)

    stop()

    assert ended == []
    assert keep.due(3)
    with pytest.raises(Paused, match="paused after step 3"):
        keep.save(after(3))
    assert keep.load().seen.step == 3


def test_a_checkpoint_in_its_turn_does_not_end_it(stop, keep, ended):
    keep.load()

    assert keep.due(50)
    keep.save(after(50))
    stop()

    assert ended == []


def test_after_training_it_ends_at_once_again(stop, keep, ended):
    """
    The last state is kept, so that the gate alone is asked again.
    """
    keep.load()
    keep.save(after(80, finished=True))

    stop()

    assert ended == [75]


def test_a_wish_during_the_last_step_is_heeded(stop, keep, ended):
    keep.load()
    stop()

    with pytest.raises(Paused, match="paused after step 80"):
        keep.save(after(80, finished=True))

    assert ended == []


@pytest.mark.parametrize(
    "module", ["sleepcycle.worker", "sleepcycle.model.harness_worker"]
)
def test_it_ends_with_its_parent_also_while_it_loads(module, tmp_path):
    """
    A torch that never finishes to load stands for one that takes seconds.
    """
    (tmp_path / "torch.py").write_text(LOADS)
    words = [sys.executable, "-m", module, "look", tmp_path, tmp_path]
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with subprocess.Popen(
        words,
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as worker:
        try:
            assert worker.stdout.readline() == b"loading\n"

            worker.stdin.close()

            assert worker.wait(PATIENCE_S) == 1
        finally:
            worker.kill()
