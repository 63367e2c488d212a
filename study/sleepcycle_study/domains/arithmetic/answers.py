"""What an answer of arithmetic does: where it ends, what it decides, what it leaves."""

import re
from collections.abc import Iterator
from fractions import Fraction

from sleepcycle.model.calculator import call_in
from sleepcycle_study.numbers.numbers import leading_number, read_number

NEXT = re.compile(
    r"^[ \t]*(?:calculate|estimate|analyze|solve|calcola|stima|analizza|risolvi)"
    r":.*[0-9] *[-+*] *[0-9]",
    re.IGNORECASE | re.MULTILINE,
)
DECISION = re.compile(
    r"\b(?:decision|routing|decisione|scelta|instradamento)\**[ \t]*"
    r"(?:[:=]|[-\u2013\u2014](?=[ \t]))[\s*]*([^\n.;]*)",
    re.IGNORECASE,
)
TOOL = re.compile(
    r"\b(?:deleg(?:a|o|ate[sd]?|ating|ation|are|ato)|tools?|calculator|calcolatrice"
    r"|calcolatore|strument[oi])\b",
    re.IGNORECASE,
)
INSIDE = re.compile(
    r"\b(?:intern(?:al|ally|o|a|amente)|comput(?:e|ed|ing)|direct(?:ly)?|diretto|myself"
    r"|da solo)\b",
    re.IGNORECASE,
)
NOT = re.compile(
    r"\b(?:no|not|non|never|without|senza|don't|needn't|nessun[oa]?)\b[^,:]*$",
    re.IGNORECASE,
)
UNNEEDED = re.compile(r"\W*(?:is |are )?(?:not|non|unnecessary|no)\b", re.IGNORECASE)
RESULT = re.compile(
    r"=|\b(?:answer|result|compute|computed|risposta|risultato|calcolo)\b"
    r"[ \t]*(?:is\b|\u00e8|:)",
    re.IGNORECASE,
)


def own_part(text: str) -> str:
    """Return an answer without the next question, where a model has made one up."""
    first = text.find(
        "\n", len(text) - len(text.lstrip())
    )  # an echo of ours is its own
    following = NEXT.search(text, first) if first >= 0 else None
    return text[: following.start()] if following else text


def decides(text: str) -> bool:
    """Return whether an answer says who is to work it out, or calls the tool."""
    own = own_part(text)
    return DECISION.search(own) is not None or call_in(own) is not None


def delegates(text: str) -> bool:
    """Return whether an answer leaves the question to the tool.

    It does where it calls the tool, or where its first line of decision, routing or
    choice says so before it says anything else: `Complexity: complex` is no decision,
    and `COMPUTE (no tool needed)` is the other one.
    """
    own = own_part(text)
    if call_in(own) is not None:
        return True
    decision = DECISION.search(own)
    return decision is not None and _is_for_tool(decision[1])


def calls(text: str) -> bool:
    """Return whether an answer calls the tool."""
    return call_in(own_part(text)) is not None


def final_number(text: str) -> Fraction | None:
    """Return the number that a user is left with.

    That is the last one that stands behind a `=`, as the tool's result does, or behind
    "Answer:", "Result:" or "Compute:"; where there is none, what the answer means.
    """
    own = own_part(text)
    results = list(_results(own))
    return results[-1] if results else read_number(own)


def _results(text: str) -> Iterator[Fraction]:
    """Yield the numbers that stand as results, in their order."""
    for match in RESULT.finditer(text):
        value = leading_number(text[match.end() :])
        if value is not None:
            yield value


def _is_for_tool(decision: str) -> bool:
    """Return whether a decision is for the tool, and not against it."""
    tool, inside = TOOL.search(decision), INSIDE.search(decision)
    if not tool or (inside and inside.start() < tool.start()):
        return False
    against = NOT.search(decision[: tool.start()])
    return not against and not UNNEEDED.match(decision, tool.end())
