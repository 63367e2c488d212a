"""The streams of lessons, each with the base that learns it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sleepcycle.settings.config import ModelSettings, RemSettings
from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory import text
from sleepcycle_study.memory.lessons import TaughtLesson, lessons


@dataclass(frozen=True)
class Stream:
    """Lessons to be taught one after the other."""

    model: ModelSettings
    draw: Callable[[int, int], list[TaughtLesson]]
    """Returns the lessons of a seed, so many."""

    lessons: int
    """How many, if not said."""

    dream_tokens: int = RemSettings().dream_tokens
    """Longest dream; it must hold an example."""

    general: tuple[str, ...] = ()
    """What the base was trained on and shall not lose; none where it is not known."""


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


STREAMS = {"lessons": invented, "text": real}
"""By name, what makes them of the folder of real models and data."""
