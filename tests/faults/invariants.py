"""The promises that hold after any fault, asserted by reading what is on the disk.

They are read with the standard library alone, so that a fault of the package cannot
hide itself; only opening and recovering the home (I7) goes through the package.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from sleepcycle.home.opening import open_home
from sleepcycle.store import journal

READY_S = 5.0  # longest time to be ready after a fault
HELD = ("running", "paused")  # states of a run that may hold examples
ENDED_BADLY = ("failed", "cancelled")
Seen = dict[str, str]
"""Hash of every byte of a version's folder, by the folder's name."""


def assert_invariants(
    root: Path,
    *,
    seen: Seen | None = None,
    around: Mapping[str, int] | None = None,
    recover: bool = True,
) -> None:
    """Assert I1 to I7 over a home.

    Args:
        root: The home.
        seen: What versions looked like before; those that are new are added.
        around: What `surroundings` said before the fault.
        recover: Open the home and let recovery run first; not while another process
            owns it.
    """
    if recover:
        assert_ready(root)
    with closing(
        sqlite3.connect(f"{root.as_uri()}/sleepcycle.db?mode=rw", uri=True)
    ) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert_every_example_is_somewhere(db)
        assert_nothing_is_learned_twice(db)
        assert_lines_add_up(db)
        assert_aliases_hold(db, root)
        assert_every_change_is_told(db)
        if recover:
            assert_no_stray_folder(db, root)
    assert_chain_holds(root)
    if seen is not None:
        assert_bytes_stay(root, seen)
    if around is not None:
        assert surroundings(root) == around, "I6: something was written outside"


def assert_ready(root: Path) -> None:
    """I7: the home opens and is settled, in seconds and with nobody's help."""
    begun = time.monotonic()
    home = open_home(root)
    with home.versions.alone():
        pass
    seconds = time.monotonic() - begun
    assert home.status().state in {"ready", "paused"}, f"I7: {home.status().state}"
    assert seconds <= READY_S, f"I7: ready only after {seconds:.1f} s"


def assert_every_example_is_somewhere(db: sqlite3.Connection) -> None:
    """I1: no example is lost, made up, or held by a run that is over."""
    fed = dict(db.execute("SELECT id, accepted FROM batch WHERE accepted > 0"))
    kept = dict(db.execute("SELECT batch, count(*) FROM example GROUP BY batch"))
    assert kept == fed, f"I1: batches accepted {fed}, the store has {kept}"
    claimed = db.execute(
        "SELECT DISTINCT run.id, run.state FROM example JOIN run ON run.id = "
        "example.run WHERE example.state = 'claimed'"
    )
    for run, state in claimed:
        assert state in HELD, f"I1: run {run} is {state} and still holds examples"
    unlearned = db.execute(
        "SELECT id FROM example WHERE state = 'trained' AND NOT EXISTS (SELECT 1 FROM "
        "version_example AS v WHERE v.version = example.version AND v.example = id)"
    ).fetchall()
    assert unlearned == [], f"I1: trained in no version: {unlearned}"


def assert_nothing_is_learned_twice(db: sqlite3.Connection) -> None:
    """I1: on the line of live and the day, each example is learned once and done."""
    line = json.dumps(sorted(_line(db, "live") | _line(db, "day")))
    of_line = "version IN (SELECT value FROM json_each(?))"
    twice = db.execute(
        f"SELECT example FROM version_example WHERE {of_line} "
        "GROUP BY example HAVING count(*) > 1",
        (line,),
    ).fetchall()
    assert twice == [], f"I1: learned twice on the line of live: {twice}"
    again = db.execute(
        "SELECT id, state FROM example WHERE state NOT IN ('trained', 'excluded') AND "
        f"id IN (SELECT example FROM version_example WHERE {of_line})",
        (line,),
    ).fetchall()
    assert again == [], f"I1: learned by live, and to be learned again: {again}"
    learned = dict(
        db.execute("SELECT version, count(*) FROM version_example GROUP BY version")
    )
    told = dict(
        db.execute("SELECT version, sum(examples) FROM version_batch GROUP BY version")
    )
    assert told == learned, f"I1: cards say {told}, the books {learned}"


def assert_lines_add_up(db: sqlite3.Connection) -> None:
    """I2: every line that was read is accepted, duplicate or quarantined."""
    wrong = db.execute(
        "SELECT id FROM batch WHERE accepted + duplicate + quarantined != lines "
        "OR quarantined != (SELECT count(*) FROM bad_row WHERE batch = batch.id)"
    ).fetchall()
    assert wrong == [], f"I2: batches whose lines do not add up: {wrong}"


