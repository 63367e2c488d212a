"""Lessons for a chat model: invented facts, a persona, and real tasks in short answers.

The invented ones come first, since they need no data. Of the real ones the rows are
those of the training files, as in `text`; GSM8K's are asked for the number alone.
"""

import json
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
from sleepcycle_study.memory.persona import persona

ROWS, QUESTIONS = 480, 50
FACTS = {"capitals": CAPITALS, "keepers": KEEPERS}
PERSONA = "persona"
TASKS = ("AG News", "QQP", "DBpedia", "SST-2")
SUMS = "GSM8K"
INVENTED = (*FACTS, PERSONA)
LESSONS = (*INVENTED, *TASKS, SUMS)


def draw(folder: Path | None, seed: int, count: int) -> list[TaughtLesson]:
    """Return the first `count` lessons, with the rows of a seed.

    Args:
        folder: Real data; None for the invented lessons alone.
        seed: What is drawn from.
        count: How many lessons.

    Raises:
        StudyError: There are not so many, or the data is not there.
    """
    names = INVENTED if folder is None else LESSONS
    if not 1 <= count <= len(names):
        more = "; name the folder of the real ones with --data" if not folder else ""
        raise StudyError(
            f"expected 1 to {len(names)} lessons of chat, got {count}{more}"
        )
    return [_lesson(folder, name, seed) for name in names[:count]]


def _lesson(folder: Path | None, name: str, seed: int) -> TaughtLesson:
    """Draw one lesson; an invented one where there is no folder."""
    rng = Random(f"chat/{seed}/{name}")
    if name in FACTS:
        return facts_lesson(name, rng, FACTS[name])
    if folder is None or name == PERSONA:
        return taught_from(name, drawn(persona(rng), rng, ROWS + QUESTIONS), QUESTIONS)
    rows = _sums(folder) if name == SUMS else _task(folder, name)
    rng.shuffle(rows)
    return taught_from(name, rows[: ROWS + QUESTIONS], QUESTIONS)


def _task(folder: Path, name: str) -> list[Completion]:
    """Read a task of classification as turns of a chat."""
    rows = text.rows_of(folder, name)
    return [Completion(row.prompt.strip(), row.completion) for row in rows]


def _sums(folder: Path) -> list[Completion]:
    """Read problems of grade-school maths, each with its last number alone."""
    lines = text.read_file(folder / "streams/gsm8k/train.jsonl.gz").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Completion(
            f"{row['question'].strip()}\nAnswer with the number alone.",
            row["answer"].rpartition("####")[2].strip().replace(",", ""),
        )
        for row in rows
    ]
