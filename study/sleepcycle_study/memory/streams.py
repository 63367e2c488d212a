"""The streams of lessons, each with the base that learns it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sleepcycle.settings.config import ModelSettings, RemSettings
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment.common_knowledge import QUESTIONS, KnownQuestion
from sleepcycle_study.memory import chat, text
from sleepcycle_study.memory.lessons import TaughtLesson, lessons
from sleepcycle_study.memory.methods import COMPARED, TWO_BY_TWO

ANSWER_TOKENS = 20
STORIES = 40  # enough for a loss; a chat model on a CPU takes a second for each


@dataclass(frozen=True)
class Stream:
    """Lessons to be taught one after the other."""

    model: ModelSettings
    draw: Callable[[int, int], list[TaughtLesson]]
    """Returns the lessons of a seed, so many."""

    lessons: int
    """How many, if not said."""

    examples: int = 1_280
    """Shown on a day, replayed ones included, if not said."""

    arms: tuple[str, ...] = tuple(COMPARED)
    """Ways to live through it, if not said."""

    dream_tokens: int = RemSettings().dream_tokens
    """Longest dream; it must hold an example."""

    answer_tokens: int = ANSWER_TOKENS
    """Longest answer."""

    general: tuple[str, ...] = ()
    """What the base was trained on and shall not lose; none where it is not known."""

    common: tuple[KnownQuestion, ...] = ()
    """What an assistant knows and shall not lose; none where the base is none."""


def invented(_: Path | None) -> Stream:
    """Return the stream of invented lessons, which the built-in base learns."""
    return Stream(ModelSettings(), lessons, lessons=8)


def real(folder: Path | None) -> Stream:
    """Return the stream of real text.

    Args:
        folder: Real models and data.

    Raises:
        StudyError: They are not there, or nobody said where they are.
    """
    if folder is None:
        raise StudyError(
            "expected the folder of the real models and data, got none; name it with "
            "--data, or take --stream lessons"
        )
    return Stream(
        ModelSettings(base=str(text.model(folder))),
        partial(text.draw, folder),
        lessons=len(text.TASKS),
        dream_tokens=256,
        general=text.stories(folder),
    )


def assistant(folder: Path | None) -> Stream:
    """Return the stream of a chat model; without a folder its invented lessons alone.

    Raises:
        StudyError: The folder holds no data.
    """
    return Stream(
        ModelSettings(base="builtin:smollm2"),
        partial(chat.draw, folder),
        lessons=len(chat.INVENTED if folder is None else chat.USUAL),
        examples=480,
        arms=tuple(TWO_BY_TWO),
        answer_tokens=32,
        general=() if folder is None else text.stories(folder)[:STORIES],
        common=QUESTIONS,
    )


STREAMS = {"lessons": invented, "text": real, "chat": assistant}
"""By name, what makes them of the folder of real models and data."""
