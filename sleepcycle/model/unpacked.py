"""Weights of a GGUF file, unpacked once and kept as safetensors in a home's cache."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer
from transformers import __version__ as release

from sleepcycle.errors import ModelError
from sleepcycle.model.loading import LOCAL, load_tokenizer, load_weights

FOLDER = "unpacked"
STAMP = "unpacked.json"
MOST_BYTES = 4_000_000_000  # above it a copy costs more disk than its seconds are worth
SPARE = 2  # times what is written has to be free


def unpack(
    place: Path, sha256: str, dtype: torch.dtype, cache: Path, *, wanted: bool = False
) -> Path:
    """Return the folder of an unpacked copy of a GGUF file, made if there is none.

    A small model is read from it in a tenth of a second, and from GGUF in many. Where
    no copy is worth its disk, or none that reads the same can be made, the file itself
    is returned.

    Args:
        place: The GGUF file; a folder is returned as it is.
        sha256: Of the file, which the copy belongs to.
        dtype: What weights are held in.
        cache: Folder for what can be computed again; one copy is kept in it.
        wanted: Whether only a copy will do, however large; 4 bits are made from one.

    Raises:
        ModelError: A copy is wanted, and cannot be made.
    """
    if not place.is_file():
        return place
    folder = cache / FOLDER
    stamp = {"sha256": sha256, "dtype": str(dtype), "transformers": release}
    if _is_whole(folder, stamp):
        return folder
    partial = cache / f"{FOLDER}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        made = _write(place, dtype, partial, None if wanted else MOST_BYTES)
    except OSError:  # the disk is full: the file itself will do
        made = False
    if not made:
        shutil.rmtree(partial, ignore_errors=True)
        if wanted:
            raise ModelError(
                f"GGUF, of which no unpacked copy can be made in {cache}, as 4 bits "
                "want one; free some disk, or name the model's safetensors"
            )
        return place
    (partial / STAMP).write_text(json.dumps({**stamp, "files": _sizes(partial)}))
    partial.rename(folder)
    return folder


def _write(place: Path, dtype: torch.dtype, folder: Path, most: int | None) -> bool:
    """Write the copy; return whether it is there and reads as the file does."""
    model = load_weights(place, dtype)
    size = sum(weight.nbytes for weight in model.parameters())
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if (most is not None and size > most) or free < SPARE * size:
        return False
    tokenizer = load_tokenizer(place)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return _reads_the_same(tokenizer, model.config, folder)


def _reads_the_same(tokenizer: Any, config: Any, folder: Path) -> bool:  # noqa: ANN401
    """Return whether a copy's tokenizer and configuration are what was written."""
    again = AutoTokenizer.from_pretrained(folder, **LOCAL)
    alike = all(
        getattr(tokenizer, name) == getattr(again, name)
        for name in ("chat_template", "special_tokens_map", "all_special_ids")
    )
    written = AutoConfig.from_pretrained(folder, **LOCAL)
    return (
        alike
        and type(config) is type(written)
        and tokenizer.backend_tokenizer.to_str() == again.backend_tokenizer.to_str()
    )


def _is_whole(folder: Path, stamp: dict[str, str]) -> bool:
    """Return whether a copy is there, of this file, and none of its files is cut."""
    try:
        known = json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return False
    return bool(known == {**stamp, "files": _sizes(folder)})


def _sizes(folder: Path) -> dict[str, int]:
    """Return the size of each file of a copy, in bytes."""
    return {
        file.name: file.stat().st_size
        for file in sorted(folder.iterdir())
        if file.name != STAMP
    }
