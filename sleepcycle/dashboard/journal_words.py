"""What an entry of the journal says, in words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sleepcycle.store.reader import JournalText

ACTORS = {
    "user": "You, on the service",
    "http": "Somebody, over HTTP",
    "talk": "Somebody, over HTTP",
    "inbox": "The inbox",
    "clock": "The clock",
    "daemon": "The service",
    "publisher": "The service",
    "recovery": "Recovery after a crash",
}
SENTENCES = {
    "feed": "fed batch {batch} from {source}: {accepted} new of {lines} rows",
    "exclude": "took batch {batch} out: {examples} examples are not learned any more",
    "requeue": "put batch {batch} back: {examples} examples wait to be learned",
    "start wake": "began to learn, in run {run}",
    "start sleep": "began a night, in run {run}",
    "pause wake": "paused run {run} at step {step} of {steps}: {reason}",
    "resume wake": "went on with run {run} from step {step}",
    "run failed": "ended run {run}: {error}; {released} examples wait again",
    "run cancelled": "cancelled run {run}: {released} examples wait again",
    "cancel": "asked to cancel run {run}",
    "seal wake": "sealed {version}, learned by day: {reason}",
    "seal sleep": "sealed {version}, made in a night: {reason}",
    "seal import": "took in {version} from elsewhere",
    "plan gentler sleep": "planned a gentler night, run {run}",
    "skip sleep": "skipped the night of {date}: {reason}",
    "failed night": "gave up the night of {date}: {reason}",
    "skipped night": "skipped the night of {date}: {reason}",
    "promote": "made {live} live, before it was {previous}",
    "rollback": "rolled back to {live} from {previous}",
    "alias": "let {alias} point at {version}",
    "drop alias": "forgot the alias {alias}",
    "remove versions": "removed the files of {versions}",
    "leave out": "left {version} out of a backup: {reason}",
    "restore": "restored a backup",
    "publish": "brought {target} to {version}",
    "pause": "paused what begins by itself",
    "resume": "let things begin by themselves again",
    "accept completion": "accepted conversation {id}",
    "reject completion": "rejected conversation {id}",
    "reopen completion": "let conversation {id} wait again",
    "correct completion": "corrected the answer of conversation {id}",
    "delete completion": "deleted conversation {id}",
    "ask for a job": "asked for batch {batch} to be taught, as job {id}",
    "end a job": "ended job {id}: {state}",
}
LINKS = {"batch": "/data/batches/{}", "run": "/runs/{}", "version": "/versions/{}"}
"""Where the first of these that an entry has is looked at."""

LONGEST = 400  # characters of one detail


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One entry, for a person."""

    id: int
    at: datetime | None
    """None where what is written is no time."""

    who: str
    what: str
    address: str
    """Of what it is about; empty where that has no page."""

    details: tuple[tuple[str, str], ...]
    """All that it holds."""


def line_of(entry: JournalText) -> JournalLine:
    """Return an entry in words; one of an action that has none by its name."""
    try:
        read = json.loads(entry.details)
    except ValueError:
        read = {"details": entry.details}
    details: Mapping[str, Any] = read if isinstance(read, dict) else {"details": read}
    said = {key: _text(value) for key, value in details.items()}
    sentence = SENTENCES.get(entry.action, entry.action)
    return JournalLine(
        id=entry.id,
        at=_moment(entry.at),
        who=_who(entry.actor),
        what=_filled(sentence, said),
        address=_address(details),
        details=tuple(said.items()),
    )


class _Known(dict[str, str]):
    """Details, with a sign for what an entry does not have."""

    def __missing__(self, key: str) -> str:
        """Return the sign."""
        return "?"


def _filled(sentence: str, said: Mapping[str, str]) -> str:
    """Return a sentence of ours with details; they are never a pattern themselves."""
    return sentence.format_map(_Known(said)) if sentence in _OURS else sentence


_OURS = frozenset(SENTENCES.values())


def _moment(written: str) -> datetime | None:
    """Return a time that is written, whatever somebody made of it."""
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def _who(actor: str) -> str:
    """Return who acts."""
    kind, _, name = actor.partition(":")
    if kind == "user" and name:
        return f"{name}, by a command"
    return ACTORS.get(actor, actor)


def _text(value: object) -> str:
    """Return a detail as text."""
    if isinstance(value, list):
        return ", ".join(map(str, value))[:LONGEST]
    return ("—" if value is None else str(value))[:LONGEST]


def _address(details: Mapping[str, Any]) -> str:
    """Return where what an entry is about is looked at."""
    for key, address in LINKS.items():
        value = details.get(key)
        if isinstance(value, int | str) and str(value).isalnum():
            return address.format(value)
    return ""
