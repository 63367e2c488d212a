"""Long text in windows of tokens, cut where a paragraph, a line or a sentence ends."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sleepcycle.model import token_ids

BREAKS = (
    re.compile(r"\n\s*\n\s*"),  # paragraphs
    re.compile(r"\n\s*"),
    re.compile(r"(?<=[.!?\u3002])\s+"),
    re.compile(r"\s+"),
)
"""What may end a window, the best first."""

UNKNOWN = -1  # place of a token in the text
LEAST = 0.5  # of a window is filled before a break is looked for; a guess


@dataclass(frozen=True, slots=True)
class Window:
    """One part of a long text."""

    ids: tuple[int, ...]
    context: int
    """Of its first tokens, which the window before has learned already."""


def split_text(
    tokenizer: Any,  # noqa: ANN401
    text: str,
    size: int,
    overlap: int,
) -> list[Window]:
    """Split text into windows that together hold each of its tokens.

    Args:
        tokenizer: Transformers' tokenizer.
        text: What looks like a control token in it is plain text.
        size: Most tokens of a window, at least 1.
        overlap: Tokens that a window repeats of the one before; at most a quarter.
    """
    ids = token_ids.plain(tokenizer, text)
    if len(ids) <= size:
        return [Window(tuple(ids), 0)]
    starts = _starts(tokenizer, text, len(ids))
    ends = [{m.end() for m in found.finditer(text)} for found in BREAKS]
    repeated = min(overlap, size // 4)
    windows, done = [], 0
    while done < len(ids):
        first = max(0, done - repeated)
        last = _last(first, size, starts, ends)
        windows.append(Window(tuple(ids[first:last]), done - first))
        done = last
    return windows


def _last(
    first: int, size: int, starts: Sequence[int], ends: Sequence[set[int]]
) -> int:
    """Return where a window ends: at the last of the best breaks in its latter part.

    Without any, it ends between letters.
    """
    full = first + size
    if full >= len(starts):
        return len(starts)
    earliest = first + max(int(size * LEAST), size // 4 + 1)
    latter = range(full, earliest, -1)
    for places in ends:
        for place in latter:
            if starts[place] in places:
                return place
    return next((place for place in latter if starts[place] != UNKNOWN), full)


def _starts(tokenizer: Any, text: str, count: int) -> list[int]:  # noqa: ANN401
    """Return where in the text each token starts, if a window may begin with it.

    It may not within a letter that is several tokens, whose places are the same.
    """
    if not tokenizer.is_fast:
        return [UNKNOWN] * count
    starts: list[int] = []
    for shift, part in token_ids.parts(tokenizer, text):
        found = tokenizer(
            part,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
        )
        places = found["offset_mapping"]
        starts += [_past_space(text, shift + a, shift + b) for a, b in places]
    before = [UNKNOWN, *starts]
    return [
        UNKNOWN if start == last else start
        for start, last in zip(starts, before, strict=False)
    ]


def _past_space(text: str, start: int, end: int) -> int:
    """Return where a token's text begins, behind its leading white space."""
    piece = text[start:end]
    return end - len(piece.lstrip()) if piece.strip() else start
