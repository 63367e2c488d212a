"""Numbers in addresses, whatever somebody typed there."""

from sleepcycle.errors import NotFoundError
from sleepcycle.server.request_parts import LARGEST

DIGITS = 19  # of the largest


def number_of(text: str, what: str) -> int:
    """Return a number of a thing.

    Args:
        text: As the address has it.
        what: The thing, such as `a batch`.

    Raises:
        NotFoundError: It is none that a thing can have.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= DIGITS):
        raise NotFoundError(f"expected the number of {what}, got {text[:80]!r}")
    return min(int(text), LARGEST)


def before_number(text: str) -> int:
    """Return which number a page comes before; all come before the largest.

    Raises:
        NotFoundError: It is no number.
    """
    return number_of(text, "a row to go on before") if text else LARGEST
