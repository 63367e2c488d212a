"""The worker: computes one run folder in a process of its own.

    python -m sleepcycle.worker RUN_DIR

It opens no database and no network. Its standard input is a pipe that its parent
holds; when that closes the parent is gone, and the worker ends. SIGTERM asks it to
pause: while it learns a lesson it ends after the step, with a checkpoint to go on
from; at any other time it ends at once. Either way its exit code is 75.
"""

import gc

from sleepcycle.files.child_process import end_with_parent

if __name__ == "__main__":
    end_with_parent()  # before what takes seconds to load
    gc.disable()  # as `files/quick_import.py` says

import os
import signal
import sys
from functools import partial
from pathlib import Path

from sleepcycle.errors import Paused, SleepcycleError
from sleepcycle.files.runfolder import (
    PAUSED,
    ExampleFile,
    Fault,
    Report,
    RunFolder,
    read_dreams,
)
from sleepcycle.learning import night, wake
from sleepcycle.learning.bank import Bank
from sleepcycle.learning.replay import ArchivedVersion, ReplayInputs
from sleepcycle.model.base import Base, load_base, pick_device
from sleepcycle.model.checkpoint import FolderCheckpoints, State
from sleepcycle.model.portable import load_sealed, write_portable
from sleepcycle.numerics.lowrank import LayerChanges, trim
from sleepcycle.records.run_order import RunKind, RunOrder
from sleepcycle.settings.config import Settings
from sleepcycle.settings.configfile import recorded_settings


class PauseSignal:
    """Ends the process on SIGTERM: at once, or after a step that keeps its state."""

    def __init__(self) -> None:
        self.asked = False
        self.waits = False

    def __call__(self, *_: object) -> None:
        """Note the signal; exit at once unless training will."""
        self.asked = True
        if not self.waits:
            os._exit(PAUSED)


class StoppableCheckpoints(FolderCheckpoints):
    """Checkpoints of a wake that can be asked to pause while it trains."""

    def __init__(self, run: RunFolder, every: int, stop: PauseSignal) -> None:
        super().__init__(run, every)
        self._stop = stop

    def load(self) -> State | None:
        """Return where to go on; from here on a pause waits for the step's end."""
        self._stop.waits = True
        return super().load()

    def due(self, step: int) -> bool:
        """Return whether the state is kept now: in its turn, or for a pause."""
        return self._stop.asked or super().due(step)

    def save(self, state: State) -> None:
        """Keep a state, and end there if a pause was asked for.

        Raises:
            Paused: It was.
        """
        super().save(state)
        self._stop.waits = not state.seen.finished
        if self._stop.asked:
            raise Paused(f"paused after step {state.seen.step}")


def main(folder: Path, stop: PauseSignal) -> int:
    """Compute one run; return the exit code."""
    run = RunFolder(folder)
    try:
        compute(run, stop)
    except Paused:
        return PAUSED
    except SleepcycleError as error:
        run.write_fault(Fault.of(error))
        return 1
    except Exception as error:
        run.write_fault(Fault("", f"{type(error).__name__}: {error}"))
        raise
    return 0


def compute(run: RunFolder, stop: PauseSignal) -> None:
    """Do what the order says, and write adapter and report into the folder."""
    order = run.read_order()
    settings = recorded_settings(dict(order.settings))
    base = load_base(
        settings.model,
        device=pick_device(settings.engine.device.partition(":")[0]),
        cache=run.home.cache,
    )
    base.identity.expect(order.base)
    if run.checkpoint() is not None:
        base.identity.expect(run.read_base())  # what the checkpoint was trained on
    run.write_base(base.identity)
    if order.kind is RunKind.WAKE:
        keep = StoppableCheckpoints(run, settings.wake.checkpoint_every, stop)
        change, report = _wake(run, settings, base, keep)
    else:
        change, report = _sleep(run, order, settings, base)
    write_portable(run.result, change, base.identity, base.targets)
    run.write_report(report)


def _wake(
    run: RunFolder, settings: Settings, base: Base, keep: StoppableCheckpoints
) -> tuple[LayerChanges, Report]:
    """Train on one lesson, from its beginning or from its checkpoint."""
    order = run.read_order()
    day = _load(run.locate(order.day))
    return wake.learn(
        base,
        wake.WakeStart(
            live=_load(run.locate(order.live)),
            day=wake.split(day, order.live_rank, order.day_rank),
        ),
        wake.Lesson(
            new=run.read_examples(ExampleFile.NEW),
            replay=run.read_examples(ExampleFile.REPLAY),
            today=run.read_examples(ExampleFile.TODAY),
            known=run.read_examples(ExampleFile.KNOWN),
            anchors=run.read_examples(ExampleFile.ANCHORS),
        ),
        settings.wake,
        seed=order.seed,
        on_progress=run.append_progress,
        bank=Bank(
            base,
            settings.bank,
            on_progress=run.append_progress,
            near_memory=run.near,
        ),
        keep=keep,
    )


def _sleep(
    run: RunFolder, order: RunOrder, settings: Settings, base: Base
) -> tuple[LayerChanges, Report]:
    """Consolidate one day, and relearn."""
    change, report, dreams = night.sleep(
        base,
        night.NightInputs(
            past=_past(run, order),
            today=run.read_examples(ExampleFile.TODAY),
            known=run.read_examples(ExampleFile.KNOWN),
            anchors=run.read_examples(ExampleFile.ANCHORS),
            wake_tokens=order.wake_tokens,
            seed=order.seed,
        ),
        settings,
        on_progress=run.append_progress,
    )
    run.write_dreams(dreams)
    return change, report


def _past(run: RunFolder, order: RunOrder) -> ReplayInputs:
    """Read what the night may learn from."""
    return ReplayInputs(
        whole=_load(run.locate(order.day)),
        live=_load(run.locate(order.live)),
        new=run.read_examples(ExampleFile.NEW),
        replay=run.read_examples(ExampleFile.REPLAY),
        archive=[
            ArchivedVersion(
                version, partial(_load, run.locate(folder)) if folder else None
            )
            for version, folder in order.archive.items()
        ],
        dreamt=read_dreams(run.path),
        version=order.day_version,
    )


def _load(folder: Path | None) -> LayerChanges:
    """Load a sealed version, checked first, without the padding of its form."""
    return trim(load_sealed(folder))


if __name__ == "__main__":
    gc.freeze()  # what was loaded stays, so no later collection looks at it
    gc.enable()
    stop = PauseSignal()
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main(Path(sys.argv[1]), stop))
