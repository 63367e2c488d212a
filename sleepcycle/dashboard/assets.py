"""Assets of the dashboard: its style, its scripts, and libraries of others, by hash."""

import hashlib
import json
import mimetypes
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from sleepcycle.errors import ServiceError

FOLDER = "static"
VENDORED = "vendored.json"
HASH_CHARS = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """One file that pages ask for."""

    content: bytes
    media_type: str
    tag: str
    """Changes with the content."""


@cache
def assets() -> dict[str, Asset]:
    """Return all assets by their names.

    Raises:
        ServiceError: A library of others is not, byte for byte, what was taken over.
    """
    folder = files(__package__) / FOLDER
    expected = json.loads((folder / VENDORED).read_text(encoding="utf-8"))
    found = {name: _asset(folder / "vendor" / name) for name in expected}
    for name, known in expected.items():
        digest = hashlib.sha256(found[name].content).hexdigest()
        if digest != known["sha256"]:
            raise ServiceError(
                f"expected {name} of the dashboard with sha256 {known['sha256']}, got "
                f"{digest}; install the package again"
            )
    ours = {file.name: _asset(file) for file in folder.iterdir() if _is_asset(file)}
    return found | ours


def asset_url(name: str) -> str:
    """Return where a page gets an asset, by what it holds now."""
    return f"/assets/{name}?v={assets()[name].tag}"


def _is_asset(file: Traversable) -> bool:
    """Return whether a file is asked for by pages."""
    return file.is_file() and file.name != VENDORED


def _asset(file: Traversable) -> Asset:
    """Read one file."""
    content = file.read_bytes()
    guessed, _ = mimetypes.guess_type(file.name)
    tag = hashlib.sha256(content).hexdigest()[:HASH_CHARS]
    return Asset(content, guessed or "application/octet-stream", tag)
