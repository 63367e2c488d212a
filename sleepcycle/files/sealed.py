"""Sealed folders: a manifest over every file, written last, checked before use.

The manifest holds the size and SHA-256 of each file. Its own hash names the
folder, so a version's name stands for its bytes.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from sleepcycle.errors import ManifestError
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint

MANIFEST = "manifest.json"
CHUNK_BYTES = 1 << 20


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
    manifest = folder / MANIFEST
    if not manifest.is_file():
        yield f"expected a {MANIFEST}, found none"
        return
    if not folder.name.endswith(sha256(manifest)[:12]):
        yield f"{MANIFEST} is not the one that named this folder"
        return
    expected = json.loads(manifest.read_text())["files"]
    present = {path.name for path in _files(folder)}
    for name in sorted(present - set(expected)):
        yield f"{name} is not in the manifest"
    for name, entry in sorted(expected.items()):
        if not (folder / name).is_file():
            yield f"{name} is missing"
        elif _entry(folder / name) != entry:
            yield f"{name} differs from what was sealed"


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
