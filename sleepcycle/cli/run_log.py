"""What a run's worker printed and reported, also while it does."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from sleepcycle.cli.progress_bar import facts
from sleepcycle.cli.render import one_line
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.home.run_history import RunHistory
from sleepcycle.records.progress import HEARTBEAT, progress_from
from sleepcycle.records.run_order import RunState

EVERY_S = 0.5


def show_log(runs: RunHistory, run: int, *, follow: bool) -> None:
    """Print what a run's worker printed, and each step that it reported.

    Args:
        runs: The runs of the home.
        run: The run's number.
        follow: Go on until the run is over or paused; Ctrl-C ends it before.

    Raises:
        NotFoundError: There is no run with that number.
    """
    folder = RunFolder(runs.paths.run(run))
    tails = [Tail(folder.log, str), Tail(folder.progress, step)]
    with suppress(KeyboardInterrupt):
        while True:
            is_on = runs.get(run).state is RunState.RUNNING  # before the last look
            for line in chain(*(tail.lines(to_the_end=not is_on) for tail in tails)):
                print(one_line(line), flush=True)
            if not (follow and is_on):
                return
            time.sleep(EVERY_S)


@dataclass
class Tail:
    """A file that grows, and how its lines are shown."""

    path: Path
    show: Callable[[str], str | None]
    """Returns what is printed for a line; None for nothing."""

    offset: int = field(default=0, init=False)

    def lines(self, *, to_the_end: bool) -> Iterator[str]:
        """Yield what came since the last look.

        Args:
            to_the_end: Take a last line too that has no end, and will get none.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            if self.path.stat().st_size < self.offset:
                self.offset = 0  # it was begun anew
            file.seek(self.offset)
            for raw in file:
                if not (raw.endswith(b"\n") or to_the_end):
                    return
                self.offset += len(raw)
                shown = self.show(raw.decode("utf-8", "replace").rstrip("\n"))
                if shown is not None:
                    yield shown


def step(line: str) -> str | None:
    """Return a line of `progress.jsonl` in words; None for a mere heartbeat."""
    try:
        heartbeat = progress_from(json.loads(line))
    except ValueError:  # the worker was killed while it wrote
        return None
    if heartbeat == HEARTBEAT:
        return None
    place = f"{heartbeat.stage} {heartbeat.step}/{heartbeat.steps}"
    return f"{place}  {facts(heartbeat)}".rstrip()
