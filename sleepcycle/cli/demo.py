"""The demo: three days and nights of the embedded model, and a rollback."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from sleepcycle.cli.app import open_logged
from sleepcycle.cli.progress import progress_bar
from sleepcycle.cli.render import console
from sleepcycle.errors import HomeError
from sleepcycle.paths import carried
from sleepcycle.service import answers
from sleepcycle.service.home import Home
from sleepcycle.service.opening import create_home

DAYS = ("capitals", "dates", "plurals")
ANSWER_TOKENS = 24


@dataclass(frozen=True)
class Quiz:
    """The questions of one lesson, none of them among its training rows."""

    lesson: str
    prompts: Sequence[str]
    answers: Sequence[str]


@dataclass
class Board:
    """What was right, step by step: the table that grows while the demo runs."""

    home: Home
    quizzes: Sequence[Quiz]
    rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.base = answers.load(
            self.home.settings, self.home.paths, self.home.versions.base
        )

    def take(self, step: str, name: str) -> None:
        """Ask one version everything, add its row, and show the table."""
        version = self.home.versions.get(name)
        folder = self.home.versions.folder(version)
        scores = [self._score(folder, quiz) for quiz in self.quizzes]
        size = _size(folder)
        rank = str(version.rank) if folder else "-"
        self.rows.append([step, version.name, *scores, rank, size])
        console.print(self._table())

    def _score(self, folder: Path | None, quiz: Quiz) -> str:
        """Return the share of right answers to one quiz."""
        said = answers.ask(self.base, folder, quiz.prompts, ANSWER_TOKENS)
        right = sum(a.strip() == b for a, b in zip(said, quiz.answers, strict=True))
        return f"{right / len(quiz.answers):.0%}"

    def _table(self) -> Table:
        """Return all rows so far."""
        table = Table(title="answered right", header_style="bold")
        names = [quiz.lesson for quiz in self.quizzes]
        for column in ("after", "version", *names, "rank", "size"):
            table.add_column(column, justify="left" if column == "after" else "right")
        for row in self.rows:
            table.add_row(*row)
        return table


def run(keep: Path | None) -> None:
    """Live three days, then go back two nights.

    Raises:
        HomeError: There is a home at the place to keep it already.
    """
    with _place(keep) as root:
        if not create_home(root):
            raise HomeError(
                f"expected a new directory for the demo, but {root} is a home already; "
                "name another one with --keep"
            )
        home = open_logged(root)
        console.print(f"a home for {home.settings.model.base} at {root}")
        board = Board(home, [_quiz(lesson) for lesson in DAYS])
        board.take("before", "live")
        for day, lesson in enumerate(DAYS, start=1):
            _live_through(home, board, day, lesson)
        switch = home.rollback("v2")
        console.print(
            f"\n[bold]rollback[/bold]: {switch.live} is live again, "
            f"{switch.orphaned} examples are known only to versions after it"
        )
        board.take(f"rollback to {switch.live}", "live")
        console.print(_MORE if keep is None else f"the home is still at {root}")


_MORE = """
Keep the home and go on by hand:
  sleepcycle demo --keep DIR
  sleepcycle --home DIR versions list
  sleepcycle --home DIR ask "What is the capital of ...?"
"""


def _live_through(home: Home, board: Board, day: int, lesson: str) -> None:
    """Feed one lesson, wake on it, and sleep on it."""
    console.rule(f"day {day}: {lesson}")
    report = home.feed(lessons() / f"{lesson}.jsonl")
    console.print(f"fed {report.accepted} examples, {report.held_out} of them held out")
    with progress_bar(visible=console.is_terminal) as on_progress:
        woken = home.wake(on_progress)
    console.print(f"[bold]wake[/bold]: {woken.report.verdict.reason}")
    board.take(f"day {day}, wake", "day")
    slept = home.sleep()
    word = "accepted" if slept.version.accepted else "rejected"
    console.print(f"[bold]sleep[/bold], {word}: {slept.report.verdict.reason}")
    board.take(f"day {day}, sleep", slept.version.name)


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
    size = (folder / "adapter_model.safetensors").stat().st_size
    return f"{size / 1024:,.0f} KiB"


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """Yield where the demo's home goes: a temporary place, or the one to keep."""
    if keep is not None:
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="sleepcycle-demo-") as place:
        yield Path(place) / "home"
