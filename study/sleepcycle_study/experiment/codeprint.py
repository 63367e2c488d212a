"""The fingerprint of the code that makes a run."""

from functools import cache
from hashlib import sha256
from pathlib import Path

import sleepcycle

OURS = Path(__file__).parents[1]
SERVICE = Path(sleepcycle.__file__).parent

ABOVE = frozenset(
    {
        *("cli", "dashboard", "server", "daemon", "doctor", "backup", "home", "runs"),
        *("worker.py", "serving", "publish", "feed", "store"),
        *("memory", "report"),
    }
)
"""Packages that decide no run: contracts keep `experiment` from all of them."""


@cache
def codeprint(packages: tuple[Path, ...] = (SERVICE, OURS)) -> str:
    """Return 16 hexadecimal digits that stand for all code that can decide a run.

    They are taken once a process, since that is how often code is loaded. A comment
    changes them too.
    """
    found = sha256()
    for place, package in enumerate(packages):
        for path in sorted(package.rglob("*.py")):
            name = path.relative_to(package)
            if name.parts[0] not in ABOVE:
                body = sha256(path.read_bytes()).hexdigest()
                found.update(f"{place} {name.as_posix()} {body}\n".encode())
    return found.hexdigest()[:16]
