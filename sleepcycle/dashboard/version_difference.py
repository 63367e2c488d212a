"""In what two versions differ, by their cards: no base is loaded."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sleepcycle.dashboard.readable import NONE, clock, count
from sleepcycle.dashboard.report_view import flattened, verdict_rows
from sleepcycle.records.codec import from_plain
from sleepcycle.records.verdict import Verdict

FACTS = ("kind", "rank", "accepted", "seed", "origin", "sleepcycle")
GROUPS = {
    "What they are": "kind, rank, base and what made them",
    "What they know": "examples of each batch, with all that they come from",
    "What the gate measured": "of the version itself; see there what is good",
    "Settings": "when they were made",
}


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One thing in which two versions differ."""

    name: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class DifferenceGroup:
    """What is of one kind; no rows where two versions do not differ in it."""

    name: str
    unit: str
    rows: tuple[DifferenceRow, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """One of two versions that are compared."""

    card: str
    """As JSON."""

    learned: Mapping[int, int]
    """Examples of each batch, by its whole line."""


def difference(first: Compared, second: Compared) -> list[DifferenceGroup]:
    """Return in what two versions differ."""
    pairs = zip(_fields(first), _fields(second), strict=True)
    return [
        DifferenceGroup(name, unit, tuple(_changed(*pair)))
        for (name, unit), pair in zip(GROUPS.items(), pairs, strict=True)
    ]


def _changed(
    first: Mapping[str, str], second: Mapping[str, str]
) -> Iterator[DifferenceRow]:
    """Yield what is not the same in both."""
    for name in {**first, **second}:
        pair = first.get(name, NONE), second.get(name, NONE)
        if pair[0] != pair[1]:
            yield DifferenceRow(name, *pair)


def _fields(one: Compared) -> Iterator[dict[str, str]]:
    """Yield the fields of a version, group by group."""
    card = json.loads(one.card)
    facts = {name: card[name] for name in FACTS if card.get(name) is not None}
    parents = ", ".join(f"v{number}" for number in card["parents"])
    made = clock(datetime.fromisoformat(card["created_at"]))
    facts |= {"made from": parents or NONE, "made": made, "base": card["base"]}
    yield flattened(facts)
    yield {f"batch {batch}": count(number) for batch, number in one.learned.items()}
    yield _measured((card.get("report") or {}).get("verdict"))
    yield flattened(card.get("settings") or {})


def _measured(verdict: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what the gate measured of a version, by what it is called."""
    if verdict is None:
        return {}
    rows = verdict_rows(from_plain(verdict, Verdict), None)
    return {row.name: row.candidate for row in rows} | {"Verdict": verdict["reason"]}
