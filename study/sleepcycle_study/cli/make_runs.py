"""Make the runs of a study that are missing, and print how far they are."""

import dataclasses
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sleepcycle.cli.progress_bar import progress_bar
from sleepcycle.cli.render import counted, printable, show_json
from sleepcycle.errors import DivergedError, Interrupted
from sleepcycle.records.progress import HEARTBEAT, OnProgress, Progress
from sleepcycle_study.experiment import planfile, results
from sleepcycle_study.experiment.plan import StudyPlan
from sleepcycle_study.experiment.results import StudyRun
from sleepcycle_study.report.sample import profile

if TYPE_CHECKING:
    from sleepcycle.model.base import Base
    from sleepcycle_study.experiment.trial import Trial
    from sleepcycle_study.experiment.workbench import Workbench

    Endings = Generator[tuple[Trial, StudyRun | DivergedError], None, None]
    """Runs as they end, and what came of them."""


@dataclass(frozen=True)
class Part:
    """Which runs of a plan are made, and where they are computed."""

    arms: Sequence[str] = ()
    """None for all."""

    seeds: Sequence[int] = ()
    """None for all."""

    device: str = "auto"
    threads: int = 0
    """Of a run; 0 leaves the choice to torch."""

    jobs: int = 1
    """Runs at a time: several are made in processes of their own."""


@dataclass
class Tally:
    """What became of the runs that were asked for."""

    folder: Path
    wanted: "Sequence[Trial]"
    todo: "Sequence[Trial]" = ()
    """Those that were not there yet."""

    made: "list[Trial]" = field(default_factory=list)
    diverged: "dict[Trial, str]" = field(default_factory=dict)
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
        HarnessError: The plan's harness tasks cannot be run.
        ModelError: The base is not here.
        DiskError: The disk could not keep a run.
        Interrupted: Ctrl-C; the runs that are finished stay.
    """
    from sleepcycle_study.experiment import harness_tasks, trial
    from sleepcycle_study.experiment.workbench import Workbench, share_of_threads

    tally = Tally(folder, trial.trials(plan, part.arms, part.seeds))
    plan.lessons()
    planfile.expect_own(plan, folder)
    harness_tasks.expect_runnable(plan, folder)
    threads = part.threads or (share_of_threads(part.jobs) if part.jobs > 1 else 0)
    workbench = Workbench(plan, folder, part.device, threads)
    base = workbench.load()
    planfile.keep(plan, folder)
    tally.todo = list(trial.missing(plan, base, folder, tally.wanted))
    lines = sys.stderr if quietly else sys.stdout
    had = len(tally.wanted) - len(tally.todo)
    todo = counted(len(tally.todo), "run")
    _say(lines, f"{folder}: {had} of {len(tally.wanted)} there already, {todo} to make")
    if others := trial.of_other_code(folder, tally.wanted, tally.todo):
        _say(
            lines,
            f"of these, {counted(others, 'run')} of another version of the code; to "
            "make them again, delete their files",
        )
    size = min(part.jobs, len(tally.todo))
    try:
        with closing(_ended(workbench, base, tally.todo, size, lines)) as ended:
            _take(ended, tally, lines)
    except KeyboardInterrupt as stop:
        left = sum(1 for _ in trial.missing(plan, base, folder, tally.wanted))
        raise Interrupted(
            f"stopped; {len(tally.wanted) - left} of "
            f"{counted(len(tally.wanted), 'run')} are kept in {folder}, and the same "
            "command goes on from there"
        ) from stop
    return tally


def show_tally(tally: Tally, *, as_json: bool) -> None:
    """Print what became of the runs."""
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


def _ended(
    workbench: "Workbench",
    base: "Base",
    todo: "Sequence[Trial]",
    size: int,
    lines: TextIO,
) -> "Endings":
    """Make runs, here or in several processes, and yield each as it ends."""
    if size < 2:
        return _one_by_one(workbench, base, todo)
    from sleepcycle_study.experiment import worker_pool

    base.model.to("meta")  # frees its memory: each process loads its own
    return worker_pool.make_runs(
        workbench, todo, size, lambda job: _say(lines, f"{_name(job)}: begun")
    )


def _take(ended: "Endings", tally: Tally, lines: TextIO) -> None:
    """Count runs as they end, and say so; one that diverged leaves the others be."""
    for number, (job, came) in enumerate(ended, start=1):
        if isinstance(came, DivergedError):
            tally.diverged[job] = str(came)
            said = f"diverged: {came}"
        else:
            tally.made.append(job)
            said = _summary(came)
        _say(lines, f"[{number}/{len(tally.todo)}] {_name(job)}: {said}")


def _one_by_one(
    workbench: "Workbench", base: "Base", todo: "Sequence[Trial]"
) -> "Endings":
    """Make runs one after another in this process, and yield each as it ends."""
    for job in todo:
        came: StudyRun | DivergedError
        try:
            with progress_bar(visible=sys.stderr.isatty()) as on_progress:
                told = _named(_name(job), on_progress)
                came = workbench.make(base, job, on_progress=told)
        except DivergedError as error:
            came = error
        yield job, came


def _name(job: "Trial") -> str:
    """Name a run."""
    return f"{job.arm}, seed {job.seed}"


def _named(name: str, on_progress: OnProgress) -> OnProgress:
    """Return what takes heartbeats, and says whose they are."""

    def take(heartbeat: Progress) -> None:
        if heartbeat != HEARTBEAT:
            stage = f"{name}: {heartbeat.stage}"
            on_progress(dataclasses.replace(heartbeat, stage=stage))

    return take


def _summary(outcome: StudyRun) -> str:
    """Return in a line what a run scored, and what it took."""
    scores = [f"{name} {share:.0%}" for name, share in profile(outcome).items()]
    tokens = f"{outcome.tokens_trained:,} tokens"
    return f"{', '.join(scores)}; {tokens} trained, {outcome.seconds:.1f} s"


def _say(lines: TextIO, line: str) -> None:
    """Print a line at once, for whoever reads a pipe."""
    print(printable(line), file=lines, flush=True)
