"""What the loss is the mean of, on short answers, long ones and both: by day and night.

    python -m benchmarks.loss_reduction --seeds 3 --wake '{"epochs": 1, "min_steps": 1}'
    python -m benchmarks.loss_reduction --base FOLDER --data DATA --facts 8 --long 20

Short: invented capitals, taught in eight wordings and asked in a ninth. Long: stories
by a pattern, or with `--data` GSM8K's answers with all their steps. Of each day the
rows are shown together; a life is one day or two, each with a night.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from random import Random

from sleepcycle.learning import night, wake
from sleepcycle.learning.dreams import DreamPlan, dream
from sleepcycle.learning.replay import ReplayInputs
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base
from sleepcycle.model.drift import drifts
from sleepcycle.model.encode import encode_all
from sleepcycle.model.exam import ask, question
from sleepcycle.model.score import encode_contents, nll
from sleepcycle.numerics.lowrank import LayerChanges, trim
from sleepcycle.records.content import Completion, Content
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.records.reports import WakeReport
from sleepcycle.settings.choices import Reduction
from sleepcycle.settings.config import (
    GateSettings,
    ModelSettings,
    Settings,
    WakeSettings,
)
from sleepcycle_study.memory.lessons import CAPITALS, facts_lesson
from sleepcycle_study.memory.rules import name
from sleepcycle_study.memory.text import read_file

LIVES: dict[str, list[tuple[str, ...]]] = {
    "short": [("short",)],
    "long": [("long",)],
    "mixed": [("short", "long")],
    "long, then short": [("long",), ("short",)],
    "short, then long": [("short",), ("long",)],
}
"""What is taught on each day."""

DREAMS = DreamPlan(count=64, temperature=0.7, max_tokens=64, seed=7)
UNSEEN = 40  # long answers that are asked for, and never taught, at most
STORY = (
    "{who} was born in {town}, a small place by the sea. There {who} learned to "
    "{craft} and made {count} {goods} a year. One day a man from {other} came and "
    "asked for {more}. {who} worked for {more} days, and then went to {other} to "
    "live there."
)
CRAFTS = {"bake": "cakes", "sew": "coats", "carve": "spoons", "weave": "baskets"}


@dataclass(frozen=True)
class Moment:
    """What was kept after a wake or a night."""

    after: str
    steps: int
    short: float
    """Share of the short questions answered exactly, in [0, 1]."""

    short_loss: float
    """Loss on their answers, in nats per token; so with the next two."""

    taught: float
    """Of long answers that were taught."""

    unseen: float
    """Of long answers that were not."""

    drift: float
    """KL(base ‖ what was learned) on dreams of the base, in nats per token."""


@dataclass(frozen=True)
class Lessons:
    """What may be taught."""

    rows: dict[str, Sequence[Completion]]
    held_out: dict[str, Sequence[Completion]]
    questions: Sequence[Completion]
    unseen: Sequence[Completion]
    general: Sequence[Content]


def lessons(
    chosen: argparse.Namespace, seed: int, general: Sequence[Content]
) -> Lessons:
    """Draw the lessons of a seed."""
    rng = Random(f"reduction/{seed}")
    facts = facts_lesson("capitals", rng, CAPITALS)
    asked = facts.questions[: chosen.facts]
    answers = {one.completion for one in asked}
    unseen = min(UNSEEN, chosen.long)
    count = chosen.long + unseen
    long = _sums(chosen.data, rng, count) if chosen.data else _stories(rng, count)
    kept = unseen + chosen.long // 20 + 1
    return Lessons(
        rows={
            "short": [row for row in facts.rows if row.completion in answers],
            "long": long[kept:],
        },
        held_out={
            "short": [row for row in facts.held_out if row.completion in answers],
            "long": long[unseen:kept],
        },
        questions=asked,
        unseen=long[:unseen],
        general=general,
    )


def _stories(rng: Random, count: int) -> list[Completion]:
    """Draw stories of invented people."""
    found = []
    for _ in range(count):
        who, town, other = name(rng), name(rng), name(rng)
        craft, made = rng.choice(list(CRAFTS)), rng.randint(3, 40)
        story = STORY.format(
            who=who, town=town, other=other, craft=craft, goods=CRAFTS[craft],
            count=made, more=made + 1,
        )  # fmt: skip
        found.append(Completion(f"Tell the story of {who} of {town}.", story))
    return found


def _sums(folder: Path, rng: Random, count: int) -> list[Completion]:
    """Draw problems of GSM8K with the whole of their answers."""
    lines = read_file(folder / "streams/gsm8k/train.jsonl.gz").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Completion(r["question"], r["answer"]) for r in rng.sample(rows, count)]


class Life:
    """One life, day by day."""

    def __init__(
        self, base: Base, taught: Lessons, settings: Settings, seed: int
    ) -> None:
        self._base, self._taught = base, taught
        self._settings, self._seed = settings, seed
        self._live: LayerChanges = {}
        self._stored: list[Example] = []
        self._held_out: list[Example] = []

    def days(self, days: Sequence[Sequence[str]]) -> Iterator[Moment]:
        """Live through days; yield what was kept after each wake and night."""
        for number, kinds in enumerate(days, 1):
            new = self._examples(self._taught.rows, kinds, number)
            today = self._examples(self._taught.held_out, kinds, -number)
            whole, report = self._wake(new, today)
            yield self._moment(f"wake {number}", whole, report.steps)
            slept, steps = self._sleep(whole, new, today, report.tokens)
            self._live = trim(slept)
            self._stored += new
            self._held_out += today
            yield self._moment(f"night {number}", self._live, steps)

    def _examples(
        self, of: dict[str, Sequence[Completion]], kinds: Sequence[str], number: int
    ) -> list[Example]:
        """Return the examples of a day."""
        rows = [row for kind in kinds for row in of[kind]]
        return [Example(10_000 * number + i, number, r) for i, r in enumerate(rows)]

    def _wake(
        self, new: Sequence[Example], today: Sequence[Example]
    ) -> tuple[LayerChanges, WakeReport]:
        """Learn a day's examples."""
        return wake.learn(
            self._base,
            wake.WakeStart(self._live, {}),
            wake.Lesson(new, self._stored, today, self._held_out),
            self._settings.wake,
            seed=self._seed,
            on_progress=ignore_progress,
        )

    def _sleep(
        self,
        whole: LayerChanges,
        new: Sequence[Example],
        today: Sequence[Example],
        tokens: int,
    ) -> tuple[LayerChanges, int]:
        """Sleep on it; return what is left, and the steps of REM."""
        past = ReplayInputs(whole, self._live, new, self._stored)
        inputs = night.NightInputs(
            past, today, self._held_out, wake_tokens=tokens, seed=self._seed
        )
        slept, report, _ = night.sleep(
            self._base, inputs, self._settings, on_progress=ignore_progress
        )
        return slept, report.rem.steps if report.rem else 0

    def _moment(self, after: str, change: LayerChanges, steps: int) -> Moment:
        """Ask everything of a change, and return what it is worth."""
        base, taught = self._base, self._taught
        asked = [one for q in taught.questions if (one := question(q, base))]
        general = encode_all(taught.general, base, prompt_weight=1)
        with adapters.attached(base, "asked", change):
            marks = ask(base, asked)
            short, long = self._loss(taught.questions), taught.rows["long"][:UNSEEN]
            seen, unseen = self._loss(long), self._loss(taught.unseen)
            [far], tokens = drifts(base, general, [["asked"]])
        right, drift = sum(marks) / len(marks), far / tokens
        return Moment(after, steps, right, short, seen, unseen, drift)

    def _loss(self, contents: Sequence[Content]) -> float:
        """Return the loss of whatever is active, in nats per token."""
        nats, tokens = nll(self._base, encode_contents(self._base, contents))
        return nats / tokens


