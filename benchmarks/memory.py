"""Memory benchmark: lessons in sequence, learned and slept on in several ways.

    python -m benchmarks.memory --arms store archive --orders 3 --out FILE [--lessons 8]

Every arm gets the same lessons, in the same order, with the same number of training
steps a day. Each finished run is a line of FILE, and is not run again.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks.lessons import Lesson, lessons
from sleepcycle import night, wake
from sleepcycle.config import Settings
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base, pick_device
from sleepcycle.model.encode import render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.numerics.lowrank import LayerChanges, trim
from sleepcycle.numerics.metrics import memory
from sleepcycle.records import Example, quiet
from sleepcycle.sleep.material import Archived

STEPS = 80  # a day
ANSWER_TOKENS = 20


@dataclass(frozen=True)
class Arm:
    """One way to live through the lessons."""

    replay_share: float = 0.0
    prompt_weight: float = 0.0
    nights: bool = True
    """Without nights one adapter goes on and on."""

    stages: tuple[str, ...] = ("svd", "rem")
    memory: tuple[str, ...] = ("store",)
    rank: int = 16
    joint: bool = False
    rem: Mapping[str, object] = field(default_factory=dict)
    """Other settings of REM than the defaults."""


ARMS = {
    "joint": Arm(nights=False, joint=True),
    "sequential": Arm(nights=False),
    "sequential + svd 8": Arm(stages=("svd",), rank=8),
    "replay 1 %": Arm(replay_share=0.01, nights=False),
    "replay 10 %": Arm(replay_share=0.1, nights=False),
    "replay 10 % + svd": Arm(replay_share=0.1, stages=("svd",)),
    "store": Arm(replay_share=0.1),
    "store, no svd": Arm(replay_share=0.1, stages=("rem",)),
    "store, no wake replay": Arm(),
    "archive": Arm(memory=("archive",), prompt_weight=0.05),
    "last": Arm(memory=("last",), prompt_weight=0.05),
    "replay 50 % + svd": Arm(replay_share=0.5, stages=("svd",)),
    "store, replay 30 %": Arm(replay_share=0.3),
    "store, replay 50 %": Arm(replay_share=0.5),
    "store, today 1/8": Arm(replay_share=0.1, rem={"today_share": 0.125}),
    "store, all gold": Arm(replay_share=0.1, rem={"gold_weight": 1.0}),
    "store, as much as the day": Arm(replay_share=0.1, rem={"max_share_of_wake": 1.0}),
    "store, faster": Arm(replay_share=0.1, rem={"lr": 3e-3}),
    "store + archive": Arm(
        replay_share=0.1, memory=("store", "archive"), prompt_weight=0.05
    ),
}


@dataclass
class Life:
    """What one run has learned so far."""

    live: LayerChanges = field(default_factory=dict)
    archive: list[Archived] = field(default_factory=list)
    stored: list[Example] = field(default_factory=list)
    held_out: list[Example] = field(default_factory=list)
    tokens: int = 0
    night_cost: list[float] = field(default_factory=list)
    night_seconds: list[float] = field(default_factory=list)
    wake_seconds: list[float] = field(default_factory=list)


def run(
    name: str, order: int, count: int, cache: Path, device: str
) -> dict[str, object]:
    """Live through the lessons once; return the matrix and what it cost."""
    arm = ARMS[name]
    taught = lessons(order)[:count]
    random.Random(f"order/{order}").shuffle(taught)
    started = time.perf_counter()

    def fresh() -> Base:
        return load_base(settings(arm, count).model, device=device, cache=cache)

    base_row = [score(fresh(), {}, lesson) for lesson in taught]
    matrix, life = [], Life()
    days = [_merged(taught)] if arm.joint else taught
    for number, lesson in enumerate(days):
        live_through(fresh, arm, life, lesson, Day(number, order, count))
        matrix.append([score(fresh(), life.live, asked) for asked in taught])
    found = memory(matrix, base_row) if len(matrix) == len(taught) else None
    return {
        "arm": name,
        "order": order,
        "lessons": [lesson.name for lesson in taught],
        "matrix": matrix,
        "base": base_row,
        "acc": sum(matrix[-1]) / len(taught),
        **({} if found is None else asdict(found)),
        "tokens": life.tokens,
        "rank": max(change.rank for change in life.live.values()),
        "night_cost": life.night_cost,
        "night_seconds": life.night_seconds,
        "wake_seconds": life.wake_seconds,
        "seconds": time.perf_counter() - started,
    }


@dataclass(frozen=True)
class Day:
    """Which day it is, and of how many, in which order of lessons."""

    number: int
    order: int
    count: int


def live_through(
    fresh: Callable[[], Base], arm: Arm, life: Life, lesson: Lesson, day: Day
) -> None:
    """Learn one lesson, and sleep on it if the arm does."""
    number = day.number
    new = [Example(1000 * number + i, number, row) for i, row in enumerate(lesson.rows)]
    today = [
        Example(-1000 * number - i - 1, number, row)
        for i, row in enumerate(lesson.held_out)
    ]
    chosen = settings(arm, day.count)
    seed = 100 * day.order + number
    replay = random.Random(seed).sample(life.stored, min(200, len(life.stored)))
    morning = wake.Morning(
        life.live if arm.nights else {}, {} if arm.nights else life.live
    )
    whole, report = wake.learn(
        fresh(),
        morning,
        wake.Lesson(new, replay if arm.replay_share else [], today, []),
        chosen.wake,
        seed=seed,
        on_progress=quiet,
    )
    life.tokens += report.tokens
    life.wake_seconds.append(report.seconds)
    if arm.nights:
        evening = night.Evening(
            live=life.live,
            whole=whole,
            today=today,
            known=random.Random(seed).sample(
                life.held_out, min(64, len(life.held_out))
            ),
            new=new,
            replay=life.stored if "store" in arm.memory else (),
            archive=tuple(life.archive),
            wake_tokens=report.tokens,
            seed=seed,
        )
        folded, slept, _ = night.sleep(fresh(), evening, chosen, on_progress=quiet)
        life.archive.append(Archived(number, partial(dict, whole)))
        life.live = trim(folded)
        life.night_cost.append(slept.rem.cost if slept.rem else 0.0)
        life.night_seconds.append(slept.seconds)
    else:
        life.live = whole
    life.stored += new
    life.held_out += today


def settings(arm: Arm, count: int) -> Settings:
    """Return the settings of one day."""
    steps = STEPS * count if arm.joint else STEPS
    return Settings(
        wake={
            "min_steps": steps,
            "max_steps": steps,
            "replay_share": arm.replay_share,
            "prompt_weight": arm.prompt_weight,
            "patience": 0,
        },
        sleep={
            "stages": list(arm.stages),
            "svd": {"rank": arm.rank},
            "rem": {"memory": list(arm.memory), **arm.rem},
        },
        gate={"probe_dreams": 32},
    )


def score(base: Base, change: LayerChanges, lesson: Lesson) -> float:
    """Return the share of a lesson's questions that are answered exactly."""
    if change:
        adapters.attach(base, "asked", change)
    adapters.activate(base, ["asked"] if change else [])
    said = answer(
        base,
        [render_prompt(question.prompt, base) for question in lesson.questions],
        max_new_tokens=ANSWER_TOKENS,
    )
    right = sum(
        text.strip() == question.completion
        for text, question in zip(said, lesson.questions, strict=True)
    )
    return right / len(said)


