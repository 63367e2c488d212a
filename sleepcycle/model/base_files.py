"""The files of a base model: where they are, and the hash that names them.

Nothing heavy is imported, so that a model can be looked at without loading any.
"""

import hashlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from sleepcycle.errors import ModelError
from sleepcycle.files.base_memory import recall_base, remember_base
from sleepcycle.files.paths import PACKAGE
from sleepcycle.model import ollama, smollm2
from sleepcycle.model.gguf_file import GgufFile, is_projector
from sleepcycle.model.gguf_header import is_gguf, read_header
from sleepcycle.model.model_folder import (
    ADAPTER_CONFIG,
    CONFIG,
    ModelFolder,
    expect_all_hashed,
    read_object,
)
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import ModelSettings

BUILTIN = "builtin:"
OLLAMA = "ollama:"


class BaseFiles(Protocol):
    """A base on this machine, of whichever kind, before any weight is read."""

    @property
    def path(self) -> Path:
        """Where it lies: a folder, or one file."""

    def hashed(self) -> list[Path]:
        """Return the files that decide what a text becomes."""

    def digest(self) -> str:
        """Return the SHA-256 of these."""

    def quantization(self) -> str:
        """Return how the weights are packed, such as `Q4_K_M`; empty if not."""

    def template_marks(self) -> Iterator[bytes]:
        """Yield what changes when another chat template may be there."""

    def check(self) -> None:
        """Refuse files that are missing, cut short, or hold no model."""

    def shapes(self) -> dict[str, list[int]]:
        """Return the shape of each weight by its name."""

    def config(self) -> dict[str, Any]:
        """Return what is said of the model, under the names of `config.json`."""


def locate(settings: ModelSettings) -> Path:
    """Return the folder or the GGUF file of a model, whichever way it is named.

    Raises:
        ModelError: There is none on this machine, or one of which more is read than
            its hash covers.
    """
    for prefix, find in NAMES.items():
        if settings.base.startswith(prefix):
            return find(settings.base.removeprefix(prefix))
    place = Path(settings.base).expanduser()
    if not place.exists():
        place = _cached(settings)
    try:
        place = place if place.is_file() else _in_folder(place)
        files_at(place)  # or raises
    except ModelError as error:
        raise not_loaded(settings.base, str(error)) from error
    return place


def files_at(place: Path) -> BaseFiles:
    """Return a located model as what it is: a folder of transformers, or GGUF.

    Raises:
        ModelError: It is another file.
    """
    if not place.is_file():
        return ModelFolder(place)
    if not is_gguf(place):
        raise ModelError(f"the file {place.name}, which is no GGUF")
    return GgufFile(place)


def check_files(settings: ModelSettings) -> None:
    """Refuse a base whose tokenizer or weights are missing, or cut short.

    No weight is read, but the headers are.

    Raises:
        ModelError: A file is missing, or is not what it should be.
    """
    place = locate(settings)
    try:
        files_at(place).check()
    except ModelError as error:
        raise not_loaded(settings.base, str(error)) from error


def expect_bitsandbytes(settings: ModelSettings) -> None:
    """Refuse 4 bits where the library is not here that makes them.

    Raises:
        ModelError: As said.
    """
    if settings.quantization == "nf4" and find_spec("bitsandbytes") is None:
        raise ModelError(
            'expected the package bitsandbytes for model.quantization = "nf4", found '
            "none; install it: pip install 'sleepcycle[4bit]'; or set "
            'model.quantization to "none"'
        )


def weight_shapes(place: Path) -> dict[str, list[int]]:
    """Return the shape of each weight of a located model, from its files' headers.

    Raises:
        ModelError: A file is missing, cut short or not what it should be.
    """
    return files_at(place).shapes()


def base_config(place: Path) -> dict[str, Any]:
    """Return what a located model says of itself, under the names of `config.json`.

    Raises:
        ModelError: It cannot be read.
    """
    return files_at(place).config()


