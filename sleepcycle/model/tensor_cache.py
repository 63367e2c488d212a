"""Tensors that were computed once and are remembered, each file whole or not at all."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

STAMP = "remembered"


@dataclass(frozen=True, eq=False)
class Remembered:
    """What stands in a file."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    text: str = ""


def remember(memory: Path, key: str, found: Remembered) -> None:
    """Write tensors, and a text with them.

    Args:
        memory: The file.
        key: What they hang on.
        found: What was computed.
    """
    memory.parent.mkdir(parents=True, exist_ok=True)
    partial = memory.with_suffix(f".{os.getpid()}.partial")
    stamp = json.dumps({"digest": _digest(key, found), "text": found.text})
    # one entry, since those of several come in any order
    save_file(dict(found.tensors), partial, metadata={STAMP: stamp})
    partial.replace(memory)


def recall(memory: Path, key: str) -> Remembered | None:
    """Read what is remembered; None where the file is not just what was written.

    Args:
        memory: The file.
        key: What was said when it was written.
    """
    try:
        with safe_open(memory, framework="pt") as tensors:
            stamp = json.loads((tensors.metadata() or {}).get(STAMP, "{}"))
            read = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 - not iterable
    except (OSError, ValueError, SafetensorError):
        return None
    found = Remembered(read, stamp.get("text", ""))
    return found if stamp.get("digest") == _digest(key, found) else None


def _digest(key: str, found: Remembered) -> str:
    """Hash tensors with what they hang on, so that neither can change unseen."""
    digest = hashlib.sha256(key.encode())
    digest.update(found.text.encode())
    for name, tensor in sorted(found.tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
