"""The settings of capture: what of the talk with the service may be learned."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from sleepcycle.settings.choices import Private
from sleepcycle.settings.section import Section, once


def _expression(written: str) -> str:
    """Refuse what is no regular expression, or what fits between any two letters."""
    try:
        fits_nothing = re.compile(written).match("")
    except re.error as error:
        raise ValueError(
            f"expected a regular expression of Python's re, which this is not: {error}"
        ) from error
    if fits_nothing:
        raise ValueError(
            "expected a regular expression that no empty text fits, as it would be "
            "found between any two letters"
        )
    return written


class CaptureSettings(Section):
    """Which answers of the service are kept, so that they may be learned."""

    mode: Literal["off", "ask", "all"] = "off"
    """`off` keeps nothing, `ask` what a request asks to be kept (`store: true`), `all`
    every request with its answer."""

    review: bool = True
    """Whether what is kept is learned only once it was accepted in `sleepcycle inbox`;
    with `false` a thumb up accepts it too. A correction is learned either way."""

    redact: Annotated[list[Private], AfterValidator(once)] = [
        Private.EMAIL,
        Private.PHONE,
        Private.CARD,
    ]
    """What is replaced before anything is kept: `email` addresses, `phone` numbers,
    `card` numbers. They become `[email]`, `[phone]` and `[card]`."""

    patterns: list[Annotated[str, AfterValidator(_expression)]] = []
    """More to replace, as regular expressions of Python's `re`; each find becomes
    `[redacted]`."""
