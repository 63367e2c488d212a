"""A bug report: what others need to find a fault, and nothing that was learned."""

import gzip
import io
import json
import os
import platform
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from sleepcycle.doctor.doctor import examine
from sleepcycle.doctor.inspection import Finding
from sleepcycle.doctor.redaction import Redaction, redaction_of
from sleepcycle.errors import HomeError, SleepcycleError, StoreError
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.codec import dumps
from sleepcycle.settings.configfile import load_settings
from sleepcycle.store.connection import sqlite_version
from sleepcycle.store.reader import DatabaseReader, open_reader
from sleepcycle.store.snapshot import read_snapshot
from sleepcycle.store.values import Alias

FOLDER = "sleepcycle-bugreport"
LOG_LINES = 2_000
ROWS = 1_000  # of the runs and of the journal, the newest
SPOKEN = {"reason", "error"}  # details of the journal that are sentences of ours
HIDDEN = {"url", "path", "versions_path", "token_file", "secret_file"}
"""Keys of a publish target that tell of other machines."""

VERSION = re.compile(r"v\d+")
TABLE = re.compile(r"[a-z_]{1,40}")
RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+ ")
FRAME = re.compile(r'\W*File "(?:.*[/\\])?(.+?)", line (\d+), in ([\w<>]+)')
RAISED = re.compile(r"(?:\w+\.)*(\w+(?:Error|Exception))\b")


