"""Real lessons in classification, learned by a small model of children's stories.

The rows come from the training files that O-LoRA's repository publishes, cut short, and
their questions too, so that the test files stay unseen. DBpedia has a test file alone.
The base was never taught to end a text, so that what its answers begin with counts.
"""

import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from sleepcycle.records.content import Completion
from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory.lessons import TaughtLesson, taught_from

ROWS, QUESTIONS = 1280, 100
MAX_CHARS = 240
STORIES = 100


@dataclass(frozen=True)
class TextTask:
    """Where a task's rows are, and what is asked about each."""

    file: str
    question: str
    answers: tuple[tuple[str, str], ...] = ()
    """Labels of the rows that are taken, and what is answered; if none are named, all
    are taken, and the label is the answer."""


TASKS = {
    "AG News": TextTask("TC/agnews/train", "What is the news about?"),
    "SST-2": TextTask("SC/SST-2/train", "Is the film good or bad?"),
    "DBpedia": TextTask("TC/dbpedia/dev", "What kind of thing is it?"),
    "QQP": TextTask("QQP/QQP/train", "Do both sentences ask the same?"),
    "Amazon": TextTask("SC/amazon/train", "What does the buyer feel?"),
    "RTE": TextTask("NLI/RTE/train", "Does one sentence follow from the other?"),
}


def draw(folder: Path, seed: int, count: int) -> list[TaughtLesson]:
    """Return the first `count` tasks as lessons, with the rows of a seed.

    Raises:
        StudyError: There are not so many, or the data is not there.
    """
    if not 1 <= count <= len(TASKS):
        raise StudyError(f"expected 1 to {len(TASKS)} lessons of text, got {count}")
    return [_lesson(folder, name, seed) for name in list(TASKS)[:count]]


def stories(folder: Path) -> tuple[str, ...]:
    """Return stories of the kind that the base was trained on.

    Raises:
        StudyError: They are not there.
    """
    file = folder / "streams/tinystories/tinystories_cased.jsonl"
    lines = read_file(file).splitlines()
    rows = [json.loads(line) for line in lines[:STORIES]]
    return tuple(row if isinstance(row, str) else row["text"] for row in rows)


def model(folder: Path) -> Path:
    """Return the folder of the base.

    Raises:
        StudyError: It is not there.
    """
    found = folder / "models/stories260K"
    if not found.is_dir():
        raise _missing(found)
    return found.absolute()


def _lesson(folder: Path, name: str, seed: int) -> TaughtLesson:
    """Draw a task's rows and questions, no prompt twice."""
    found = list(rows_of(folder, TASKS[name]))
    Random(f"text/{seed}/{name}").shuffle(found)
    return taught_from(name, found[: QUESTIONS + ROWS], QUESTIONS, begins=True)


@cache
def rows_of(folder: Path, task: TextTask) -> tuple[Completion, ...]:
    """Read a task; of equal prompts the first counts."""
    file = folder / f"streams/olora_cl_benchmark/{task.file}.json.gz"
    found: dict[str, str] = {}
    answers = dict(task.answers)
    for row in json.loads(read_file(file)):
        prompt = f"{row['sentence'].strip()[:MAX_CHARS]}\n{task.question} "
        if not answers or row["label"] in answers:
            answer = answers.get(row["label"], row["label"].lower())
            found.setdefault(prompt, answer)
    return tuple(Completion(*item) for item in found.items())


def read_file(file: Path) -> str:
    """Return the text of a file, compressed or not."""
    if not file.is_file():
        raise _missing(file)
    if file.suffix == ".gz":
        return gzip.decompress(file.read_bytes()).decode()
    return file.read_text(encoding="utf-8")


def _missing(path: Path) -> StudyError:
    """Return what is raised where something is not there."""
    return StudyError(
        f"expected the real models and data there, got no {path}; name "
        "their folder with --data, or take --stream lessons"
    )
