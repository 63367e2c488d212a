"""What a driver of a target does, and the version that it is handed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sleepcycle.errors import ManifestError
from sleepcycle.files.paths import ADAPTER_WEIGHTS
from sleepcycle.files.sealed import MANIFEST, verify


@dataclass(frozen=True, slots=True)
class WantedVersion:
    """The version that a target is to have."""

    name: str
    """Such as `v42`."""

    folder: Path | None
    """Its sealed folder, whose name no other has; None for the bare base."""

    base: str
    """Id of the base that it belongs to."""

    def hashes(self) -> Mapping[str, str]:
        """Return the SHA-256 of each sealed file; none for the bare base.

        Raises:
            ManifestError: The manifest cannot be read.
        """
        if self.folder is None:
            return {}
        try:
            text = (self.folder / MANIFEST).read_text(encoding="utf-8")
            entries = json.loads(text)["files"].items()
            return {name: str(entry["sha256"]) for name, entry in entries}
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ManifestError(
                f"{self.folder.name}: expected a {MANIFEST}, got: {error}; roll back "
                "to a version that holds"
            ) from error

    def weights_hash(self) -> str | None:
        """Return the SHA-256 of the adapter's weights; None for the bare base.

        Raises:
            ManifestError: The manifest cannot be read.
        """
        return self.hashes().get(ADAPTER_WEIGHTS)

    def expect_whole(self) -> None:
        """Refuse a version whose bytes are not what was sealed.

        Raises:
            ManifestError: They are not.
        """
        if self.folder is not None:
            verify(self.folder)


@dataclass(frozen=True, slots=True)
class LastBrought:
    """Which version a target was brought to last, as the journal has it."""

    entry: int
    """Number of the journal's entry; 0 for none."""

    version: str | None


class Driver(Protocol):
    """Knows one kind of target."""

    longest_wait_s: float
    """Between two tries, while it fails."""

    def has(self, wanted: WantedVersion) -> str | None:
        """Return the version that the target has now; None for none that is known.

        Args:
            wanted: What it is to have; named only where all of that is in place.

        Raises:
            PublishError: It cannot be looked at.
        """

    def bring(self, wanted: WantedVersion) -> None:
        """Let it have a version, whatever it has now; `has` then tells.

        Raises:
            SleepcycleError: It could not be brought.
        """

    def tidy(self, wanted: WantedVersion) -> None:
        """Remove from it what is older than the version before, once it has that.

        Raises:
            PublishError: It could not be removed.
        """
