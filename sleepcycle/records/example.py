"""Examples, rows that could not become one, and dreams."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sleepcycle.errors import StoreError
from sleepcycle.records.content import Content

if TYPE_CHECKING:
    from sleepcycle.records.shown import ShownExample


@dataclass(frozen=True, slots=True)
class Example:
    """One training item as a run sees it."""

    id: int
    batch: int
    content: Content


NewExample = tuple[bytes, str, int | None, str | None]
"""Hash and canonical content; its line or row in its file, and the JSON of what its
row said beside, where these are known."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """One input row that could not become an example."""

    file: str
    line: int
    """Line or row number in the file, counted from 1."""

    offset: int
    """Byte offset of the row in the (decompressed) file."""

    code: str
    message: str
    raw: bytes
    """The row itself, cut to a bound, so that it can be exported and mended."""

    size_bytes: int
    """Size of the whole row; larger than `raw` where that was cut."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """Accepted examples that the base cannot learn, for one reason."""

    code: str
    """Such as `E_TEMPLATE`."""

    reason: str
    examples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FeedReport:
    """What one feed call brought: accepted + duplicate + quarantined = lines."""

    batch: int | None
    """The batch's number, or None on a dry run."""

    lines: int
    accepted: int
    duplicate: int
    quarantined: int
    held_out: int
    """How many of the accepted are held out, never to be trained on."""

    reasons: Mapping[str, int]
    """How many rows each code quarantined."""

    provenance: Mapping[str, int] = field(default_factory=dict)
    """Keys that change nothing of what is learned, and how many rows have them; they
    are kept beside the examples."""

    refusals: Mapping[str, int] = field(default_factory=dict)
    """Why rows were quarantined, in words, and how many; the most frequent first."""

    def stored_batch(self) -> int:
        """Return the batch's number, where there is a batch.

        Raises:
            StoreError: It was a dry run.
        """
        if self.batch is None:
            raise StoreError("expected a feed that was stored, got a dry run")
        return self.batch


@dataclass(frozen=True, slots=True)
class FeedKey:
    """What a feed is known by, so that who asks again is answered the same."""

    name: str
    digest: bytes
    """SHA-256 of all that was asked."""


@dataclass(frozen=True, slots=True)
class DryRunReport(FeedReport):
    """What a feed would bring; nothing was stored."""

    samples: tuple[str, ...] = ()
    """Canonical content of the first rows that would be accepted."""


def report_fields(
    report: FeedReport, shown: "Sequence[ShownExample]" = ()
) -> dict[str, Any]:
    """Return a report as `sleepcycle feed --json` has it.

    Args:
        report: What a feed brought, or would bring.
        shown: On a dry run, how the first rows will be learned.
    """
    fields = asdict(report)
    fields.pop("samples", None)
    return fields | ({"shown": shown} if report.batch is None else {})


@dataclass(frozen=True, slots=True)
class Dream:
    """What a version wrote from what it knows."""

    version: int
    """Who dreamt: a wake version, or -1 for the last good one."""

    content: Content
