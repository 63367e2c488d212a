r"""Text that is safe to show: what would steer a terminal or a log stands as its code.

Letters of all scripts, joiners of emoji, and the marks that Hebrew and Arabic use stay.
"""

import re

STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but for the tab and the end of a line
    "\u2028\u2029"  # ends of lines, to some
    "\u202a-\u202e\u2066-\u2069"  # overrides, embeddings, isolates: text out of order
    "\ud800-\udfff]"  # bytes that were no UTF-8
)
BREAKS = {"\n": r"\n", "\t": r"\t"}
UNSAFE_IN_JSON = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Return text with what steers a terminal shown by its code, such as `\x1b`.

    Ends of lines and tabs stay as they are.
    """
    return STEERING.sub(lambda found: _code(ord(found[0])), text)


def one_line(text: str) -> str:
    r"""Return printable text with its ends of lines and tabs shown too, as `\n`."""
    shown = printable(text)
    return re.sub(r"[\n\t]", lambda found: BREAKS[found[0]], shown)


def escaped_json(text: str) -> str:
    r"""Return JSON with what steers a terminal written as `\u009b`; it means the same.

    Controls below 32 are escaped in any JSON.
    """
    return UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _code(number: int) -> str:
    """Return how a character is shown; one that stands for a byte as that byte."""
    if 0xDC80 <= number <= 0xDCFF:
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
