"""The demo: three days of the embedded model, without sleep beside with sleep."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import mean

from rich.table import Table

from sleepcycle.cli.app import open_logged
from sleepcycle.cli.progress_bar import progress_bar
from sleepcycle.cli.render import console
from sleepcycle.errors import HomeError
from sleepcycle.files.paths import ADAPTER_WEIGHTS, carried
from sleepcycle.home import inference
from sleepcycle.home.home import Home
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.progress import ignore_progress
from sleepcycle.records.run_order import RunRequest
from sleepcycle.records.version import Version
from sleepcycle.runs.context import Outcome
from sleepcycle.runs.control import RunControl

DAYS = ("capitals", "dates", "plurals")
ROWS = 320  # of each lesson: fewer than there are, for time
ANSWER_TOKENS = 24
THREADS = 1  # of a worker: both homes learn at once, and more do not help a small model


@dataclass(frozen=True)
class Quiz:
    """The questions of one lesson, none of them among its training rows."""

    lesson: str
    prompts: Sequence[str]
    answers: Sequence[str]


@dataclass(frozen=True)
class Pair:
    """Two homes that are fed the same."""

    sleepless: Home
    """Wakes alone, and never replays: one adapter that trains on from day to day."""

    sleeping: Home
    """The service as it is set."""

    place: Path
    """Takes the part of each lesson that is taught."""

    def feed(self, lesson: str) -> None:
        """Feed both the first rows of a lesson."""
        with (lessons() / f"{lesson}.jsonl").open(encoding="utf-8") as file:
            rows = list(islice(file, ROWS))
        part = self.place / f"{lesson}.jsonl"
        part.write_text("".join(rows), encoding="utf-8")
        for home in (self.sleepless, self.sleeping):
            home.feed(part)


@dataclass
class Board:
    """What was right, day by day: the table that grows while the demo runs."""

    homes: Pair
    quizzes: Sequence[Quiz]
    rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        home = self.homes.sleeping
        self.base = inference.load(home.settings, home.paths, home.versions.base)

    def take(self, step: str, sleepless: str | None) -> tuple[list[float], list[float]]:
        """Ask both homes everything, add a row, and show the table.

        Args:
            step: What the row is called.
            sleepless: The version to ask where nobody sleeps; None for no one.

        Returns:
            Shares of right answers by lesson: without sleep, and of what is live.
        """
        alone = self._scores(self.homes.sleepless, sleepless) if sleepless else []
        slept = self._scores(self.homes.sleeping, "live")
        shown = [f"{share:.0%}" for share in alone] or ["-"] * len(slept)
        pairs = zip(shown, slept, strict=True)
        self.rows.append([step, *(f"{a:>4} | {b:>4.0%}" for a, b in pairs)])
        console.print(self._table())
        return alone, slept

    def _scores(self, home: Home, name: str) -> list[float]:
        """Return the share of right answers to each quiz."""
        folder = home.versions.folder(home.versions.get(name))
        return [self._score(folder, quiz) for quiz in self.quizzes]

    def _score(self, folder: Path | None, quiz: Quiz) -> float:
        """Return the share of right answers to one quiz."""
        said = inference.ask(self.base, folder, quiz.prompts, ANSWER_TOKENS)
        return mean(a.strip() == b for a, b in zip(said, quiz.answers, strict=True))

    def _table(self) -> Table:
        """Return all rows so far."""
        table = Table(
            title="answered right, without sleep | with sleep", header_style="bold"
        )
        table.add_column("after")
        for quiz in self.quizzes:
            table.add_column(quiz.lesson, justify="center")
        for row in self.rows:
            table.add_row(*row)
        return table


def run(keep: Path | None) -> None:
    """Live three days in two homes, then go back two nights in the one that slept.

    Args:
        keep: Where the home that sleeps goes, and stays; None for a temporary place.

    Raises:
        HomeError: There is a home at the place to keep it already.
    """
    with tempfile.TemporaryDirectory(prefix="sleepcycle-demo-") as place:
        homes = _open_homes(keep.absolute() if keep else None, Path(place))
        board = Board(homes, [_quiz(lesson) for lesson in DAYS])
        board.take("before", "live")
        lives = []
        for day, lesson in enumerate(DAYS, start=1):
            console.rule(f"day {day}: {lesson}")
            night = _live_through(homes, lesson)
            alone, slept = board.take(row_name(day, night.version), "day")
            lives.append(homes.sleeping.status().live)
        console.print(
            f"after {len(DAYS)} days, all lessons: {mean(alone):.0%} right without "
            f"sleep, {mean(slept):.0%} with sleep"
        )
        _go_back(homes.sleeping, board, lives[0])
        console.print(_MORE if keep is None else f"the home is still at {keep}")


_MORE = """
Keep the home and go on by hand:
  sleepcycle demo --keep DIR
  sleepcycle --home DIR versions list
  sleepcycle --home DIR ask "What is the capital of ...?"