def main(words: list[str] | None = None) -> None:
    """Live through all that is asked for, and print a line of JSON for each moment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="builtin:nano")
    parser.add_argument("--data", type=Path, help="Real data, for GSM8K.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--facts", type=int, default=40)
    parser.add_argument("--long", type=int, default=120)
    parser.add_argument("--lives", nargs="+", choices=list(LIVES), default=list(LIVES))
    parser.add_argument("--reductions", nargs="+", default=list(Reduction))
    parser.add_argument(
        "--moments", type=int, help="Wakes and nights of a life, if not all."
    )
    parser.add_argument("--wake", type=json.loads, default={}, help="Settings, JSON.")
    chosen = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as cache:
        model = ModelSettings(base=chosen.base)
        base = load_base(model, device="cpu", cache=Path(cache))
        general = dream(base, DREAMS, set()).contents
        seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
        for seed, life, reduction in product(seeds, chosen.lives, chosen.reductions):
            settings = Settings(
                wake=WakeSettings(loss_reduction=reduction, **chosen.wake),
                gate=GateSettings(probe_dreams=16, max_asked=0),
            )
            lived = Life(base, lessons(chosen, seed, general), settings, seed)
            for moment in islice(lived.days(LIVES[life]), chosen.moments):
                named = {"life": life, "reduction": str(reduction), "seed": seed}
                sys.stdout.write(json.dumps(named | asdict(moment)) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
