"""Sealed folders: a manifest over every file, written last, checked before use.

The manifest holds the size and SHA-256 of each file. Its own hash names the
folder, so a version's name stands for its bytes.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from sleepcycle.errors import ManifestError
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint

MANIFEST = "manifest.json"
CHUNK_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 1 << 26


def seal(stage: Path, parent: Path, prefix: str) -> Path:
    """Make a staged folder durable and move it to its final name.

    Every file is flushed to the disk before the manifest is written, the manifest
    before the rename, and the rename before this returns; a crash leaves either
    the stage or the whole sealed folder.

    Args:
        stage: Folder on the same file system as `parent`.
        parent: Where the sealed folder goes.
        prefix: Start of its name, such as `v0042`; 12 digits of the manifest's
            hash follow.

    Returns:
        The sealed folder.

    Raises:
        DiskError: The disk could not keep it.
    """
    entries = {path.name: _entry(path) for path in _files(stage)}
    for name in entries:
        disk.sync(stage / name)
    failpoint("seal.files")
    manifest = stage / MANIFEST
    disk.write(manifest, json.dumps({"files": entries}, indent=1, sort_keys=True))
    failpoint("seal.manifest")
    sealed = parent / f"{prefix}-{sha256(manifest)[:12]}"
    disk.move(stage, sealed)
    failpoint("seal.renamed")
    return sealed


def verify(folder: Path) -> None:
    """Check every byte of a sealed folder against its manifest and its name.

    Raises:
        ManifestError: A file is missing, added, changed in size or in content, or
            the manifest itself is not the one that named the folder.
    """
    for fault in faults(folder):
        raise ManifestError(
            f"{folder.name}: {fault}; roll back to a version that holds"
        )


def faults(folder: Path) -> Iterator[str]:
    """Yield what is wrong with a sealed folder, nothing where it is whole."""
    if fault := _manifest_fault(folder / MANIFEST):
        yield fault
        return
    expected = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    present = {path.name for path in _files(folder)}
    for name in sorted(present - set(expected)):
        yield f"{name} is not in the manifest"
    alike = []
    for name, entry in sorted(expected.items()):
        if fault := _outer_fault(folder / name, entry):
            yield f"{name} {fault}"
        else:
            alike.append(name)
    for name in alike:  # by now nothing is larger than what was sealed
        if _entry(folder / name) != expected[name]:
            yield f"{name} differs from what was sealed"


def _manifest_fault(manifest: Path) -> str | None:
    """Return why a manifest is not the one that was sealed, or None."""
    if not _is_plain(manifest):
        return f"expected a {MANIFEST}, found none"
    if manifest.stat().st_size > MAX_MANIFEST_BYTES:
        return f"{MANIFEST} is larger than any"
    if not manifest.parent.name.endswith(sha256(manifest)[:12]):
        return f"{MANIFEST} is not the one that named this folder"
    return None


def _outer_fault(path: Path, entry: dict[str, object]) -> str | None:
    """Return what is wrong with a file before a byte of it is read, or None."""
    if not os.path.lexists(path):
        return "is missing"
    if not _is_plain(path):
        return "differs from what was sealed: it is no plain file"
    size, sealed = path.stat().st_size, entry["size_bytes"]
    if size != sealed:
        return f"differs from what was sealed: {size} bytes, where {sealed} were"
    return None


def _is_plain(path: Path) -> bool:
    """Return whether a plain file is there, and no link to one."""
    return path.is_file() and not path.is_symlink()


def _files(folder: Path) -> list[Path]:
    """List what the manifest must cover."""
    return sorted(path for path in folder.iterdir() if path.name != MANIFEST)


def _entry(path: Path) -> dict[str, object]:
    """Describe one file as the manifest does."""
    return {"size_bytes": path.stat().st_size, "sha256": sha256(path)}


def sha256(path: Path) -> str:
    """Hash a file without holding it in memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
