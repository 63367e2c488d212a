"""Drawing questions that are new: none twice, and none about what was taught."""

from collections.abc import Callable, Collection, Iterator
from hashlib import sha256
from typing import TypeVar

from sleepcycle_study.errors import StudyError

T = TypeVar("T")
TRIES = 2_000  # draws until one that is new must have come


def fresh(
    draw: Callable[[], T], key: Callable[[T], str], taken: Collection[str]
) -> Iterator[T]:
    """Draw again and again what is not taken, each once.

    Raises:
        StudyError: Nothing new came any more.
    """
    seen = set(taken)
    while True:
        for _ in range(TRIES):
            drawn = draw()
            if key(drawn) not in seen:
                break
        else:
            raise StudyError(
                f"expected something new within {TRIES} draws, got only what was "
                f"taught or asked before, such as {key(drawn)!r:.80}; ask or "
                "teach fewer"
            )
        seen.add(key(drawn))
        yield drawn


def name_of(kind: str, prompt: str) -> str:
    """Return the id of a question: the same wherever the same is asked."""
    return f"{kind}/{sha256(prompt.encode()).hexdigest()[:12]}"
