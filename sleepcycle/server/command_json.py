"""The JSON of commands, which routes answer too, so that neither has a shape alone."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any

from sleepcycle.records.content import canonical_json

if TYPE_CHECKING:
    from sleepcycle.doctor.inspection import Finding
    from sleepcycle.home.home import Answer
    from sleepcycle.home.scoped_tokens import ScopedToken
    from sleepcycle.home.versions import VersionListing, VersionRegistry
    from sleepcycle.model.calculator import ToolUse
    from sleepcycle.records.captured import Captured
    from sleepcycle.records.example import BadRow, Dream
    from sleepcycle.records.shown import ShownExample
    from sleepcycle.store.values import Batch, ExampleState, Run, StoredExample

Json = dict[str, Any]
PREVIEW_CHARS = 60
REQUEUED = ("pending", "trained", "held_out")


def version_json(listed: "VersionListing") -> Json:
    """Return a version as `versions list` shows it."""
    version = listed.version
    return {
        "version": version.name,
        "kind": version.kind,
        "parents": names_of(version.parents),
        "rank": version.rank,
        "accepted": version.accepted,
        "tainted": listed.tainted,
        "removed_at": listed.removed_at,
        "aliases": listed.aliases,
        "created_at": version.created_at,
        "run": version.run,
    }


def names_of(numbers: Sequence[int]) -> list[str]:
    """Return the names of versions."""
    return [f"v{number}" for number in numbers]


def card_json(registry: "VersionRegistry", name: str) -> Json:
    """Return a version's card, and since when its files are gone.

    Raises:
        VersionError: There is none of that name.
    """
    gone = registry.removal(registry.get(name))
    card: Json = json.loads(registry.card(name))
    return {**card, "removed_at": gone.at if gone else None}


def verified_json(registry: "VersionRegistry", names: Sequence[str]) -> Json:
    """Check versions, and without names the journal too; return what is wrong.

    Raises:
        VersionError: A named version is unknown, or its files were removed.
    """
    found = registry.verify(names)
    journal = {} if names else {"journal": registry.verify_journal()}
    failed = [
        {"version": name, "fault": "; ".join(faults)}
        for name, faults in chain(found.items(), journal.items())
        if faults
    ]
    return {"checked": len(found), "failed": failed}


def batch_json(batch: "Batch", states: "Mapping[ExampleState, int]") -> Json:
    """Return one batch, and where its examples are now."""
    return {"batch": batch, "states": {str(s): count for s, count in states.items()}}


def excluded_json(batch: int, moved: int) -> Json:
    """Return what became of a batch that is excluded."""
    return {"batch": batch, "excluded": moved}


def requeued_json(batch: int, states: "Mapping[ExampleState, int]") -> Json:
    """Return what became of a batch that is requeued."""
    now = {str(state): count for state, count in states.items()}
    return {"batch": batch, **{state: now[state] for state in REQUEUED}}


def bad_row_json(row: "BadRow") -> Json:
    """Return a quarantined row: where, why, and how it begins."""
    return {
        "file": row.file,
        "line": row.line,
        "offset": row.offset,
        "code": row.code,
        "message": row.message,
        "preview": preview(row.raw),
        "size_bytes": row.size_bytes,
    }


def preview(raw: bytes) -> str:
    """Return the beginning of a row as text."""
    return raw[: PREVIEW_CHARS * 4].decode("utf-8", "replace")[:PREVIEW_CHARS]


def examples_json(
    stored: "Iterable[StoredExample]", shown: "Iterable[ShownExample]"
) -> list[Json]:
    """Return stored examples, each with how the model sees it."""
    pairs = zip(stored, shown, strict=True)
    return [{**asdict(one), "shown": seen} for one, seen in pairs]


def run_json(run: "Run", phase: str | None) -> Json:
    """Return a run, its phase of a curriculum, and what it reported."""
    report = json.loads(run.report) if run.report else None
    return {"run": run, "phase": phase, "report": report}


def dream_json(dream: "Dream") -> Json:
    """Return a dream: who dreamt, and what."""
    return {
        "version": dreamer(dream),
        "content": json.loads(canonical_json(dream.content)),
    }


def dreamer(dream: "Dream") -> str:
    """Return who dreamt."""
    return "live" if dream.version < 0 else f"v{dream.version}"


def answer_json(answer: "Answer") -> Json:
    """Return what a version answered, and what the tool was asked, if there was one."""
    shown: Json = {"version": answer.version, "text": answer.text}
    if answer.tool is not None:
        shown["tool"] = [_use(use) for use in answer.tool]
    return shown


def _use(use: "ToolUse") -> dict[str, str]:
    """Return a call's JSON: what was asked, and the result or why there is none."""
    said = {"result": use.result, "error": use.error}
    known = {name: value for name, value in said.items() if value is not None}
    return {"expression": use.expression, **known}


def token_json(kept: "ScopedToken") -> Json:
    """Return what is shown of a token."""
    return {
        "id": kept.id,
        "name": kept.name,
        "scopes": list(kept.scopes),
        "made_at": kept.made_at,
    }


def judged_json(kept: "Captured") -> Json:
    """Return what became of a completion that was judged."""
    return {"id": kept.id, "state": kept.state, "batch": kept.batch}


def doctor_json(found: "Mapping[str, Finding]", *, healthy: bool) -> Json:
    """Return what the doctor found."""
    checks = [{"check": name, **asdict(one)} for name, one in found.items()]
    return {"healthy": healthy, "checks": checks}
