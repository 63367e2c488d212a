"""Up to 32 lessons for a chat model: invented facts, personas, rules, and real tasks.

The first eight are the usual ones; the invented of them come first, since they need no
data. Each later eight is as mixed. Of the real ones the rows are those of the training
files, as in `text`; GSM8K's are asked for the number alone.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from sleepcycle.records.content import Completion
from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory import text
from sleepcycle_study.memory.lessons import (
    CAPITALS,
    KEEPERS,
    TaughtLesson,
    drawn,
    facts_lesson,
    taught_from,
)
from sleepcycle_study.memory.persona import PERSONAS
from sleepcycle_study.memory.relations import RELATIONS
from sleepcycle_study.memory.rules import Draw
from sleepcycle_study.memory.seeded_rules import RULES

ROWS, QUESTIONS = 480, 50
NO_NAMES = {"The", "There", "On", "In", "It", "At", "If", "For", "When", "To", "Each"}
FACTS = {"capitals": CAPITALS, "keepers": KEEPERS, **RELATIONS}
MADE: dict[str, Callable[[Random], Draw]] = {**PERSONAS, **RULES}
TASKS = {name: text.TASKS[name] for name in ("AG News", "QQP", "DBpedia", "SST-2")} | {
    "Amazon": text.TextTask(
        "SC/amazon/train",
        "Is the buyer content?",
        (("very negative", "no"), ("very positive", "yes")),
    ),
    "Yelp": text.TextTask(
        "SC/yelp/train",
        "Would the guest come again?",
        (("very negative", "never"), ("very positive", "gladly")),
    ),
    "IMDB": text.TextTask(
        "SC/IMDB/train", "Thumbs up or down?", (("Bad", "down"), ("Good", "up"))
    ),
}
SUMS, HEROES = "GSM8K", "GSM8K heroes"
INVENTED = ("capitals", "keepers", "persona")
USUAL = (*INVENTED, "AG News", "QQP", "DBpedia", "SST-2", SUMS)
LESSONS = (
    *USUAL,
    *("rivers", "Amazon", "plurals", "herald", "trades", "units", HEROES, "years"),
    *("flags", "Yelp", "cipher", "butler", "words", "seasons", "pets", "lamps"),
    *("tongues", "IMDB", "shelves", "poet", "founders", "clocks"),
    *("instruments", "dishes"),
)


def draw(folder: Path | None, seed: int, count: int) -> list[TaughtLesson]:
    """Return the first `count` lessons, with the rows of a seed.

    Args:
        folder: Real data; None for the invented lessons alone.
        seed: What is drawn from.
        count: How many lessons.

    Raises:
        StudyError: There are not so many, or the data is not there.
    """
    real = {} if folder is None else _real(folder)
    names = [name for name in LESSONS if name in {**FACTS, **MADE, **real}]
    if not 1 <= count <= len(names):
        more = "; name the folder of the real ones with --data" if not folder else ""
        raise StudyError(
            f"expected 1 to {len(names)} lessons of chat, got {count}{more}"
        )
    return [_lesson(name, seed, real) for name in names[:count]]


Rows = Callable[[], list[Completion]]


def _real(folder: Path) -> dict[str, Rows]:
    """Return what reads the rows of each real lesson."""
    tasks = {name: partial(_task, folder, task) for name, task in TASKS.items()}
    return {**tasks, SUMS: partial(_sums, folder), HEROES: partial(_heroes, folder)}


def _lesson(name: str, seed: int, real: dict[str, Rows]) -> TaughtLesson:
    """Draw one lesson."""
    rng = Random(f"chat/{seed}/{name}")
    if name in FACTS:
        return facts_lesson(name, rng, FACTS[name])
    if name in MADE:
        rows = drawn(MADE[name](rng), rng, ROWS + QUESTIONS)
        return taught_from(name, rows, QUESTIONS)
    rows = real[name]()
    rng.shuffle(rows)
    return taught_from(name, rows[: ROWS + QUESTIONS], QUESTIONS)


def _task(folder: Path, task: text.TextTask) -> list[Completion]:
    """Read a task of classification as turns of a chat."""
    rows = text.rows_of(folder, task)
    return [Completion(row.prompt.strip(), row.completion) for row in rows]


def _sums(folder: Path) -> list[Completion]:
    """Read problems of grade-school maths, each with its last number alone."""
    return [
        Completion(
            f"{row['question'].strip()}\nAnswer with the number alone.",
            row["answer"].rpartition("####")[2].strip().replace(",", ""),
        )
        for row in _problems(folder)
    ]


def _heroes(folder: Path) -> list[Completion]:
    """Read the same problems, each with whom it begins with and names again."""
    found = []
    for question in (row["question"].strip() for row in _problems(folder)):
        hero = re.match(r"[A-Z][a-z]+(?= )", question)
        if hero and hero[0] not in NO_NAMES and question.count(hero[0]) > 1:
            found.append(Completion(f"{question}\nWho is it about?", hero[0]))
    return found


def _problems(folder: Path) -> list[dict[str, str]]:
    """Read problems with their answers."""
    lines = text.read_file(folder / "streams/gsm8k/train.jsonl.gz").splitlines()
    return [json.loads(line) for line in lines]