def _merged(taught: Sequence[Lesson]) -> Lesson:
    """Return all lessons as one."""
    return Lesson(
        "all",
        tuple(row for lesson in taught for row in lesson.rows),
        tuple(row for lesson in taught for row in lesson.held_out),
        (),
    )


def table(results: Sequence[dict[str, object]]) -> Iterator[str]:
    """Yield the lines of a table, a row for each arm, means over its runs."""
    columns = "arm, runs, accuracy, ±, BWT, learned, rank, night's cost, seconds"
    yield f"| {columns.replace(', ', ' | ')} |"
    yield "|---" * 9 + "|"
    for name in ARMS:
        rows = [row for row in results if row["arm"] == name]
        if rows:
            yield _line(name, rows)


def _line(name: str, rows: Sequence[dict[str, object]]) -> str:
    """Return one arm's row."""

    def values(key: str) -> list[float]:
        return [float(str(row[key])) for row in rows if row.get(key) is not None]

    def mean(found: Sequence[float]) -> float | None:
        return sum(found) / len(found) if found else None

    acc = values("acc")
    middle = mean(acc) or 0.0
    spread = (sum((a - middle) ** 2 for a in acc) / max(1, len(acc) - 1)) ** 0.5
    costs = [cost for row in rows for cost in list(row["night_cost"])]  # type: ignore[call-overload]
    cells = [100 * middle, 100 * spread, _percent(mean(values("bwt")))]
    cells += [
        _percent(mean(values("learned"))),
        mean(values("rank")),
        _percent(mean(costs)),
    ]
    cells.append(mean(values("seconds")))
    shown = ["-" if cell is None else f"{cell:.1f}" for cell in cells]
    return f"| {name} | {len(rows)} | {' | '.join(shown)} |"


def _percent(share: float | None) -> float | None:
    """Return a share in percent."""
    return None if share is None else 100 * share


def main() -> None:
    """Run what is not in the file yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--orders", type=int, default=3)
    parser.add_argument("--only", type=int, help="Run this order alone.")
    parser.add_argument("--lessons", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path(".benchmarks/memory.jsonl"))
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.touch()
    results = [json.loads(line) for line in chosen.out.read_text().splitlines()]
    done = {(row["arm"], row["order"], len(row["lessons"])) for row in results}
    orders = range(chosen.orders) if chosen.only is None else [chosen.only]
    wanted = product(orders, chosen.arms)
    device = pick_device(chosen.device)
    for order, name in wanted:
        if (name, order, chosen.lessons) in done:
            continue
        cache = chosen.out.parent / "cache"
        results.append(run(name, order, chosen.lessons, cache, device))
        with chosen.out.open("a") as file:
            file.write(json.dumps(results[-1]) + "\n")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