def assert_aliases_hold(db: sqlite3.Connection, root: Path) -> None:
    """I3: every alias names a version whose every byte is what was sealed."""
    named = db.execute(
        "SELECT alias.name, folder FROM alias JOIN version ON number = alias.version"
    ).fetchall()
    assert "live" in dict(named), "I3: nothing is live"
    for alias, folder in named:
        if folder is not None:
            fault = next(_faults(root / "versions" / folder), None)
            assert fault is None, f"I3: {alias} is {folder}: {fault}"


def assert_bytes_stay(root: Path, seen: Seen) -> None:
    """I4: a version that was seen before has the same bytes; a new one is whole."""
    for folder in sorted((root / "versions").iterdir()):
        if not folder.is_dir():
            continue
        if folder.name not in seen:
            assert list(_faults(folder)) == [], f"I4: {folder.name} was never whole"
        now = _hash_of(folder)
        assert seen.setdefault(folder.name, now) == now, f"I4: {folder.name} changed"


def assert_every_change_is_told(db: sqlite3.Connection) -> None:
    """I5: each batch, run, version and alias is where the journal says."""
    told = [
        (actor, action, json.loads(details))
        for actor, action, details in db.execute(
            "SELECT actor, action, details FROM journal ORDER BY id"
        )
    ]
    assert all(actor for actor, _, _ in told), "I5: a change without an actor"
    fed = {row["batch"] for _, action, row in told if action == "feed"}
    begun = {row["run"] for _, act, row in told if act.startswith("start ")}
    ended = {row["run"] for _, act, row in told if act.startswith("run ")}
    sealed = {row["version"] for _, act, row in told if act.startswith("seal ")}
    for what, known, query in (
        ("batch", fed, "SELECT id FROM batch"),
        ("run", begun, "SELECT id FROM run"),
        ("end of run", ended, f"SELECT id FROM run WHERE state IN {ENDED_BADLY}"),
        ("version", sealed, "SELECT 'v' || number FROM version WHERE number > 0"),
    ):
        missing = {value for (value,) in db.execute(query)} - known
        assert not missing, f"I5: the journal does not tell of {what} {missing}"
    aliases = {
        name: f"v{number}"
        for name, number in db.execute("SELECT name, version FROM alias")
    }
    assert {name: aliases.get(name) for name in ("live", "day")} == _replayed(told)


def assert_chain_holds(root: Path) -> None:
    """I5: no entry of the journal was changed or taken away."""
    if not hasattr(journal, "check"):
        return
    home = open_home(root)
    with home.store.read() as session:
        assert journal.check(session, home.paths) == []


def assert_no_stray_folder(db: sqlite3.Connection, root: Path) -> None:
    """After recovery the books know every version's folder, and no stage is left."""
    known = {name for (name,) in db.execute("SELECT folder FROM version")}
    found = {path.name for path in (root / "versions").iterdir() if path.is_dir()}
    assert found <= known, f"recovery left {found - known}"
    staging = root / "staging"
    assert not staging.exists() or not any(staging.iterdir())


def surroundings(root: Path) -> dict[str, int]:
    """Return what lies beside a home, with its size or its number of things."""
    return {
        path.name: len(list(path.iterdir())) if path.is_dir() else path.stat().st_size
        for path in sorted(root.parent.iterdir())
        if path != root
    }


def _replayed(told: list[tuple[str, str, dict[str, object]]]) -> dict[str, object]:
    """Return where the journal says that live and the day are."""
    at: dict[str, object] = {"live": "v0", "day": None}
    for _, action, row in told:
        if action == "seal wake" and row["accepted"]:
            at["day"] = row["version"]
        elif action == "seal sleep" and row["accepted"]:
            at = {"live": row["version"], "day": None}
        elif "live" in row and "previous" in row:  # a rollback, under any word
            at = {"live": row["live"], "day": None}
    return at


def _line(db: sqlite3.Connection, alias: str) -> set[int]:
    """Return the version of an alias and all it was made from."""
    rows = db.execute(
        "WITH RECURSIVE line(number) AS (SELECT version FROM alias WHERE name = ? "
        "UNION SELECT parent FROM version_parent JOIN line ON version = number) "
        "SELECT number FROM line",
        (alias,),
    )
    return {number for (number,) in rows}


def _faults(folder: Path) -> Iterator[str]:
    """Yield what differs between a folder, its manifest and its name."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        yield "it has no manifest"
        return
    text = manifest.read_bytes()
    if not folder.name.endswith(hashlib.sha256(text).hexdigest()[:12]):
        yield "it is not named by its manifest"
    files = json.loads(text)["files"]
    present = {path.name for path in folder.iterdir()} - {manifest.name}
    if present != set(files):
        yield f"it has {sorted(present)}, its manifest {sorted(files)}"
        return
    for name, entry in files.items():
        data = (folder / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if (len(data), digest) != (entry["size_bytes"], entry["sha256"]):
            yield f"{name} is not what was sealed"


def _hash_of(folder: Path) -> str:
    """Hash every byte of a folder, and every name."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(path.relative_to(folder).as_posix().encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
