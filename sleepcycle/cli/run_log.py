"""What a run's worker printed and reported, also while it does."""

import json
import time
from contextlib import suppress
from itertools import chain

from sleepcycle.cli.progress_bar import facts
from sleepcycle.cli.render import one_line
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.home.run_history import RunHistory
from sleepcycle.home.run_tail import Tail
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
