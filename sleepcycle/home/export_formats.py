"""The forms in which a version is written for use elsewhere."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sleepcycle.errors import VersionError
from sleepcycle.files.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS

if TYPE_CHECKING:
    from sleepcycle.model.base import Base

ADAPTER_FILES = (ADAPTER_WEIGHTS, ADAPTER_CONFIG)


class ExportFormat(StrEnum):
    """What an export writes."""

    PEFT = "peft"
    MERGED = "merged"


@dataclass(frozen=True)
class ExportOrder:
    """What is to be written where."""

    source: Path | None
    """The folder of a sealed version, whose bytes hold; None for the bare base."""

    folder: Path
    """Where to; it does not exist yet."""

    load_base: Callable[[], "Base"]
    """Loads the bare base, and torch with it."""


def _write_adapter(order: ExportOrder) -> None:
    """Copy the portable form, which PEFT reads as it is."""
    if order.source is None:
        raise VersionError("v0 is the bare base, which has no adapter to export")
    order.folder.mkdir(parents=True)
    for file in ADAPTER_FILES:
        shutil.copyfile(order.source / file, order.folder / file)


def _write_merged(order: ExportOrder) -> None:
    """Write the whole model, with the version's change in its weights."""
    from sleepcycle.home import weights  # loads torch

    weights.export_merged(order.load_base(), order.source, order.folder)


WRITERS: dict[ExportFormat, Callable[[ExportOrder], None]] = {
    ExportFormat.PEFT: _write_adapter,
    ExportFormat.MERGED: _write_merged,
}
