"""Pages of long lists: which one is asked for, and which come before and after."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sleepcycle.errors import NotFoundError
from sleepcycle.server.request_parts import LARGEST

NUMBER = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of a list that is known whole."""

    rows: Sequence[Any]
    number: int
    """From 1."""

    pages: int
    total: int
    """Rows of all pages."""


def leaf_of(rows: Sequence[Any], number: str, size: int) -> Leaf:
    """Return one page of a list; the nearest where it has fewer.

    Args:
        rows: The whole list.
        number: Which, from 1, as an address has it; empty for the first.
        size: Rows of a page.

    Raises:
        NotFoundError: It is not a number.
    """
    pages = max(1, -(-len(rows) // size))
    wanted = min(max(1, number_or_none(number, "a page") or 1), pages)
    shown = rows[(wanted - 1) * size : wanted * size]
    return Leaf(shown, wanted, pages, len(rows))


def number_of(text: str, what: str) -> int:
    """Return a number that an address names.

    Args:
        text: As the address has it.
        what: What has the number, such as `a batch`.

    Raises:
        NotFoundError: It is none that a thing can have.
    """
    if not NUMBER.fullmatch(text):
        raise NotFoundError(f"expected the number of {what}, got {text[:80]!r}")
    return min(int(text), LARGEST)


def number_or_none(text: str, what: str) -> int | None:
    """Return the number that an address names; None where it is empty.

    Raises:
        NotFoundError: It is something else.
    """
    return number_of(text, what) if text else None


def before_number(text: str) -> int:
    """Return which number a page comes before; all come before the largest.

    Raises:
        NotFoundError: It is no number.
    """
    return number_of(text, "a row to go on before") if text else LARGEST
