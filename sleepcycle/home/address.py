"""How the running service is reached: its process and its URL, as a file."""

import json
import os
import time
from dataclasses import dataclass

from sleepcycle.errors import ServiceError
from sleepcycle.files import disk, process_identity
from sleepcycle.files.paths import HomePaths

PATIENCE_S = 5.0  # for a service that was started at the same moment as we
POLL_S = 0.05
TORN = (ValueError, LookupError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Address:
    """The process and the URL of a service, as it wrote them."""

    pid: int
    started: str
    """What tells its process from a later one with the same number."""

    url: str

    def is_alive(self) -> bool:
        """Return whether the process that wrote it is still there."""
        return process_identity.started(self.pid) == self.started


def read_address(paths: HomePaths) -> Address | None:
    """Return the address that was written last for a home, of a service alive or not.

    Returns:
        None where nobody says that it is there.

    Raises:
        ServiceError: It is torn, or of a version that wrote it otherwise.
    """
    try:
        said = json.loads(paths.daemon.read_text(encoding="utf-8"))
        return Address(int(said["pid"]), str(said["started"]), str(said["url"]))
    except FileNotFoundError:
        return None
    except (OSError, *TORN) as error:
        raise ServiceError(
            f"expected {paths.daemon.name} in {paths.root} to say how the service is "
            f"reached, got: {error!r}; start it again"
        ) from error


def find_service(paths: HomePaths) -> Address | None:
    """Return the address of a service that is alive; None where none says so."""
    try:
        said = read_address(paths)
    except ServiceError:
        return None
    return said if said is not None and said.is_alive() else None


def write_address(paths: HomePaths, port: int, url: str) -> None:
    """Write where this process is reached.

    Raises:
        DiskError: It could not be kept.
    """
    pid = os.getpid()
    fields = {
        "pid": pid,
        "started": process_identity.started(pid),
        "port": port,
        "url": url,
    }
    disk.write(paths.daemon, json.dumps(fields))


def forget_address(paths: HomePaths) -> None:
    """Remove what says that this process can be reached.

    Raises:
        DiskError: That could not be kept.
    """
    disk.remove(paths.daemon)


def pid_of(paths: HomePaths, patience_s: float = PATIENCE_S) -> int | None:
    """Return the process that serves a home; None where no service says so in time."""
    deadline = time.monotonic() + patience_s
    while True:
        found = find_service(paths)
        if found is not None or time.monotonic() > deadline:
            return None if found is None else found.pid
        time.sleep(POLL_S)
