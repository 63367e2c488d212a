"""The fingerprint of the code that makes a run."""

from functools import cache
from hashlib import sha256
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

ABOVE = {"cli", "serve", "daemon", "service", "cycle", "engine"}
"""Packages that may import the study, and that the study never imports."""


@cache
def codeprint(package: Path = PACKAGE) -> str:
    """Return 16 hexadecimal digits that stand for all code that can decide a run.

    They are taken once a process, since that is how often code is loaded. A comment
    changes them too.
    """
    found = sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0] not in ABOVE:
            body = sha256(path.read_bytes()).hexdigest()
            found.update(f"{name.as_posix()} {body}\n".encode())
    return found.hexdigest()[:16]
