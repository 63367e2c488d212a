"""The forms in which a version is written for use elsewhere."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sleepcycle.errors import VersionError
from sleepcycle.files.paths import ADAPTER_CONFIG, ADAPTER_GGUF, ADAPTER_WEIGHTS
from sleepcycle.settings.config import ModelSettings

if TYPE_CHECKING:
    from sleepcycle.model.base import Base

ADAPTER_FILES = (ADAPTER_WEIGHTS, ADAPTER_CONFIG)


class ExportFormat(StrEnum):
    """What an export writes."""

    PEFT = "peft"
    MERGED = "merged"
    GGUF = "gguf"
    OLLAMA = "ollama"


@dataclass(frozen=True)
class ExportOrder:
    """What is to be written where."""

    source: Path | None
    """The folder of a sealed version, whose bytes hold; None for the bare base."""

    folder: Path
    """Where to; it does not exist yet."""

    load_base: Callable[[], "Base"]
    """Loads the bare base, and torch with it."""

    model: ModelSettings
    """Names the bare base, of which the configuration is read."""

    expect_base: Callable[[], None]
    """Refuses if that is another one now than the version belongs to."""


def _write_adapter(order: ExportOrder) -> None:
    """Copy the portable form, which PEFT reads as it is."""
    source = _adapter_of(order)
    order.folder.mkdir(parents=True)
    for file in ADAPTER_FILES:
        shutil.copyfile(source / file, order.folder / file)


def _adapter_of(order: ExportOrder) -> Path:
    """Return the folder of the version's adapter.

    Raises:
        VersionError: It is the bare base.
    """
    if order.source is None:
        raise VersionError("v0 is the bare base, which has no adapter to export")
    return order.source


def _write_merged(order: ExportOrder) -> None:
    """Write the whole model, with the version's change in its weights."""
    from sleepcycle.home import weights  # loads torch

    weights.export_merged(order.load_base(), order.source, order.folder)


def _write_gguf(order: ExportOrder) -> None:
    """Write the adapter alone, as llama.cpp reads it."""
    source = _adapter_of(order)
    order.expect_base()
    from sleepcycle.home import weights  # loads torch

    with _made(order.folder) as folder:
        weights.export_gguf(order.model, source, folder / ADAPTER_GGUF)


def _write_ollama(order: ExportOrder) -> None:
    """Write what `ollama create` makes a model of."""
    source = _adapter_of(order)
    order.expect_base()
    from sleepcycle.home import weights  # loads torch

    with _made(order.folder) as folder:
        weights.export_ollama(order.model, source, folder)


@contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """Yield a new folder, which is gone again where what fills it fails."""
    folder.mkdir(parents=True)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder)
        raise


WRITERS: dict[ExportFormat, Callable[[ExportOrder], None]] = {
    ExportFormat.PEFT: _write_adapter,
    ExportFormat.MERGED: _write_merged,
    ExportFormat.GGUF: _write_gguf,
    ExportFormat.OLLAMA: _write_ollama,
}
