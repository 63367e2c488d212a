"""The worker's answer to a wish to pause: after the step, or at once."""

import os

import pytest
import torch

from sleepcycle.errors import Paused
from sleepcycle.files.runfolder import PAUSED, RunFolder
from sleepcycle.model.checkpoint import Seen, State
from sleepcycle.worker import PauseSignal, StoppableCheckpoints


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
