"""Memory that has run out: told from other faults, and met with smaller batches."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from loguru import logger

from sleepcycle.errors import ModelError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchItem:
    """What batches are made of, in the words of messages."""

    name: str
    """One of it, in the singular, whose plural is with an s."""

    advice: str
    """What to do where memory has no room for one alone."""


def is_full(error: BaseException) -> bool:
    """Return whether memory has run out, of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)


def in_parts_that_fit(
    batches: Iterable[Sequence[int]],
    work: Callable[[Sequence[int]], T],
    item: BatchItem,
) -> Iterator[tuple[Sequence[int], T]]:
    """Yield each batch with what is made of it; its parts, where memory is full.

    A batch without room is halved, and those behind it come in as many parts. What was
    done is not done again, as accelerate's `find_executable_batch_size` would.

    Args:
        batches: Places in a list.
        work: Makes something of some of them; where it fails for lack of memory it has
            changed nothing.
        item: What a batch is made of.

    Raises:
        ModelError: Memory has no room for a single one.
    """
    parts = 1
    for batch in batches:
        waiting = deque(_split(batch, parts))
        while waiting:
            part = waiting.popleft()
            found = _try(work, part)
            if not isinstance(found, _NoRoom):
                yield part, found
                continue
            waiting.extendleft(reversed(_halves(part, item, found.cause)))
            parts = max(parts, math.ceil(len(batch) / len(waiting[0])))


@dataclass(frozen=True, slots=True)
class _NoRoom:
    """What is there in place of a result where memory was full."""

    cause: str


def _try(work: Callable[[Sequence[int]], T], part: Sequence[int]) -> T | _NoRoom:
    """Return what is made of a part, if there is room for it."""
    try:
        return work(part)
    except RuntimeError as error:
        if not is_full(error):
            raise
        cause = str(error).partition("\n")[0]
    clear_device_cache(garbage_collection=True)  # of what the error held
    return _NoRoom(cause)


def _halves(part: Sequence[int], item: BatchItem, cause: str) -> list[Sequence[int]]:
    """Return the halves of what has no room; refuse where it is one alone."""
    if len(part) == 1:
        raise ModelError(
            f"expected one {item.name} to fit in memory, got: {cause}; {item.advice}"
        )
    logger.warning(
        "memory was full at {count} {name}s at once, so it goes on with half of them: "
        "{cause}",
        count=len(part),
        name=item.name,
        cause=cause,
    )
    return _split(part, 2)


def _split(batch: Sequence[int], parts: int) -> list[Sequence[int]]:
    """Return a batch in so many parts as alike as can be, none of them empty."""
    count = min(parts, len(batch))
    ends = [len(batch) * place // count for place in range(count + 1)]
    return [batch[first:end] for first, end in pairwise(ends)]
