"""A home that the doctor looks at, and short ways to break it."""

import fcntl
import json
import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sleepcycle.doctor.doctor import examine
from sleepcycle.doctor.inspection import Level, Machine
from sleepcycle.files.paths import CARD, PACKAGE
from sleepcycle.files.sealed import seal
from sleepcycle.records.codec import to_json
from sleepcycle.records.version import BaseIdentity, Version, VersionKind
from sleepcycle.runs.publish import card_of
from sleepcycle.store import journal, version_table
from sleepcycle.store.connection import sqlite_version
from sleepcycle.store.values import Alias

GOOD = Machine(
    sqlite=sqlite_version(),
    file_system="ext4",
    free_bytes=10**12,
    memory_bytes=10**12,
    zone="Europe/Rome",
    now=datetime.now(UTC) + timedelta(seconds=1),
)
NANO = PACKAGE / "nano"


def look(home, *, answers=True, **facts):
    """Examine a home on a machine with these facts."""
    machine = replace(GOOD, **facts)
    return examine(home.paths.root, answers=lambda: answers, machine=machine)


def worst(found):
    """Return the names of the checks that failed."""
    return [name for name, one in found.items() if one.level is Level.FAIL]


def set_up(home, **model):
    """Write settings of the model into the home's configuration."""
    lines = [f'{key} = "{value}"' for key, value in model.items()]
    home.paths.config.write_text("\n".join(["[model]", *lines]))


@contextmanager
def raw(home):
    """Change the database behind the back of the store."""
    with closing(sqlite3.connect(home.paths.database)) as database:
        yield database
        database.commit()


def add_version(home, number, *, live=False):
    """Seal a version with one file, and enter it."""
    stage = home.paths.staging / "made"
    stage.mkdir()
    (stage / "adapter_model.safetensors").write_bytes(bytes([number]) * 100)
    base = BaseIdentity("builtin:nano", None, "")
    version = Version(
        number=number,
        kind=VersionKind.SLEEP,
        folder=None,
        parents=(number - 1,),
        rank=1,
        accepted=True,
        created_at=datetime.now(UTC),
    )
    card = to_json(card_of(version, base))
    (stage / CARD).write_text(card)
    folder = seal(stage, home.paths.versions, f"v{number:04d}")
    with home.store.write() as session:
        sealed = replace(version, folder=folder.name)
        version_table.add(session, sealed, base, card, {})
        if live:
            version_table.point(session, Alias.LIVE, number)
            moved = {"live": f"v{number}", "previous": "v0"}
            journal.append(session, "test", "promote", **moved)
    return folder


@contextmanager
def holding(path):
    """Hold a lock file, as another process would."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def serve(home, pid, started):
    """Write down that a service runs."""
    text = json.dumps({"pid": pid, "started": started, "url": "http://127.0.0.1:1"})
    home.paths.daemon.write_text(text)


def imprint(root):
    """Return the name, time and bytes of every file in a folder."""
    return {
        path.relative_to(root): (path.stat().st_mtime_ns, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }


def remember(home, sha256):
    """Put a hash of the embedded model into the home's cache."""
    from sleepcycle.model.base_files import identify
    from sleepcycle.settings.config import ModelSettings

    identify(ModelSettings(), home.paths.cache)
    memory = home.paths.cache / "base.json"
    known = json.loads(memory.read_text())
    memory.write_text(json.dumps({**known, "sha256": sha256}))
