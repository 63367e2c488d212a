"""Values of rows as text and JSON, or what is wrong with them."""

import math
import re
from collections.abc import Mapping
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import UNSUPPORTED
from sleepcycle.feed.rows import parse_json
from sleepcycle.feed.written_numbers import number_text, written_json

MEDIA = re.compile(
    r"(?:\A|\n)[ \t]*(?:<\|?(image|video|audio|img)(?:_\w+)?(?:_?\d+)?\|?>|\[IMG\])"
)
"""A marker of a picture or sound, where a line begins with it."""

FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)
"""A block of code, in which such a marker is code."""


TURNS_TEXT = re.compile(r'\s*\[\s*\{\s*"(?:role|from|content|value)"\s*:')
"""How the JSON of turns begins."""

MAX_DEPTH = 64
"""Levels of JSON that stands as text in a row."""


def text_of(value: object, key: str) -> str:
    """Read a text.

    Raises:
        RowError: `E_SHAPE`, or `E_NAN` for what is no finite number.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise RowError("E_NAN", f"expected text in {key}, got {float(value)}")
    raise RowError("E_SHAPE", f"expected text in {key}, got {kind_of(value)}")


def said_text(value: object, key: str) -> str:
    """Read a text that is said in a chat: no picture stands in it.

    Raises:
        RowError: As for `text_of`, or `E_UNSUPPORTED_KEY`.
    """
    text = text_of(value, key)
    if ("<" in text or "[" in text) and (marker := _marker(text)):
        raise RowError(
            UNSUPPORTED,
            f"expected text in {key}, got the marker {marker} of a picture or sound "
            "that is not here",
        )
    return text


def _marker(text: str) -> str | None:
    """Return the first marker that is no markup: its element is not closed below."""
    for marker in MEDIA.finditer(FENCED.sub("", text)):
        after = marker.string[marker.end() :]
        closing = f"</{marker[1]}>"
        is_markup = not after.partition("\n")[0].strip() and closing in after
        if not is_markup:
            return marker[0].strip()
    return None


def filled_text(value: object, key: str) -> str:
    """Read a text that is said, and holds more than white space.

    Raises:
        RowError: As for `said_text`, or `E_EMPTY`.
    """
    text = said_text(value, key)
    if not text.strip():
        raise RowError("E_EMPTY", f"expected text in {key}, got none")
    return text


def answer_text(value: object, key: str) -> str:
    """Read an answer: a text, or a number as it is written.

    Raises:
        RowError: As for `filled_text`.
    """
    return filled_text(number_text(value), key)


def parsed(text: object, what: str) -> Any:  # noqa: ANN401 - JSON has any shape
    """Parse JSON that a row has as text, as a row is; another value is returned.

    Raises:
        RowError: `E_SHAPE`: it is none; else as `parse_json`.
    """
    if not isinstance(text, str):
        return text
    try:
        return parse_json(text.encode(errors="surrogatepass"), MAX_DEPTH)
    except RowError as error:
        if error.code != "E_JSON":
            raise RowError(error.code, f"{what}: {error}") from error
        reason = str(error).replace("expected JSON", f"expected JSON in {what}", 1)
        raise RowError("E_SHAPE", reason) from error


def unfolded(value: object, what: str) -> object:
    """Return the turns whose JSON a text is; any other value as it is.

    Raises:
        RowError: As for `parsed`.
    """
    if isinstance(value, str) and TURNS_TEXT.match(value) and value.rstrip()[-1] == "]":
        return parsed(value, what)
    return value


def object_text(value: object, what: str) -> str:
    """Return an object of JSON in one form, given as one or as text.

    Raises:
        RowError: `E_SHAPE`, or as `parsed` and `written_json`.
    """
    found = parsed(value, what) if isinstance(value, str) and value.strip() else value
    if not isinstance(found or {}, Mapping):
        raise RowError("E_SHAPE", f"expected an object in {what}, got {kind_of(found)}")
    return written_json(found or {}, what)


def kind_of(value: object) -> str:
    """Return what kind of JSON a value is."""
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(ascii, value)) or 'no keys'!s:.80}"
    if isinstance(value, float):
        return "a number"
    names = {str: "text", bool: "a truth value", list: "a list"}
    return names.get(type(value), "null" if value is None else type(value).__name__)
