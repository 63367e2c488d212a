"""The calculator as a tool: how a model calls it in its text, and is answered."""

import re
from dataclasses import dataclass

from sleepcycle.calculator import calculate, written
from sleepcycle.errors import CalculationError

CALL = re.compile(r"^[^:\n]*\bTool:([^=\n]*)=", re.MULTILINE)
LONGER = re.compile(r"(?:[.,/]?[0-9])+")
FAILED = "error"  # without digits, so that nobody takes it for an answer


@dataclass(frozen=True, slots=True)
class Call:
    """A line `Tool: 847 * 93 =` in what a model wrote."""

    expression: str
    """What stands between the colon and the `=`, without the spaces around it."""

    start: int
    """Where the word `Tool` begins in the text."""

    end: int
    """Just behind the `=`."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call that was answered: with a result, or with the reason why there is none."""

    expression: str
    result: str | None = None
    error: str | None = None


def call_in(text: str, start: int = 0) -> Call | None:
    """Find the first complete call; None where there is none, or no `=` yet.

    Args:
        text: What the model has written so far.
        start: Where to look from: the length of the text with the last result, so
            that a call is answered once.
    """
    found = CALL.search(text, start)
    if not found:
        return None
    return Call(found[1].strip(), text.index("Tool:", found.start()), found.end())


def with_result(text: str, call: Call) -> tuple[str, str | None]:
    """Return the text from which the model goes on, and why the tool failed.

    What the model wrote behind the `=` is left out: the result stands there, such as
    ` 78771`. Where there is none it is ` error`, and the reason comes beside it.
    """
    try:
        result = written(calculate(call.expression))
    except CalculationError as error:
        return refused(text, call), str(error)
    return f"{text[: call.end]} {result}", None


def refused(text: str, call: Call) -> str:
    """Return the text up to a call that has no result, and the word for that."""
    return f"{text[: call.end]} {FAILED}"


def behind_result(more: str) -> str:
    """Return what a model wrote behind a result, without what makes that another one.

    A model that was taught few results likes to write digits, and may do so right
    behind the last digit of one. These are left out; all else stands.
    """
    glued = LONGER.match(more)
    return more[glued.end() :] if glued else more