@dataclass(frozen=True)
class Reporter:
    """Gathers the parts of a report on one home; each may fail alone."""

    paths: HomePaths
    redaction: Redaction
    found: dict[str, Finding]
    """The doctor's findings."""

    def parts(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the text of each file; one that failed says so."""
        makers: dict[str, Callable[[], Any]] = {
            "about": _about,
            "doctor": self._doctor,
            "status": self._status,
            "settings": self._settings,
            "database": self._database,
            "runs": self._runs,
            "journal": self._journal,
        }
        for name, make in makers.items():
            part = self.redaction.record(_tried(make))
            yield f"{name}.json", dumps(part, indent=1) + "\n"
        lines = _tried(lambda: list(self._log()))
        text = "\n".join(lines) if isinstance(lines, list) else dumps(lines)
        yield "log.txt", text + "\n"

    def _doctor(self) -> list[dict[str, Any]]:
        """Return what the doctor found."""
        return [
            {"check": name, **asdict(finding)} for name, finding in self.found.items()
        ]

    def _status(self) -> dict[str, Any]:
        """Return what `status` shows, without the names that users gave."""
        snapshot = read_snapshot(self.paths)
        fields = asdict(snapshot)
        fields["state"] = snapshot.state
        fields["aliases"] = {
            name: version
            for name, version in snapshot.aliases.items()
            if name in list(Alias)
        }
        del fields["runs"]
        return fields

    def _settings(self) -> dict[str, Any]:
        """Return every setting in force, but for what an owner looks for in talk."""
        settings = load_settings(self.paths.config)
        return settings.model_dump(
            mode="json",
            exclude={
                "capture": {"patterns"},
                "publish": {"target": {"__all__": HIDDEN}},
            },
        )

    def _database(self) -> dict[str, Any]:
        """Return schema, journal mode and the number of rows in each table."""
        with self._reader() as database:
            return {
                "size_bytes": self.paths.database.stat().st_size,
                "schema": database.revision(),
                "journal_mode": database.journal_mode(),
                "rows": {
                    name: database.count_rows(name)
                    for name in database.table_names()
                    if TABLE.fullmatch(name)
                },
            }

    def _runs(self) -> list[dict[str, Any]]:
        """Return the last runs, of their reports the numbers alone."""
        with self._reader() as database:
            runs = database.last_runs(ROWS)
        return [
            {**asdict(run), "report": _numbers(json.loads(run.report or "null"))}
            for run in runs
        ]

    def _journal(self) -> list[dict[str, Any]]:
        """Return the last journal entries, without the names that users gave."""
        with self._reader() as database:
            entries = database.last_journal_entries(ROWS)
        return [
            {
                **asdict(entry),
                "actor": entry.actor.partition(":")[0],
                "details": _details(json.loads(entry.details)),
            }
            for entry in entries
        ]

    @contextmanager
    def _reader(self) -> Iterator[DatabaseReader]:
        """Open the database; SQLite's own error is raised where it cannot be read.

        It names the failure of a part more exactly than ours.
        """
        try:
            with closing(open_reader(self.paths)) as database:
                yield database
        except StoreError as error:
            raise (error.__cause__ or error) from None

    def _log(self) -> list[str]:
        """Return the last lines of the log that are its own."""
        files = list(self.paths.logs.glob("sleepcycle*.log"))
        found: list[str] = []
        for file in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True):
            lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
            found = [*filter(None, map(self._line, lines)), *found]
            if len(found) >= LOG_LINES:
                break
        return found[-LOG_LINES:]

    def _line(self, line: str) -> str | None:
        """Return what of a log line may be shown; None for nothing.

        A traceback's lines of code, and whatever a message had after its first line,
        are not known to be free of what was learned.
        """
        if line.startswith("{"):
            line = _written(line)
        if RECORD.match(line):
            return self.redaction.text(line)
        if frame := FRAME.match(line):
            return f"  {frame[1]}, line {frame[2]}, in {frame[3]}"
        if raised := RAISED.match(line):
            return raised[1]
        return None


def write_report(root: Path, file: Path, *, answers: Callable[[], bool]) -> list[str]:
    """Write a bug report on a home, however broken, to a new file.

    Args:
        root: The state directory.
        file: A `.tar.gz` that must not be there.
        answers: Asks the running service whether it answers.

    Returns:
        The names of its parts.

    Raises:
        HomeError: The file is there, or cannot be written.
    """
    paths = HomePaths(root)
    found = examine(root, answers=answers)
    redaction = redaction_of(paths, _private(paths))
    parts = dict(Reporter(paths, redaction, found).parts())
    data = _packed(parts)
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(handle, "wb") as out:
            out.write(data)
    except OSError as error:
        raise HomeError(
            f"expected to write {file}, got: {error}; name another file"
        ) from error
    return list(parts)


def default_name() -> str:
    """Return a name for a report that is made now."""
    return f"{FOLDER}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz"


def _private(paths: HomePaths) -> dict[str, str]:
    """Return where targets are, and the base's name where it is a path.

    Even a relative path is not shown.
    """
    try:
        settings = load_settings(paths.config)
    except (SleepcycleError, OSError):
        return {}
    base = settings.model.base
    places = {
        getattr(target, key): "<target>"
        for target in settings.publish.target
        for key in HIDDEN & type(target).model_fields.keys()
        if getattr(target, key)
    }
    is_path = Path(base).expanduser().exists()
    return {**places, base: "<path>"} if is_path else places


def _packed(parts: dict[str, str]) -> bytes:
    """Return an archive that names neither a user nor a file of this machine."""
    raw = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, text in parts.items():
            data = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


def _tried(make: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Return a part, or why there is none."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - a home may be broken in any way
        return {"failed": type(error).__name__}


def _about() -> dict[str, Any]:
    """Return the versions of everything below us; the machine's name is not asked."""
    packages = {
        dist.metadata["Name"]: dist.version
        for dist in distributions()
        if dist.metadata["Name"]
    }
    return {
        "made_at": datetime.now(UTC),
        "sleepcycle": packages.get("sleepcycle"),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "sqlite": ".".join(map(str, sqlite_version())),
        "processors": os.cpu_count(),
        "packages": dict(sorted(packages.items())),
    }


def _numbers(value: Any) -> Any:  # noqa: ANN401 - a report has any shape
    """Return what of a report are numbers; texts are left out."""
    if isinstance(value, dict):
        kept = {key: _numbers(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not None}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return value if isinstance(value, int | float) else None


def _details(details: dict[str, Any]) -> dict[str, Any]:
    """Return what of a journal entry's details are numbers, versions, or our words."""
    return {
        key: value
        for key, value in details.items()
        if isinstance(value, int | float)
        or (isinstance(value, str) and (key in SPOKEN or VERSION.fullmatch(value)))
    }


def _written(line: str) -> str:
    """Return a record that was logged as JSON as a line of text."""
    try:
        record = json.loads(line)["record"]
        moment = datetime.fromisoformat(record["time"]["repr"])
        level, message = record["level"]["name"], record["message"].split("\n")[0]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M:%S} {level} {message}"
