"""Short answers as they are read: which of some options, which number, or none."""

import re
from collections.abc import Collection

MARK = re.compile(r"(?:answer|risposta|expression)\s*:", re.IGNORECASE)
NUMBER = re.compile(r"-?\d{1,18}")
CANNOT_TELL = "cannot tell"
"""The option of saying that it cannot be known; every way to say so counts."""

_DECLINED = (
    r"unknown|unclear|uncertain|undetermined|undefined|unanswerable|indeterminate",
    r"(?:can ?not|can't|cant|could not|couldn't)\b",
    r"(?:do not|don't|does not|doesn't) (?:know|exist|make sense|follow|say|apply)",
    r"(?:not|never) (?:known|given|stated|said|sure|defined)",
    r"not (?:possible|enough|necessarily|in the table|a (?:real|valid))|impossible",
    r"no(?: ?one|body) (?:knows|can|could)|(?:there is )?no (?:way|such|answer|sense)",
    r"insufficient|meaningless|nonsens\w*|senseless|depends|ambiguous|no information",
    r"non (?:lo )?(?:so|si sa|esiste|ha senso|si pu\w)|sconosciut[oaie]|impossibile",
    r"nessuno (?:lo )?(?:sa|pu\w)|dipende|indefinit[oaie]|insufficient[ei]",
)
DECLINED = re.compile(rf"\b(?:{'|'.join(_DECLINED)})")
SAME = {"yes": r"yes|yeah|true|s\u00ec", "no": r"no|not true|false"}
"""Other ways to say an option, as patterns."""


def said(answer: str) -> str:
    """Return what is said behind the last `Answer:`, or all of it, in lower case."""
    text = MARK.split(answer)[-1]
    return " ".join(text.replace("\u2019", "'").lower().split())


def picked(answer: str, options: Collection[str]) -> str | None:
    """Return the option that an answer names first; None where it names none.

    Whole words count, and of two that begin at one place the longer. `CANNOT_TELL`
    is looked for only where it is among the options.
    """
    text = said(answer)
    found = [
        (match.start(), -match.end(), option)
        for option in options
        if (match := _pattern(option).search(text))
    ]
    return min(found)[2] if found else None


def first_number(answer: str) -> int | None:
    """Return the first whole number of an answer, or None."""
    match = NUMBER.search(said(answer))
    return int(match[0]) if match else None


def declines(answer: str) -> bool:
    """Return whether an answer says that it cannot be known, in English or Italian."""
    return DECLINED.search(said(answer)) is not None


def is_confident(answer: str) -> bool:
    """Return whether an answer claims anything: it has a letter or digit in it."""
    return any(letter.isalnum() for letter in answer) and not declines(answer)


def _pattern(option: str) -> re.Pattern[str]:
    """Return what an option looks like in an answer."""
    if option == CANNOT_TELL:
        return DECLINED
    return re.compile(
        rf"(?<!\w)(?:{SAME.get(option, re.escape(option.lower()))})(?!\w)"
    )
