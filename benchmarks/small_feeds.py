"""Small feeds: how long a wake of a few examples takes, what it learns and costs.

    python -m benchmarks.small_feeds --examples 6 20 100
    python -m benchmarks.small_feeds --examples 6 --wake '{"patience": 0}'

Invented capitals are taught in three wordings each and asked in a fourth. A life is two
days, each with a night; with patience 0 a wake takes all of its steps.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, product
from pathlib import Path
from random import Random

from sleepcycle.learning import night, wake
from sleepcycle.learning.bank import Bank
from sleepcycle.learning.replay import ReplayInputs
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base
from sleepcycle.model.exam import ask, question
from sleepcycle.numerics.lowrank import LayerChanges, trim
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.settings.config import ModelSettings, Settings
from sleepcycle_study.memory.lessons import CAPITALS, facts_lesson

WORDINGS = 3  # in which each fact is taught
HELD_OUT = 20  # each twentieth row is held out, as by `feed.held_out_share`


@dataclass(frozen=True)
class Feed:
    """What one day brings."""

    rows: Sequence[Completion]
    questions: Sequence[Completion]
    """Each fact in a wording that is not taught."""


@dataclass(frozen=True)
class Day:
    """What one wake and its night came to."""

    day: int
    rows: int
    steps: int
    learned: bool
    """Whether the wake ended since all was learned."""

    wake_s: float
    night_s: float
    rem_steps: int
    taught: tuple[int, int]
    """Rows answered exactly, after the wake and after the night."""

    asked: tuple[int, int, int]
    """Questions answered exactly, before the wake, after it and after the night."""

    of: int
    earlier: tuple[int, int] | None
    """The same of the day before, after the wake and after the night."""

    drift: float
    """KL to the base after the night, in nats per token, as the gate found it."""

    agreement: float | None
    """Share of the base's turns that are answered as it did, as the gate found it."""

    accepted: bool


def feeds(count: int, seed: int) -> list[Feed]:
    """Draw two feeds of so many rows."""
    lesson = facts_lesson("capitals", Random(f"small/{seed}"), CAPITALS)
    facts = -(-count // WORDINGS)
    found = []
    for first in (0, facts):
        questions = lesson.questions[first : first + facts]
        taught = (
            [row for row in lesson.rows if row.completion == one.completion][:WORDINGS]
            for one in questions
        )
        rows = list(chain.from_iterable(taught))[:count]
        found.append(Feed(rows, questions))
    return found


class Life:
    """Two days on one base."""

    def __init__(self, base: Base, settings: Settings, seed: int) -> None:
        self._base, self._settings, self._seed = base, settings, seed
        self._bank = Bank(base, settings.bank)
        self._live: LayerChanges = {}
        self._stored: list[Example] = []
        self._held_out: list[Example] = []

    def days(self, fed: Sequence[Feed]) -> Iterator[Day]:
        """Live through the feeds, a day each; what the gate says is not heeded."""
        before: Feed | None = None
        for number, feed in enumerate(fed, 1):
            yield self._day(number, feed, before)
            before = feed

    def _day(self, number: int, feed: Feed, before: Feed | None) -> Day:
        """Learn one feed, and sleep on it."""
        made = [Example(1000 * number + i, number, r) for i, r in enumerate(feed.rows)]
        today = made[HELD_OUT - 1 :: HELD_OUT]
        new = [one for one in made if one not in today]
        at_first = self._right(self._live, feed.questions)
        whole, woken, wake_s = self._wake(new, today)
        candidate, slept, night_s = self._sleep(whole, new, today, woken.tokens)
        self._stored, self._held_out = self._stored + new, self._held_out + today
        self._live = trim(candidate)
        sides = (whole, self._live)
        drift, kept = slept.verdict.drift, slept.verdict.agreement
        return Day(
            day=number,
            rows=len(new),
            steps=woken.steps,
            learned=woken.learned,
            wake_s=round(wake_s, 2),
            night_s=round(night_s, 2),
            rem_steps=slept.rem.steps if slept.rem else 0,
            taught=self._both(sides, feed.rows),
            asked=(at_first, *self._both(sides, feed.questions)),
            of=len(feed.questions),
            earlier=self._both(sides, before.questions) if before else None,
            drift=round(drift.candidate, 3) if drift else 0.0,
            agreement=kept.candidate if kept else None,
            accepted=slept.verdict.accepted,
        )

    def _wake(
        self, new: Sequence[Example], today: Sequence[Example]
    ) -> tuple[LayerChanges, WakeReport, float]:
        """Learn what is new; return that, the report and the seconds."""
        began = time.perf_counter()
        whole, report = wake.learn(
            self._base,
            wake.WakeStart(self._live, {}),
            wake.Lesson(new, self._stored, today, self._held_out),
            self._settings.wake,
            seed=self._seed,
            on_progress=ignore_progress,
            bank=self._bank,
        )
        return whole, report, time.perf_counter() - began

    def _sleep(
        self,
        whole: LayerChanges,
        new: Sequence[Example],
        today: Sequence[Example],
        tokens: int,
    ) -> tuple[LayerChanges, SleepReport, float]:
        """Sleep on it; return what is left, the report and the seconds."""
        past = ReplayInputs(whole, self._live, new, self._stored)
        inputs = night.NightInputs(
            past, today, self._held_out, wake_tokens=tokens, seed=self._seed
        )
        began = time.perf_counter()
        slept, report, _ = night.sleep(
            self._base, inputs, self._settings, on_progress=ignore_progress
        )
        return slept, report, time.perf_counter() - began

    def _both(
        self, sides: tuple[LayerChanges, LayerChanges], rows: Sequence[Completion]
    ) -> tuple[int, int]:
        """Return how many rows two changes answer exactly."""
        first, second = (self._right(side, rows) for side in sides)
        return first, second

    def _right(self, change: LayerChanges, rows: Sequence[Completion]) -> int:
        """Return how many rows a change answers exactly."""
        asked = [one for row in rows if (one := question(row, self._base))]
        with adapters.attached(self._base, "asked", change):
            return sum(ask(self._base, asked))


def main(words: list[str] | None = None) -> None:
    """Live through all that is asked for, and print a line of JSON for each day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="builtin:nano")
    parser.add_argument("--examples", type=int, nargs="+", default=[6, 20, 100])
    parser.add_argument("--days", type=int, choices=[1, 2], default=2)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--wake", type=json.loads, default={}, help="Settings, JSON.")
    parser.add_argument("--gate", type=json.loads, default={}, help="Settings, JSON.")
    chosen = parser.parse_args(words)
    settings = Settings(wake=chosen.wake, gate=chosen.gate)
    with tempfile.TemporaryDirectory() as cache:
        base = load_base(
            ModelSettings(base=chosen.base), device="cpu", cache=Path(cache)
        )
        for count, seed in product(chosen.examples, range(chosen.seeds)):
            fed = feeds(count, seed)[: chosen.days]
            for day in Life(base, settings, seed).days(fed):
                row = {"seed": seed, **asdict(day)}
                sys.stdout.write(json.dumps(row) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
