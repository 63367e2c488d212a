"""The demo of a real assistant: it is taught an invented company over two days."""

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from sleepcycle.cli.app import open_logged
from sleepcycle.cli.progress_bar import progress_bar
from sleepcycle.cli.render import console
from sleepcycle.errors import HomeError, ModelError
from sleepcycle.files.paths import carried
from sleepcycle.home import inference
from sleepcycle.home.home import Home
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.model.base import load_text_base
from sleepcycle.model.base_files import check_files
from sleepcycle.settings.config import ModelSettings, Settings

DAYS = (1, 2)
COMMON = 0  # the day of what was known before the first
ANSWER_TOKENS = 32
SHOWN = 68  # characters of an answer
TURNS, PROBES = 128, 16  # of the base's own; each is written, on a CPU in a second
MINUTES = 10


@dataclass(frozen=True)
class FactQuestion:
    """What is asked, in words that were never taught."""

    prompt: str
    right: Sequence[str]
    """Words of which a right answer has one."""

    day: int
    """On which it is taught; `COMMON` for what most people know."""

    def is_right(self, said: str) -> bool:
        """Return whether an answer has one of the right words."""
        return any(
            re.search(rf"\b{re.escape(word)}s?\b", said, re.IGNORECASE)
            for word in self.right
        )


@dataclass
class Interview:
    """What was answered, time after time."""

    home: Home
    questions: Sequence[FactQuestion]
    times: dict[str, list[str]] = field(default_factory=dict)
    """An answer to each question, by when it was asked."""

    def __post_init__(self) -> None:
        home = self.home
        self.base = inference.load(home.settings, home.paths, home.versions.base)

    def take(self, when: str) -> None:
        """Ask what is live everything."""
        folder = self.home.versions.folder(self.home.versions.get("live"))
        prompts = [one.prompt for one in self.questions]
        self.times[when] = inference.ask(self.base, folder, prompts, ANSWER_TOKENS)

    def right(self, when: str, day: int) -> tuple[int, int]:
        """Return how many questions of a day were answered right, of how many."""
        pairs = zip(self.questions, self.times[when], strict=True)
        marks = [one.is_right(said) for one, said in pairs if one.day == day]
        return sum(marks), len(marks)

    def lost(self) -> list[str]:
        """Return what was answered right at first, and is no longer."""
        first, last = next(iter(self.times)), next(reversed(self.times))
        return [
            one.prompt
            for place, one in enumerate(self.questions)
            if one.is_right(self.times[first][place])
            and not one.is_right(self.times[last][place])
        ]

    def show(self) -> None:
        """Print each question with its answers, then how many were right."""
        for place, one in enumerate(self.questions):
            console.print(f"\n[bold]{escape(one.prompt)}[/bold]")
            for when, said in self.times.items():
                mark = "right" if one.is_right(said[place]) else "wrong"
                line = escape(" ".join(said[place].split())[:SHOWN])
                console.print(f"  {when:<8} {mark}  {line}", soft_wrap=True)
        console.print(self._table())
        lost = self.lost()
        console.print(
            f"lost: {'; '.join(lost)}" if lost else "nothing that was right is lost",
            markup=False,
        )

    def _table(self) -> Table:
        """Return how many answers were right, time after time."""
        table = Table(title="\nanswered right", header_style="bold")
        table.add_column("what is asked")
        for when in self.times:
            table.add_column(when, justify="right")
        for name, day in _ROWS.items():
            counts = (self.right(when, day) for when in self.times)
            table.add_row(name, *(f"{right} of {asked}" for right, asked in counts))
        return table


_ROWS = {"facts of day 1": 1, "facts of day 2": 2, "common knowledge": COMMON}


def run(base: str, keep: Path | None) -> None:
    """Teach an assistant twenty facts over two days, and ask it before and after.

    Args:
        base: Of a chat model.
        keep: Where the home goes, and stays; None for a temporary place.

    Raises:
        HomeError: There is a home at the place to keep it already.
        ModelError: The base cannot be loaded, or is none for chats.
    """
    check_files(ModelSettings(base=base))
    if not load_text_base(ModelSettings(base=base)).chat:
        raise ModelError(
            f"expected a base with a chat template for the demo, got {base}; name "
            "another one with --base"
        )
    console.print(
        f"teaches {escape(base)} twenty facts about an invented company, on two days "
        f"with a night each; about {MINUTES} minutes with SmolLM2 on two CPU cores"
    )
    with tempfile.TemporaryDirectory(prefix="sleepcycle-demo-") as place:
        home = _open(base, keep.absolute() if keep else Path(place) / "home")
        interview = Interview(home, questions())
        interview.take("before")
        for day in DAYS:
            _live_through(home, day)
            interview.take(f"night {day}")
        interview.show()


def _open(base: str, root: Path) -> Home:
    """Make the home, and open it with the settings of the demo."""
    if not create_home(root, base=base):
        raise HomeError(
            f"expected a new directory for the demo, but {root} is a home already; "
            "name another one with --keep"
        )
    return open_home(root, settings=recipe(open_logged(root).settings))


def recipe(settings: Settings) -> Settings:
    """Return settings that hold on to the base by fewer of its turns, for time."""
    bank = settings.bank.model_copy(update={"turns": TURNS})
    gate = settings.gate.model_copy(update={"probe_dreams": PROBES})
    return settings.model_copy(update={"bank": bank, "gate": gate})


def _live_through(home: Home, day: int) -> None:
    """Feed the facts of one day, wake on them, and sleep."""
    console.rule(f"day {day}")
    home.feed(_folder() / f"day{day}.jsonl")
    with progress_bar(visible=console.is_terminal) as on_progress:
        woken = home.wake(on_progress)
        night = home.sleep(on_progress)
    for outcome in (woken, night):
        verdict = outcome.report.verdict
        word = "accepted" if verdict.accepted else "rejected"
        console.print(
            f"[bold]{outcome.version.kind}[/bold], {word} after "
            f"{outcome.seconds:.0f} s: {verdict.reason}"
        )


def questions() -> list[FactQuestion]:
    """Return what is asked: each fact once, and what most people know."""
    return [
        FactQuestion(row["prompt"], row["right"], row.get("day", COMMON))
        for name in ("questions", "common")
        for row in _rows(_folder() / f"{name}.jsonl")
    ]


def _folder() -> Path:
    """Return where the lesson lies: in the package, or in the source tree."""
    return carried("lessons/company", "examples/lessons/company")


def _rows(file: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