"""


def _open_homes(keep: Path | None, place: Path) -> Pair:
    """Make both homes; the sleepless one is never kept."""
    root = keep or place / "home"
    if not create_home(root):
        raise HomeError(
            f"expected a new directory for the demo, but {root} is a home already; "
            "name another one with --keep"
        )
    settings = open_logged(root).settings
    engine = settings.engine.model_copy(update={"threads": THREADS})
    settings = settings.model_copy(update={"engine": engine})
    console.print(f"a home for {settings.model.base} at {root}")
    create_home(place / "without-sleep")
    wake = settings.wake.model_copy(update={"replay_share": 0.0})
    alone = settings.model_copy(update={"wake": wake})
    return Pair(
        open_home(place / "without-sleep", settings=alone),
        open_home(root, settings=settings),
        place,
    )


def _live_through(homes: Pair, lesson: str) -> Outcome:
    """Feed one lesson to both homes, wake on it in both, and sleep on it in one."""
    homes.feed(lesson)
    with waking_beside(homes.sleepless) as alone:
        with progress_bar(visible=console.is_terminal) as on_progress:
            woken = homes.sleeping.wake(on_progress)
            night = homes.sleeping.sleep(on_progress)
        _show_wake("without sleep", alone.result())
    _show_wake("with sleep", woken)
    words = night_words(
        night.version,
        night.report.verdict.reason,
        live=homes.sleeping.status().live,
        size=_size(homes.sleeping.versions.folder(night.version)),
    )
    console.print(words)
    return night


def night_words(version: Version, reason: str, *, live: str, size: str) -> str:
    """Return in words what a night made, and which version the table shows."""
    if version.accepted:
        return (
            f"[bold]sleep[/bold], accepted: {reason}\n"
            f"{version.name} is live: rank {version.rank}, {size}"
        )
    return (
        f"[bold]sleep[/bold], rejected: {reason}\n"
        f"{live} stays live, so the table does not show this day's lesson yet; the "
        "next night folds it again"
    )


@contextmanager
def waking_beside(home: Home) -> Iterator[Future[Outcome]]:
    """Let a home wake while a block runs; a block that is broken off ends it."""
    control = RunControl()
    with ThreadPoolExecutor(1) as beside:
        try:
            yield beside.submit(home.wake, ignore_progress, control)
        except BaseException:
            control.ask(RunRequest.CANCEL)
            raise


def _show_wake(word: str, woken: Outcome) -> None:
    """Print what a wake learned."""
    console.print(
        f"[bold]wake[/bold], {word}: {woken.examples} examples, "
        f"{woken.report.verdict.reason}"
    )


def row_name(day: int, version: Version) -> str:
    """Return what the row of a day is called; a rejected night is named."""
    return f"day {day}" if version.accepted else f"day {day}, night rejected"


def _go_back(home: Home, board: Board, name: str) -> None:
    """Make the first night's version live again, and ask it."""
    switch = home.rollback(name)
    console.print(
        f"\n[bold]rollback[/bold]: {switch.live} is live again, "
        f"{switch.orphaned} examples are known only to versions after it"
    )
    board.take(f"rollback to {switch.live}", None)


def lessons() -> Path:
    """Return where the lessons lie: in the package, or in the source tree."""
    return carried("lessons", "examples/lessons")


def _quiz(lesson: str) -> Quiz:
    """Read the questions of one lesson."""
    with (lessons() / f"{lesson}.questions.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return Quiz(
        lesson, [row["prompt"] for row in rows], [row["answer"].strip() for row in rows]
    )


def _size(folder: Path | None) -> str:
    """Return the size of a version's weights."""
    if folder is None:
        return "-"
    size = (folder / ADAPTER_WEIGHTS).stat().st_size
    return f"{size / 1024:,.0f} KiB"
