"""A base that is a folder of transformers: configuration, tokenizer, safetensors."""

import hashlib
import json
import re
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sleepcycle.errors import ModelError
from sleepcycle.files.sealed import sha256

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"[^/\\\0]+\.safetensors")
TOKENIZERS = ("tokenizer.json", "*.model", "vocab*", "*.tiktoken", "tekken.json")
"""Files of which a tokenizer needs one; without, some kinds are made empty."""

TEMPLATES = ("chat_template*", "tokenizer_config.json", CONFIG)
"""Files that a chat template depends on."""

IDENTITY = (
    CONFIG,
    "tokenizer*",
    "chat_template*",
    "vocab*",
    "merges.txt",
    "*.safetensors",
)
ADAPTER_CONFIG = "adapter_config.json"
ADAPTERS = (ADAPTER_CONFIG, "adapter_model.*")
"""What makes transformers put an adapter on a model, or load the model it names."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model in a folder, as transformers writes it."""

    path: Path

    def hashed(self) -> list[Path]:
        """Return the files that decide what a text becomes, by name."""
        return list(_files(self.path))

    def digest(self) -> str:
        """Return the SHA-256 over those of the files."""
        total = hashlib.sha256()
        for file in self.hashed():
            total.update(bytes.fromhex(sha256(file)))
        return total.hexdigest()

    def quantization(self) -> str:
        """Return how the weights are packed, as the configuration says; empty if not.

        Raises:
            ModelError: The configuration cannot be read.
        """
        said = self.config().get("quantization_config")
        return str(said.get("quant_method", "")) if isinstance(said, dict) else ""

    def template_marks(self) -> Iterator[bytes]:
        """Yield what changes when another chat template may stand in the folder."""
        found = {file for pattern in TEMPLATES for file in self.path.glob(pattern)}
        for file in sorted(found):
            yield file.name.encode()
            yield file.read_bytes() if file.is_file() else b""

    def check(self) -> None:
        """Refuse a folder whose tokenizer or weights are missing, or cut short.

        No weight is read, but the headers are.

        Raises:
            ModelError: A file is missing, or is not what it should be.
        """
        folder = self.path
        if not any(any(folder.glob(pattern)) for pattern in TOKENIZERS):
            raise ModelError(f"no tokenizer in {folder}")
        if not (folder / WEIGHTS).exists() and not (folder / INDEX).exists():
            raise ModelError(f"neither {WEIGHTS} nor {INDEX} in {folder}")
        self.shapes()
        if not (folder / WEIGHTS).exists():
            _expect_each_once(folder)

    def shapes(self) -> dict[str, list[int]]:
        """Return the shape of each weight by its name, from the files' headers.

        Raises:
            ModelError: A file is missing, cut short or not what it should be.
        """
        folder = self.path
        files = sorted(folder.glob("*.safetensors"))
        awaited = _awaited(folder / INDEX)
        if missing := sorted(awaited - {file.name for file in files}):
            raise ModelError(f"expected {missing[0]} in {folder}, found none")
        if not files:
            raise ModelError(
                f"expected weights as *.safetensors in {folder}, found none"
            )
        return {name: shape for file in files for name, shape in _header(file).items()}

    def config(self) -> dict[str, Any]:
        """Return the configuration; of a model of several parts, that of its text.

        Raises:
            ModelError: It is missing, or holds something else.
        """
        found = read_object(self.path / CONFIG)
        inner = found.get("text_config")
        return {**found, **inner} if isinstance(inner, dict) else found


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


def expect_all_hashed(folder: Path) -> None:
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


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file that decides what a text becomes, by name."""
    for pattern in IDENTITY:
        yield from sorted(folder.glob(pattern))
