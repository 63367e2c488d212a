"""Make a home of some years without learning anything: rows in bulk, by its tables."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from sleepcycle.files.paths import HomePaths
from sleepcycle.home.opening import create_home
from sleepcycle.records.codec import to_json
from sleepcycle.records.reports import LayerReport, SleepReport, WakeReport
from sleepcycle.records.verdict import BatchScore, Exact, Kept, Loss, Verdict
from sleepcycle.records.version import BaseIdentity, Card, VersionKind
from sleepcycle.settings.config import Settings
from sleepcycle.store.journal import START, link
from sleepcycle.store.utc_time import utc_text

BASE = BaseIdentity("builtin:nano", None, "0" * 64)
DAYS = 1_095
END = datetime(2026, 11, 30, 6, tzinfo=UTC)
LAYERS = 196  # as many as Qwen2.5-1.5B has
RANK = 16
MEASURED = 60  # batches that a night's verdict has
REJECTED = 12  # each such night is
EXCLUDED = 40  # each such batch is taken out
PENDING = 20  # newest batches that wait
TEXT = 3 * "In which year was the harbour of town {0} built? "


@dataclass(frozen=True, slots=True)
class HomeSize:
    """How much a home has of everything."""

    versions: int = 1_000
    runs: int = 1_500
    batches: int = 1_500
    examples: int = 1_000_000
    quarantined: int = 20_000
    conversations: int = 10_000
    journal: int = 20_000


@dataclass(frozen=True, slots=True)
class MadeVersion:
    """A version that is to be written."""

    number: int
    kind: VersionKind
    parents: tuple[int, ...]
    accepted: bool
    run: int
    batches: tuple[int, ...]
    """That it learned itself."""


def make_home(root: Path, size: HomeSize) -> HomePaths:
    """Make a home of three years, whose versions have no files."""
    create_home(root)
    paths = HomePaths(root)
    made = list(_history(size))
    with closing(sqlite3.connect(paths.database)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-262144")
        _batches(connection, size)
        _runs(connection, size, made)
        _versions(connection, size, made)
        _examples(connection, size, made)
        _bad_rows(connection, size)
        _conversations(connection, size, made)
        _journal(connection, size)
    return paths


def _history(size: HomeSize) -> Iterator[MadeVersion]:
    """Yield versions: a wake or two a day, and the night that folds them."""
    waiting: list[int] = []
    live = day = nights = learned = 0
    to_learn = max(1, size.batches - PENDING)
    for number in range(1, size.versions):
        run = number * size.runs // size.versions + 1
        upto = to_learn * (number + 1) // size.versions
        waiting += range(learned + 1, upto + 1)
        learned = max(learned, upto)
        if day and (number % 5 != 2):  # a second wake, on some days
            accepted = nights % REJECTED != REJECTED - 1
            parents = (live, day)
            yield MadeVersion(number, VersionKind.SLEEP, parents, accepted, run, ())
            live, day, nights = number if accepted else live, 0, nights + 1
        else:
            new = tuple(waiting)
            yield MadeVersion(number, VersionKind.WAKE, (day or live,), True, run, new)
            day, waiting = number, []


def _at(share: float) -> datetime:
    """Return a time of the three years, by the share of them that has passed."""
    return END - timedelta(days=DAYS * (1 - share))


def _fill(
    connection: sqlite3.Connection,
    table: str,
    columns: str,
    rows: Iterable[tuple[Any, ...]],
) -> None:
    """Add rows to a table."""
    marks = ", ".join("?" * (columns.count(",") + 1))
    connection.executemany(
        f"INSERT INTO {table} ({columns}) VALUES ({marks})",
        rows,
    )


def _per_batch(size: HomeSize) -> int:
    """Return how many examples each batch has."""
    return max(1, size.examples // size.batches)


def _is_held_out(place: int) -> bool:
    """Return whether an example of a batch is held out, by its place there."""
    return place % 20 == 0


def _batches(connection: sqlite3.Connection, size: HomeSize) -> None:
    """Write what each feed brought."""
    each, bad = _per_batch(size), size.quarantined // size.batches
    held = sum(map(_is_held_out, range(each)))
    _fill(
        connection,
        "batch",
        "id, source, format, created_at, held_out_share, lines, accepted, duplicate, "
        "quarantined, held_out",
        (
            (n, f"notes of week {n}.jsonl", "prompt", utc_text(_at(n / size.batches)),
             0.05, each + bad, each, 0, bad, held)
            for n in range(1, size.batches + 1)
        ),
    )  # fmt: skip


def _runs(
    connection: sqlite3.Connection, size: HomeSize, made: list[MadeVersion]
) -> None:
    """Write runs with their whole reports; those that made nothing were cancelled."""
    of_run = {one.run: one for one in made}

    def rows() -> Iterator[tuple[object, ...]]:
        for run in range(1, size.runs + 1):
            one, at = of_run.get(run), _at(run / (size.runs + 1))
            times = utc_text(at), utc_text(at + timedelta(minutes=20))
            if one is None:
                yield (run, "wake", "cancelled", *times, 1, "boot 1", None, "cancelled")
            else:
                report = to_json(_report(one))
                yield (run, one.kind, "done", *times, 1, "boot 1", report, None)

    columns = "id, kind, state, started_at, ended_at, pid, pid_started, report, error"
    _fill(connection, "run", columns, rows())


def _versions(
    connection: sqlite3.Connection, size: HomeSize, made: list[MadeVersion]
) -> None:
    """Write versions with their cards, names, and which have no files any more."""
    each = sum(not _is_held_out(place) for place in range(_per_batch(size)))
    settings = Settings().model_dump(mode="json")

    def rows() -> Iterator[tuple[object, ...]]:
        for one in made:
            at = _at(one.run / (size.runs + 1))
            card = Card(
                one.number, one.kind, one.parents, one.accepted, RANK, at, BASE,
                dict.fromkeys(one.batches, each), "0.2.0", (), one.run, 43, settings,
                _report(one),
            )  # fmt: skip
            yield (
                one.number, one.kind, f"v{one.number:04}", RANK, one.accepted,
                utc_text(at), one.run, BASE.id, BASE.revision, BASE.sha256,
                to_json(card),
            )  # fmt: skip

    columns = (
        "number, kind, folder, rank, accepted, created_at, run, base_id, "
        "base_revision, base_sha256, card"
    )
    _fill(connection, "version", columns, rows())
    pairs = [(one.number, p, i) for one in made for i, p in enumerate(one.parents)]
    _fill(connection, "version_parent", "version, parent, position", pairs)
    learned = [(one.number, batch, each) for one in made for batch in one.batches]
    _fill(connection, "version_batch", "version, batch, examples", learned)
    nights = [one.number for one in made if one.kind is VersionKind.SLEEP]
    live = [one.number for one in made if one.parents and one.accepted]
    live = [number for number in nights if number in set(live)]
    connection.execute("UPDATE alias SET version = ? WHERE name = 'live'", live[-1:])
    _fill(connection, "alias", "name, version", [("previous", live[-2])])
    if made[-1].kind is VersionKind.WAKE:
        _fill(connection, "alias", "name, version", [("day", made[-1].number)])
    gone = [
        (one.number, utc_text(END), "more than keep.versions")
        for one in made[: size.versions // 2]
        if one.number not in live[-2:] and one.number % 3
    ]
    _fill(connection, "removed", "version, at, reason", gone)


def _examples(
    connection: sqlite3.Connection, size: HomeSize, made: list[MadeVersion]
) -> None:
    """Write examples in the states they come to, and which version learned them."""
    owner = {batch: one.number for one in made for batch in one.batches}
    each = _per_batch(size)

    def rows() -> Iterator[tuple[object, ...]]:
        for number in range(size.batches * each):
            batch, place = number // each + 1, number % each
            state, version = "pending", owner.get(batch)
            if _is_held_out(place):
                state, version = "held_out", None
            elif version is not None:
                state = "excluded" if batch % EXCLUDED == 0 else "trained"
            said = {"prompt": TEXT.format(number), "completion": f"In {number}."}
            content = json.dumps(said)
            digest = sha256(content.encode()).digest()
            yield number + 1, batch, digest, content, state, version, place + 1

    columns = "id, batch, hash, content, state, version, line"
    _fill(connection, "example", columns, rows())
    connection.execute(
        "INSERT INTO version_example (version, example) SELECT version, id FROM "
        "example WHERE version IS NOT NULL ORDER BY version, id"
    )


def _bad_rows(connection: sqlite3.Connection, size: HomeSize) -> None:
    """Write rows that could not become examples."""
    each = size.quarantined // size.batches
    raw = b'{"prompt": "What is the capital of" ' * 12
    _fill(
        connection,
        "bad_row",
        "batch, file, line, offset, code, message, raw, size_bytes",
        (
            (batch, f"notes of week {batch}.jsonl", line, line * 400, "E_JSON",
             "expected a comma, got the end of the line", raw, len(raw))
            for batch in range(1, size.batches + 1)
            for line in range(each)
        ),
    )  # fmt: skip


def _conversations(
    connection: sqlite3.Connection, size: HomeSize, made: list[MadeVersion]
) -> None:
    """Write kept completions, three in four of which were judged."""
    messages = json.dumps([{"role": "user", "content": TEXT.format(1)}] * 3)
    answer = json.dumps({"role": "assistant", "content": TEXT.format(2)})

    def rows() -> Iterator[tuple[object, ...]]:
        for number in range(1, size.conversations + 1):
            state = ("waiting", "accepted", "rejected", "rejected")[number % 4]
            example = number if state == "accepted" else None
            at = utc_text(_at(number / size.conversations))
            name = f"chatcmpl-{number:032x}"
            yield (name, at, made[-1].number, "live", messages, "[]", answer, "{}",
                   state, example)  # fmt: skip

    columns = (
        "id, created_at, version, model, messages, tools, answer, metadata, state, "
        "example"
    )
    _fill(connection, "captured", columns, rows())


def _journal(connection: sqlite3.Connection, size: HomeSize) -> None:
    """Write who did what, each entry chained to the one before."""

    def rows() -> Iterator[tuple[object, ...]]:
        before = START
        for number in range(1, size.journal + 1):
            details = json.dumps({"run": number % size.runs + 1})
            at = utc_text(_at(number / size.journal))
            entry = number, at, "user:owner", "start wake", details
            before = link(before, entry)
            yield *entry, before

    _fill(connection, "journal", "id, at, actor, action, details, hash", rows())


def _report(one: MadeVersion) -> WakeReport | SleepReport:
    """Return what a version's run reported."""
    verdict = _verdict(one)
    if one.kind is VersionKind.SLEEP:
        return SleepReport(600.0, RANK, 0.97, verdict, LAYER_REPORTS)
    return WakeReport(
        600, 0, 200, 150, 32_000, 90.5, 353.6, 3.81, 0.12, 140, False, verdict,
        tuple((step, 1.5 - step / 200) for step in range(0, 150, 10)), RANK, RANK,
    )  # fmt: skip


def _verdict(one: MadeVersion) -> Verdict:
    """Return what the gate measured of a version."""
    loss = Loss(1.52 + one.number % 7 / 10, 0.84, 40, 900, -0.61)
    exact = Exact(0.5, 0.9 - one.number % 9 / 20, 40)
    found = Verdict(one.accepted, "held-out loss fell", None, loss, True)
    if one.kind is not VersionKind.SLEEP:
        return found
    first = max(1, one.number - MEASURED)
    scores = tuple(
        BatchScore(batch, True, loss, exact) for batch in range(first, one.number)
    )
    kept = Kept(0.97, 0.96 - one.number % 5 / 100, 200)
    return replace(
        found,
        retention=loss,
        exact_known=exact,
        batches=scores,
        agreement=kept,
        anchors=kept,
    )


LAYER_REPORTS = tuple(
    LayerReport(
        f"model.layers.{place // 7}.mlp.projection_{place % 7}",
        (1536, 1536),
        2 * RANK,
        RANK,
        0.97123456789,
        3.14159265,
        tuple(1.2345678901 / (1 + at + place / 100) for at in range(2 * RANK)),
    )
    for place in range(LAYERS)
)
"""What a fold did to each layer; of all nights alike."""
