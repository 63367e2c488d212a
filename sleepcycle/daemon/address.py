"""How the running service is reached: its address and its token, as files."""

import json
import os
import secrets
import time

from sleepcycle import disk
from sleepcycle.paths import HomePaths
from sleepcycle.store import owner

TOKEN_BYTES = 32
PATIENCE_S = 5.0  # for a service that was started at the same moment as we
POLL_S = 0.05


def token_of(paths: HomePaths) -> str:
    """Return the home's token; it is made where there is none.

    Raises:
        DiskError: It could not be kept.
    """
    if not paths.token.exists():
        disk.write(paths.token, secrets.token_urlsafe(TOKEN_BYTES))
    paths.token.chmod(0o600)
    return paths.token.read_text(encoding="ascii").strip()


def write_address(paths: HomePaths, port: int, url: str) -> None:
    """Say where this process is reached.

    Raises:
        DiskError: It could not be kept.
    """
    pid = os.getpid()
    fields = {"pid": pid, "started": owner.started(pid), "port": port, "url": url}
    disk.write(paths.daemon, json.dumps(fields))


def forget_address(paths: HomePaths) -> None:
    """Say that this process is reached no more.

    Raises:
        DiskError: That could not be kept.
    """
    disk.remove(paths.daemon)


def pid_of(paths: HomePaths, patience_s: float = PATIENCE_S) -> int | None:
    """Return the process that serves a home; None where no service says so in time."""
    deadline = time.monotonic() + patience_s
    while True:
        pid = _live(paths)
        if pid is not None or time.monotonic() > deadline:
            return pid
        time.sleep(POLL_S)


def _live(paths: HomePaths) -> int | None:
    """Return the process that the address names, if it is still that process."""
    try:
        fields = json.loads(paths.daemon.read_text(encoding="utf-8"))
        pid, started = int(fields["pid"]), str(fields["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none yet, or of a version that wrote it otherwise
    return pid if owner.started(pid) == started else None
