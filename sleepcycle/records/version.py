"""Versions, the base that they belong to, and the card that is sealed with each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sleepcycle.errors import ModelError
from sleepcycle.records.reports import SleepReport, WakeReport


class VersionKind(StrEnum):
    """Where a version comes from."""

    BASE = "base"
    WAKE = "wake"
    SLEEP = "sleep"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class BaseIdentity:
    """Which frozen model a version belongs to."""

    id: str
    """`builtin:nano`, `ollama:llama3.2`, a hub id, or a path."""

    revision: str | None
    sha256: str
    """Of configuration, tokenizer and weights, and of how weights are quantised here;
    empty for v0, which is written before any of them is read."""

    quantization: str = ""
    """How the weights are packed, such as `Q4_K_M` or `nf4`; empty where they are
    not, and where it is not known. The hash covers it."""

    def expect(self, expected: "BaseIdentity") -> None:
        """Refuse to be another model than the one that versions belong to.

        Raises:
            ModelError: The name differs, or the bytes do.
        """
        if self.id != expected.id:
            raise ModelError(
                f"expected the base {expected.id}, which this home's versions belong "
                f"to, got {self.id}; set model.base back, or make a new home for the "
                "new base"
            )
        if expected.sha256 and self.sha256 != expected.sha256:
            raise ModelError(
                f"expected the base that this home's versions were trained on (sha256 "
                f"{expected.sha256[:12]}), got {self.id} with sha256 "
                f"{self.sha256[:12]}; restore the old files and "
                "the old model.quantization, or make a new home for the new ones"
            )


@dataclass(frozen=True, slots=True)
class MadeFor:
    """Which base an adapter was made for, by what it says itself."""

    base: str | None = None
    """As the adapter names it; None where it names none."""

    warning: str | None = None
    """What is to be known of it, such as that it is another base; None if nothing."""


@dataclass(frozen=True, slots=True)
class Version:
    """A sealed, immutable adapter, as the store knows it."""

    number: int
    """0 is the bare base, which has no folder."""

    kind: VersionKind
    folder: str | None
    """Name below `home/versions`."""

    parents: tuple[int, ...]
    rank: int
    """Uniform rank of the portable adapter; 0 for the bare base."""

    accepted: bool
    created_at: datetime
    run: int | None = None

    @property
    def name(self) -> str:
        """The name people use, such as `v1`."""
        return f"v{self.number}"


@dataclass(frozen=True, slots=True)
class Card:
    """All there is to say about a version, sealed with it as `card.json`."""

    number: int
    kind: VersionKind
    parents: tuple[int, ...]
    accepted: bool
    rank: int
    created_at: datetime
    base: BaseIdentity
    batches: Mapping[int, int]
    """Examples that this version itself learned, by batch."""

    sleepcycle: str
    """Version of this package."""

    conversations: tuple[str, ...] = ()
    """Kept completions that it learned from: a wake itself, a night by its day."""

    run: int | None = None
    seed: int | None = None
    settings: Mapping[str, object] | None = None
    report: WakeReport | SleepReport | None = None
    live_rank: int = 0
    """Leading columns that are the live adapter's; of a wake version alone."""

    day_rank: int = 0
    """Columns after those, learned since the last night."""

    origin: str | None = None
    """Where an imported adapter came from."""

    made_for: MadeFor | None = None
    """Which base an imported adapter was made for."""
