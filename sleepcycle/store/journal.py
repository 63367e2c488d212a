"""Who did what: rows that are only ever added, each chained to the one before."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from sleepcycle.errors import StoreError
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.paths import HomePaths
from sleepcycle.store.reader import JournalText
from sleepcycle.store.snapshot import PHASE_OF
from sleepcycle.store.utc_time import utc_text

START = bytes(32)  # what the first entry is chained to
PUBLISH = "publish"  # the action of an entry that a target was brought to a version
GROWN = "the journal has grown"  # in the `info` of a session that appended

_MEND = (
    "put back a whole copy: sleepcycle restore; if the database is the one you want, "
    "delete {head}, and it is written anew"
)


@dataclass(frozen=True, slots=True)
class _Mark:
    """An entry that must be there."""

    entry: int
    hash: bytes


def append(session: Session, actor: str, action: str, **details: object) -> None:
    """Write down one change of state, in the transaction that makes it.

    No other writer can be between reading the last entry and adding the next, since
    a transaction that writes has the lock from its beginning.
    """
    before = _last(session) or _Mark(0, START)
    at = utc_text(datetime.now(UTC))
    entry = (before.entry + 1, at, actor, action, json.dumps(details))
    session.connection().exec_driver_sql(
        "INSERT INTO journal (id, at, actor, action, details, hash) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (*entry, link(before.hash, entry)),
    )
    session.info[GROWN] = True


def phase_of(session: Session, run: int) -> str | None:
    """Return which phase of a curriculum a run learned; None where it learned none."""
    row = session.connection().exec_driver_sql(PHASE_OF, (run,)).first()
    return None if row is None else row[0]


def last_published(session: Session, target: str) -> tuple[int, str | None]:
    """Return which version a target was brought to last, and the entry that has it.

    Both are 0 and None where it never was.
    """
    row = (
        session.connection()
        .exec_driver_sql(
            "SELECT id, json_extract(details, '$.version') FROM journal WHERE CASE "
            "WHEN action = ? AND json_valid(details) "
            "THEN json_extract(details, '$.target') END = ? ORDER BY id DESC LIMIT 1",
            (PUBLISH, target),
        )
        .first()
    )
    return (0, None) if row is None else (row[0], row[1])


def origin(session: Session) -> str:
    """Return what tells one home from others, also once it was moved or restored."""
    row = (
        session.connection()
        .exec_driver_sql("SELECT lower(hex(hash)) FROM journal ORDER BY id LIMIT 1")
        .first()
    )
    return "" if row is None else str(row[0])[:16]


def link(before: bytes, entry: Sequence[object]) -> bytes:
    """Return the hash of an entry that follows another.

    Args:
        before: The other's hash, or `START`.
        entry: Its number, time, actor, action and details, as they are kept.
    """
    written = json.dumps(list(entry), separators=(",", ":"))
    return hashlib.sha256(before + written.encode("ascii")).digest()


def entries_after(session: Session, entry: int, limit: int) -> list[JournalText]:
    """Return the first entries behind one, as they are kept, oldest first."""
    rows = session.connection().exec_driver_sql(
        "SELECT id, at, actor, action, details FROM journal WHERE id > ? "
        "ORDER BY id LIMIT ?",
        (entry, limit),
    )
    return [JournalText(*row) for row in rows]


def entries_before(session: Session, entry: int, limit: int) -> list[JournalText]:
    """Return the last entries before one, as they are kept, newest first."""
    rows = session.connection().exec_driver_sql(
        "SELECT id, at, actor, action, details FROM journal WHERE id < ? "
        "ORDER BY id DESC LIMIT ?",
        (entry, limit),
    )
    return [JournalText(*row) for row in rows]


def newest(session: Session) -> int:
    """Return the number of the last entry; 0 where there is none."""
    last = _last(session)
    return 0 if last is None else last.entry


def check(session: Session, paths: HomePaths) -> list[str]:
    """Return every fault of the chain, in words; none where the journal is whole.

    An entry that was edited, or is missing, is named by its number. Entries gone from
    the end are found by `journal.head`, which may know an older entry than the last,
    as after a crash, but never a newer one.

    Args:
        session: A new transaction: what it sees must be as new as `journal.head`.
        paths: The home.
    """
    try:
        head = _read_head(paths)
    except StoreError as error:
        return [*_chain_faults(session), str(error)]
    found = list(_chain_faults(session))
    if head is not None and not _is_there(session, head):
        found.append(_gone(session, head, paths))
    return found


def anchor(session: Session, paths: HomePaths) -> None:
    """Write the last entry down outside of the database, in `journal.head`.

    Where the entry that is there is not in the journal any more, it is left alone:
    it is all that tells of the loss.

    Args:
        session: A transaction that may write, so that no other anchors meanwhile.
        paths: The home.

    Raises:
        DiskError: The disk could not keep it.
    """
    last = _last(session)
    try:
        head = _read_head(paths)
    except StoreError:
        return
    if last is None or head == last or (head and not _is_there(session, head)):
        return
    failpoint("journal.anchor")
    text = json.dumps({"entry": last.entry, "hash": last.hash.hex()})
    disk.write(paths.journal_head, text + "\n")


def _last(session: Session) -> _Mark | None:
    """Return the newest entry."""
    row = (
        session.connection()
        .exec_driver_sql(
            "SELECT id, CAST(hash AS BLOB) FROM journal ORDER BY id DESC LIMIT 1"
        )
        .first()
    )
    return None if row is None else _Mark(*row)


def _chain_faults(session: Session) -> Iterator[str]:
    """Yield what is wrong from entry to entry.

    An entry follows the hash that is written before it or, where that was tampered
    with, the one that should be.
    """
    number, hashes = 0, {START}
    for entry, written in _entries(session):
        if entry[0] < 1:  # no entry was ever given such a number
            yield _edited(entry[0])
            continue
        if entry[0] != number + 1:
            yield _missing(number + 1, entry[0] - 1)
            hashes = set()  # what this entry follows is not known
        number = entry[0]
        due = {link(before, entry) for before in hashes}
        if hashes and written not in due:
            yield _edited(number)
        hashes = {written} if written in due or not hashes else {written, *due}


def _entries(session: Session) -> Iterator[tuple[tuple[int, *tuple[str, ...]], bytes]]:
    """Yield each entry, byte for byte as it is kept, and its hash."""
    rows = session.connection().exec_driver_sql(
        "SELECT id, CAST(at AS BLOB), CAST(actor AS BLOB), CAST(action AS BLOB), "
        "CAST(details AS BLOB), CAST(hash AS BLOB), typeof(at) || typeof(actor) || "
        "typeof(action) || typeof(details) || typeof(hash) FROM journal ORDER BY id"
    )
    for number, *parts, written, types in rows:
        texts = (part.decode("utf-8", "surrogateescape") for part in parts)
        kept = types == "texttexttexttextblob"
        yield (number, *texts), written if kept else b""


def _edited(number: int) -> str:
    """Return the fault of an entry that is not what was written."""
    return f"journal entry {number} was edited after it was written"


def _missing(first: int, last: int) -> str:
    """Return the fault of entries that are not there."""
    if first == last:
        return f"journal entry {first} is missing"
    return f"journal entries {first} to {last} are missing"


def _gone(session: Session, head: _Mark, paths: HomePaths) -> str:
    """Return the fault of a journal without the entry that `journal.head` has."""
    last = _last(session)
    ends = f"ends at entry {last.entry}" if last else "is empty"
    got = ends if last is None or last.entry < head.entry else "has another one there"
    return (
        f"expected journal entry {head.entry} as {paths.journal_head.name} knows it, "
        f"but the journal {got}: entries are gone, or an older database was put back; "
        + _MEND.format(head=paths.journal_head)
    )


def _is_there(session: Session, mark: _Mark) -> bool:
    """Return whether an entry is in the journal."""
    row = (
        session.connection()
        .exec_driver_sql(
            "SELECT CAST(hash AS BLOB) FROM journal WHERE id = ?", (mark.entry,)
        )
        .first()
    )
    return row == (mark.hash,)


def _read_head(paths: HomePaths) -> _Mark | None:
    """Return the entry that `journal.head` has, or None where there is none yet.

    Raises:
        StoreError: It is not readable.
    """
    try:
        text = paths.journal_head.read_text(encoding="utf-8")
        head = json.loads(text)
        return _Mark(int(head["entry"]), bytes.fromhex(head["hash"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"expected the number and hash of a journal entry in {paths.journal_head}, "
            f"got: {error!r}; delete it, and it is written anew"
        ) from error
