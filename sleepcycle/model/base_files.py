"""The files of a base model: where they are, and the hash that names them.

Nothing heavy is imported, so that a model can be looked at without loading any.
"""

import hashlib
import json
import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sleepcycle.errors import ModelError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.files.sealed import sha256
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import ModelSettings

BUILTIN = "builtin:"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"[^/\\\0]+\.safetensors")
TOKENIZERS = ("tokenizer.json", "*.model", "vocab*", "*.tiktoken", "tekken.json")
"""Files of which a tokenizer needs one; without, some kinds are made empty."""

IDENTITY = (
    CONFIG,
    "tokenizer*",
    "chat_template*",
    "vocab*",
    "merges.txt",
    "*.safetensors",
)
ADAPTERS = ("adapter_config.json", "adapter_model.*")
"""What makes transformers put an adapter on a model, or load the model it names."""


def locate(settings: ModelSettings) -> Path:
    """Return the folder of a model: our own, a path, or a hub id's in the cache.

    Raises:
        ModelError: There is none on this machine, or one of which more is read than
            its hash covers.
    """
    if settings.base.startswith(BUILTIN):
        folder = PACKAGE / settings.base.removeprefix(BUILTIN)
        if not folder.is_dir():
            raise ModelError(
                f"there is no {settings.base}; the one there is: builtin:nano"
            )
        return folder
    folder = Path(settings.base).expanduser()
    if folder.is_file():
        raise not_loaded(settings.base, f"the file {folder.name}, not a folder")
    folder = folder if folder.is_dir() else _cached(settings)
    if not (folder / CONFIG).is_file():
        raise not_loaded(settings.base, f"no {CONFIG} in {folder}")
    try:
        _expect_all_hashed(folder)
    except ModelError as error:
        raise not_loaded(settings.base, str(error)) from error
    return folder


def check_files(settings: ModelSettings) -> None:
    """Refuse a base whose tokenizer or weights are missing, or cut short.

    No weight is read, but the headers are.

    Raises:
        ModelError: A file is missing, or is not what it should be.
    """
    folder = locate(settings)
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZERS):
        raise not_loaded(settings.base, f"no tokenizer in {folder}")
    if not (folder / WEIGHTS).exists() and not (folder / INDEX).exists():
        raise not_loaded(settings.base, f"neither {WEIGHTS} nor {INDEX} in {folder}")
    try:
        weight_shapes(folder)
        if not (folder / WEIGHTS).exists():
            _expect_each_once(folder)
    except ModelError as error:
        raise not_loaded(settings.base, str(error)) from error


def weight_shapes(folder: Path) -> dict[str, list[int]]:
    """Return the shape of each weight by its name, from the files' headers.

    Raises:
        ModelError: A file is missing, cut short or not what it should be.
    """
    files = sorted(folder.glob("*.safetensors"))
    if missing := sorted(_awaited(folder / INDEX) - {file.name for file in files}):
        raise ModelError(f"expected {missing[0]} in {folder}, found none")
    if not files:
        raise ModelError(f"expected weights as *.safetensors in {folder}, found none")
    return {name: shape for file in files for name, shape in _header(file).items()}


def read_object(file: Path) -> dict[str, Any]:
    """Read an object of JSON.

    Raises:
        ModelError: The file is missing, or holds something else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"expected JSON in {file}, got: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(
            f"expected an object of JSON in {file}, got {type(found).__name__}"
        )
    return found


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
    """Return the error that a model cannot be loaded, with what to do."""
    first = why.strip().split("\n")[0]
    return ModelError(
        f"expected {base} to be a causal language model with its tokenizer, in "
        f"safetensors, on this machine; got: {first}; name a folder that has one, or "
        "a hub id that is in the local cache"
    )


def _expect_all_hashed(folder: Path) -> None:
    """Refuse a folder where transformers would read weights that no hash covers."""
    if found := sorted(file.name for p in ADAPTERS for file in folder.glob(p)):
        raise ModelError(
            f"{found[0]} in {folder}, an adapter beside the weights or instead of "
            "them, which is to be merged into them or taken away"
        )
    if _names_weights(folder / CONFIG):
        raise ModelError(
            f"transformers_weights in {folder / CONFIG}, which names other weights "
            f"than {WEIGHTS} and {INDEX}"
        )
    _awaited(folder / INDEX)
    for file in _files(folder):
        if not file.is_file():
            raise ModelError(f"{file}, which is no plain file")


def _names_weights(config: Path) -> bool:
    """Return whether a configuration sends transformers to weights of another name."""
    try:
        return "transformers_weights" in read_object(config)
    except ModelError:  # transformers says what is wrong with it
        return False


def _expect_each_once(folder: Path) -> None:
    """Refuse shards that hold a weight twice: the index, unhashed, would choose one."""
    holder: dict[str, str] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name in _header(file):
            if name in holder:
                raise ModelError(
                    f"{name} in both {holder[name]} and {file.name} of {folder}, "
                    "where each weight is in one file"
                )
            holder[name] = file.name


def _awaited(index: Path) -> set[str]:
    """Return the names of the files that an index names; none where there is none.

    Raises:
        ModelError: It is no index, or names what is no `*.safetensors` beside it.
    """
    if not index.is_file():
        return set()
    names = read_object(index).get("weight_map")
    if not isinstance(names, dict):
        raise ModelError(f"expected a weight_map in {index}, got {reprlib.repr(names)}")
    for name in names.values():
        if not isinstance(name, str) or not SHARD.fullmatch(name):
            raise ModelError(
                f"expected {index} to name *.safetensors files of its own folder "
                f"alone, got {reprlib.repr(name)}"
            )
    return set(names.values())


def _header(file: Path) -> dict[str, list[int]]:
    """Return the shape of each tensor in one file of weights."""
    try:
        with safe_open(file, framework="np") as weights:
            names = weights.keys()
            shapes = {name: list(weights.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"expected {file} to be safetensors, got: {error}; it was cut "
            "short, or changed"
        ) from error
    if not shapes:
        raise ModelError(f"expected weights in {file}, found none")
    return shapes


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
