"""New examples as the model sees them, and those that it cannot learn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count

from sleepcycle.errors import ExampleError, UnlearnableError
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded, encode
from sleepcycle.records.content import Text
from sleepcycle.records.example import Example, SetAside
from sleepcycle.records.progress import HEARTBEAT, OnProgress
from sleepcycle.settings.config import WakeSettings

ENCODED_AT_ONCE = 100  # examples and answers, between two signs of life


@dataclass(frozen=True, eq=False)
class EncodedLesson:
    """New examples as the model sees them."""

    sequences: Sequence[Encoded]
    learned: int
    """Examples that they are of."""

    cut: int
    """Examples whose prompt lost its middle, or that lost an answer."""

    split: int
    """Texts in several parts."""

    set_aside: tuple[SetAside, ...]


def encode_new(
    base: Base,
    examples: Sequence[Example],
    settings: WakeSettings,
    on_progress: OnProgress,
) -> EncodedLesson:
    """Encode new examples; those that cannot be learned are set aside by their reason.

    Raises:
        UnlearnableError: That is all of them.
    """
    parts: list[list[Encoded]] = []
    split = 0
    faults: dict[tuple[str, str], list[int]] = {}
    alive = _now_and_then(lambda: on_progress(HEARTBEAT))
    encode_one = partial(
        encode, base=base, prompt_weight=settings.prompt_weight, on_answer=alive
    )
    for example in examples:
        alive()
        try:
            found = encode_one(example.content)
        except ExampleError as error:
            faults.setdefault((error.code, str(error)), []).append(example.id)
            continue
        parts.append(found)
        split += isinstance(example.content, Text) and len(found) > 1
    set_aside = tuple(
        SetAside(code, reason, tuple(ids)) for (code, reason), ids in faults.items()
    )
    if not parts:
        raise UnlearnableError(_none_of(len(examples), set_aside), set_aside)
    return EncodedLesson(
        sequences=list(chain.from_iterable(parts)),
        learned=len(parts),
        cut=sum(any(one.cut or one.left_out for one in found) for found in parts),
        split=split,
        set_aside=set_aside,
    )


def _now_and_then(tell: Callable[[], None]) -> Callable[[], None]:
    """Return what tells the first time it is called, and so on each so many times."""
    numbers = count()

    def step() -> None:
        """Count, and tell if it is time."""
        if next(numbers) % ENCODED_AT_ONCE == 0:
            tell()

    return step


def _none_of(count: int, set_aside: Sequence[SetAside]) -> str:
    """Return why nothing can be learned, in words."""
    most = max(set_aside, key=lambda one: len(one.examples))
    return (
        f"none of {count} examples can be learned, so they are set aside; of "
        f"{len(most.examples)}: {most.code} {most.reason}; see: sleepcycle batches "
        "quarantine"
    )