def identify(settings: ModelSettings, cache: Path) -> BaseIdentity:
    """Name a model by the bytes of its configuration, tokenizer and weights.

    Hashing gigabytes takes seconds, so the hash is remembered for as long as no
    file changes its size or its time.

    Raises:
        ModelError: The model is not on this machine.
    """
    files = files_at(locate(settings))
    stamp = _stamp(files, settings)
    known = _remembered(stamp, cache)
    if known is None:
        known = {**stamp, **_named(files, settings)}
        remember_base(cache, known)
    return BaseIdentity(
        settings.base,
        settings.revision or None,
        known["sha256"],
        known["quantization"],
    )


def recall(settings: ModelSettings, cache: Path) -> str | None:
    """Return the remembered hash of a model, or None if its files are other ones now.

    Args:
        settings: Which model it is.
        cache: Where `identify` remembers.
    """
    known = _remembered(_stamp(files_at(locate(settings)), settings), cache)
    return known["sha256"] if known else None


def not_loaded(base: str, why: str) -> ModelError:
    """Return the error that a model cannot be loaded, with what to do."""
    first = why.strip().split("\n")[0].rstrip(" .")  # a sentence goes on behind it
    return ModelError(
        f"expected {base} to be a causal language model with its tokenizer, in "
        f"safetensors or GGUF, on this machine; got: {first}; name a folder or a .gguf "
        "file that has one, or a hub id that is in the local cache"
    )


def _embedded(name: str) -> Path:
    """Return where a model lies that comes with a package."""
    if name == "smollm2":
        return smollm2.find_file()
    folder = PACKAGE / name
    if not folder.is_dir():
        raise ModelError(
            f"there is no {BUILTIN}{name}; those there are: builtin:nano and "
            "builtin:smollm2"
        )
    return folder


NAMES: dict[str, Callable[[str], Path]] = {
    BUILTIN: _embedded,
    OLLAMA: ollama.find_blob,
}
"""By how a base's name begins: what finds the rest of it."""


def _in_folder(folder: Path) -> Path:
    """Return the model of a folder: the folder itself, or the one GGUF file in it."""
    if (folder / CONFIG).is_file():
        expect_all_hashed(folder)
        return folder
    if (folder / ADAPTER_CONFIG).is_file():
        raise ModelError(
            f"an adapter in {folder}, made for {_made_for(folder)}; name that base, "
            f"and take the adapter in with: sleepcycle versions import {folder}"
        )
    models = [
        file
        for file in sorted(folder.glob("*.gguf"))
        if not is_projector(read_header(file))
    ]
    if not models:
        raise ModelError(f"neither {CONFIG} nor a .gguf file in {folder}")
    if len(models) > 1:
        names = ", ".join(file.name for file in models)
        raise ModelError(f"{len(models)} models in {folder}; name one of {names}")
    return models[0]


def _made_for(folder: Path) -> str:
    """Return the base that an adapter names."""
    try:
        named = read_object(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    except ModelError:
        named = None
    return str(named or "a base that it does not name")


def _named(files: BaseFiles, settings: ModelSettings) -> dict[str, str]:
    """Return what names a base: the hash of it as it is held, and how that is."""
    digest, packed = files.digest(), files.quantization()
    held = settings.quantization
    if held != "none":
        digest = hashlib.sha256(f"{digest} {held}".encode()).hexdigest()
        packed = f"{packed}, {held}" if packed else held
    return {"sha256": digest, "quantization": packed}


def _remembered(stamp: dict[str, Any], cache: Path) -> dict[str, str] | None:
    """Return what belongs to a stamp; what is half written, or older, does not."""
    known = recall_base(cache)
    if {**known, **stamp} != known:
        return None
    return known if {"sha256", "quantization"} <= known.keys() else None


def _stamp(files: BaseFiles, settings: ModelSettings) -> dict[str, Any]:
    """Return what changes when a file does, or how the base is held."""
    hashed = files.hashed()
    stamp = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in hashed]
    folder = str(hashed[0].parent)
    return {"folder": folder, "stamp": stamp, "held_as": settings.quantization}


def _cached(settings: ModelSettings) -> Path:
    """Return where a hub id lies in the local cache; the hub itself is never asked."""
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            settings.base, revision=settings.revision or None, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise not_loaded(
            settings.base, "neither file nor folder nor cached hub id"
        ) from error
    return Path(found)
