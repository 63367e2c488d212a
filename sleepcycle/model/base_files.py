"""The files of a base model: where they are, and the hash that names them.

Nothing heavy is imported, so that a model can be looked at without loading any.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sleepcycle.errors import ModelError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.files.sealed import sha256
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import ModelSettings

BUILTIN = "builtin:"
IDENTITY = (
    "config.json",
    "tokenizer*",
    "chat_template*",
    "vocab*",
    "merges.txt",
    "*.safetensors",
)


def locate(settings: ModelSettings) -> Path:
    """Return the folder of a model: our own, a path, or a hub id's in the cache.

    Raises:
        ModelError: There is none on this machine.
    """
    if settings.base.startswith(BUILTIN):
        folder = PACKAGE / settings.base.removeprefix(BUILTIN)
        if not folder.is_dir():
            raise ModelError(
                f"there is no {settings.base}; the one there is: builtin:nano"
            )
        return folder
    folder = Path(settings.base).expanduser()
    folder = folder if folder.is_dir() else _cached(settings)
    if not (folder / "config.json").is_file():
        raise not_loaded(settings.base, f"no config.json in {folder}")
    return folder


def identify(settings: ModelSettings, cache: Path) -> BaseIdentity:
    """Name a model by the bytes of its configuration, tokenizer and weights.

    Hashing gigabytes takes seconds, so the hash is remembered for as long as no
    file changes its size or its time.

    Raises:
        ModelError: The model is not on this machine.
    """
    files = list(_files(locate(settings)))
    digest = _remembered(files, cache)
    if digest is None:
        total = hashlib.sha256()
        for file in files:
            total.update(bytes.fromhex(sha256(file)))
        digest = total.hexdigest()
        known = {**_stamp(files), "sha256": digest}
        cache.mkdir(parents=True, exist_ok=True)
        _memory(cache).write_text(json.dumps(known))
    return BaseIdentity(settings.base, settings.revision or None, digest)


def recall(folder: Path, cache: Path) -> str | None:
    """Return the remembered hash of a model, or None if its files are other ones now.

    Args:
        folder: Where the model is.
        cache: Where `identify` remembers.
    """
    return _remembered(list(_files(folder)), cache)


def not_loaded(base: str, why: str) -> ModelError:
    """Say that a model could not be loaded, and what to do."""
    first = why.strip().split("\n")[0]
    return ModelError(
        f"expected {base} to be a causal language model with its tokenizer, in "
        f"safetensors, on this machine; got: {first}; name a folder that has one, or "
        "a hub id that is in the local cache"
    )


def _remembered(files: list[Path], cache: Path) -> str | None:
    """Return the hash that belongs to these files; one that is half written is not."""
    try:
        known: dict[str, Any] = json.loads(_memory(cache).read_text())
    except (OSError, ValueError):
        return None
    stamp = _stamp(files)
    return known.get("sha256") if {**known, **stamp} == known else None


def _stamp(files: list[Path]) -> dict[str, Any]:
    """Return what changes when a file does."""
    stamp = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files]
    return {"folder": str(files[0].parent), "stamp": stamp}


def _memory(cache: Path) -> Path:
    """Return where hashes are remembered."""
    return cache / "base.json"


def _cached(settings: ModelSettings) -> Path:
    """Return where a hub id lies in the local cache; the hub itself is never asked."""
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            settings.base, revision=settings.revision or None, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise not_loaded(settings.base, "neither folder nor cached hub id") from error
    return Path(found)


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file that decides what a text becomes, by name."""
    for pattern in IDENTITY:
        yield from sorted(folder.glob(pattern))
