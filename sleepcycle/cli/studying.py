"""Makes the runs of a study that are missing, and says how far they are."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sleepcycle.cli.progress import progress_bar
from sleepcycle.cli.render import counted, printable, show_json
from sleepcycle.errors import DivergedError, Interrupted
from sleepcycle.records import HEARTBEAT, OnProgress, Progress
from sleepcycle.study import planfile, results
from sleepcycle.study.plan import StudyPlan
from sleepcycle.study.results import Outcome
from sleepcycle.study.sample import profile

if TYPE_CHECKING:
    from sleepcycle.model.base import Base
    from sleepcycle.study.run import Job


@dataclass(frozen=True)
class Part:
    """Which runs of a plan are made, and where they are computed."""

    arms: Sequence[str] = ()
    """None for all."""

    seeds: Sequence[int] = ()
    """None for all."""

    device: str = "auto"
    threads: int = 0
    """0 leaves the choice to torch."""


@dataclass
class Tally:
    """What became of the runs that were asked for."""

    folder: Path
    wanted: "Sequence[Job]"
    todo: "Sequence[Job]" = ()
    """Those that were not there yet."""

    made: "list[Job]" = field(default_factory=list)
    diverged: "dict[Job, str]" = field(default_factory=dict)
    """By run, why."""

    @property
    def there(self) -> int:
        """How many of the runs are in the folder now."""
        return len(self.wanted) - len(self.todo) + len(self.made)


def make_runs(plan: StudyPlan, folder: Path, part: Part, *, quietly: bool) -> Tally:
    """Make each run that is not in a folder yet, or was decided otherwise.

    Args:
        plan: What is run.
        folder: Keeps the runs, and the plan.
        part: Which of its runs.
        quietly: Whether lines go to standard error, and standard output stays free.

    Raises:
        StudyError: The plan has no such arm or seed, or the folder is another study's.
        ModelError: The base is not here.
        Interrupted: Ctrl-C; the runs that are finished stay.
    """
    from sleepcycle.study import run

    tally = Tally(folder, run.jobs(plan, part.arms, part.seeds))
    plan.lessons()
    planfile.expect_own(plan, folder)
    base = _load(plan, folder, part)
    planfile.keep(plan, folder)
    tally.todo = list(run.missing(plan, base, folder, tally.wanted))
    lines = sys.stderr if quietly else sys.stdout
    had = len(tally.wanted) - len(tally.todo)
    todo = counted(len(tally.todo), "run")
    _say(lines, f"{folder}: {had} of {len(tally.wanted)} there already, {todo} to make")
    try:
        _make(plan, base, tally, lines)
    except KeyboardInterrupt as stop:
        left = sum(1 for _ in run.missing(plan, base, folder, tally.wanted))
        raise Interrupted(
            f"stopped; {len(tally.wanted) - left} of "
            f"{counted(len(tally.wanted), 'run')} are kept in {folder}, and the same "
            "command goes on from there"
        ) from stop
    return tally


def show_tally(tally: Tally, *, as_json: bool) -> None:
    """Say what became of the runs."""
    if as_json:
        return show_json(_fields(tally))
    of = counted(len(tally.wanted), "run")
    gone = f"; {len(tally.diverged)} diverged" if tally.diverged else ""
    print(printable(f"{tally.there} of {of} in {tally.folder}{gone}"))
    if tally.there:
        print(printable(f"look at them: sleepcycle study report {tally.folder}"))


def _fields(tally: Tally) -> dict[str, object]:
    """Return a tally as plain data."""
    return {
        "folder": tally.folder,
        "wanted": len(tally.wanted),
        "there": tally.there,
        "made": [
            {**dataclasses.asdict(job), "file": results.file_name(job.arm, job.seed)}
            for job in tally.made
        ],
        "diverged": [
            {**dataclasses.asdict(job), "reason": reason}
            for job, reason in tally.diverged.items()
        ],
    }


def _load(plan: StudyPlan, folder: Path, part: Part) -> "Base":
    """Load the base that a plan names."""
    import torch

    from sleepcycle.model.base import load_base, pick_device

    if part.threads:
        torch.set_num_threads(part.threads)
    return load_base(
        plan.model, device=pick_device(part.device), cache=folder / "cache"
    )


def _make(plan: StudyPlan, base: "Base", tally: Tally, lines: TextIO) -> None:
    """Make the runs that are missing; one that diverges leaves the others be."""
    from sleepcycle.study import run

    for number, job in enumerate(tally.todo, start=1):
        name = f"{job.arm}, seed {job.seed}"
        try:
            with progress_bar(visible=sys.stderr.isatty()) as on_progress:
                told = _named(name, on_progress)
                outcome = run.run(plan, base, job, on_progress=told)
        except DivergedError as error:
            tally.diverged[job] = str(error)
            said = f"diverged: {error}"
        else:
            results.write(tally.folder, outcome)
            tally.made.append(job)
            said = _summary(outcome)
        _say(lines, f"[{number}/{len(tally.todo)}] {name}: {said}")


def _named(name: str, on_progress: OnProgress) -> OnProgress:
    """Return what takes heartbeats, and says whose they are."""

    def take(heartbeat: Progress) -> None:
        if heartbeat != HEARTBEAT:
            stage = f"{name}: {heartbeat.stage}"
            on_progress(dataclasses.replace(heartbeat, stage=stage))

    return take


def _summary(outcome: Outcome) -> str:
    """Say in a line what a run scored, and what it took."""
    scores = [f"{name} {share:.0%}" for name, share in profile(outcome).items()]
    tokens = f"{outcome.tokens_trained:,} tokens"
    return f"{', '.join(scores)}; {tokens} trained, {outcome.seconds:.1f} s"


def _say(lines: TextIO, line: str) -> None:
    """Print a line at once, for whoever reads a pipe."""
    print(printable(line), file=lines, flush=True)
