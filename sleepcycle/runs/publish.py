"""Publishing: seal what a run made, then record it in one transaction.

The transaction is the only commit point. A crash before it leaves a sealed folder
without a row, which recovery enters later; after it nothing is left to do.
"""

import os
from importlib.metadata import version as package_version
from pathlib import Path

from sleepcycle.errors import ManifestError
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.paths import CARD, HomePaths
from sleepcycle.files.sealed import seal
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.reports import WakeReport
from sleepcycle.records.run_order import RunState
from sleepcycle.records.version import BaseIdentity, Card, Version, VersionKind
from sleepcycle.store import example_table, journal, run_table, version_table
from sleepcycle.store.database import Session
from sleepcycle.store.values import Alias


def card_of(version: Version, base: BaseIdentity) -> Card:
    """Return a version's card, without what only a run or an import can add."""
    return Card(
        number=version.number,
        kind=version.kind,
        parents=version.parents,
        accepted=version.accepted,
        rank=version.rank,
        created_at=version.created_at,
        base=base,
        batches={},
        sleepcycle=package_version("sleepcycle"),
        run=version.run,
    )


def seal_version(paths: HomePaths, adapter: Path, card: Card) -> Path:
    """Seal an adapter with its card; nothing is live yet.

    Args:
        paths: The home.
        adapter: Folder whose files become the version's; it is moved, not copied.
        card: What to say about it.

    Returns:
        The sealed folder.

    Raises:
        DiskError: The disk could not keep it.
    """
    stage = paths.staging / f"v{card.number:04d}"
    disk.remove(stage)
    disk.make(paths.staging)
    disk.move(adapter, stage)
    failpoint("publish.staged")
    disk.write(stage / CARD, to_json(card))
    for path in stage.iterdir():
        os.chmod(path, 0o600)
    failpoint("publish.carded")
    return seal(stage, paths.versions, f"v{card.number:04d}")


def read_card(folder: Path) -> Card:
    """Read a sealed version's card.

    Raises:
        ManifestError: It is missing, or not a card.
    """
    try:
        return from_json((folder / CARD).read_text(encoding="utf-8"), Card)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ManifestError(
            f"{folder.name}: expected a card in {CARD}, got: {first}; roll back to a "
            "version that holds"
        ) from error


def sealed_by(paths: HomePaths, run: int) -> Path | None:
    """Return the folder that a run has sealed, recorded or not, if there is one."""
    for folder in sorted(paths.versions.iterdir(), reverse=True):
        try:
            if read_card(folder).run == run:
                return folder
        except ManifestError:
            continue
    return None


def move_unclaimed(paths: HomePaths, folder: Path) -> Path:
    """Move a folder that the database lacks to `unclaimed`, under a free name."""
    disk.make(paths.unclaimed)
    aside = paths.unclaimed / folder.name
    copies = 1
    while aside.exists():
        copies += 1
        aside = paths.unclaimed / f"{folder.name}.{copies}"
    disk.move(folder, aside)
    return aside


def record(session: Session, folder: Path, *, actor: str) -> Version:
    """Enter a sealed version: its row, its examples, its aliases, its run.

    A wake's version becomes `day`. An accepted night's becomes `live`, what was live
    becomes `previous`, and the day is over. A rejected night moves nothing.
    """
    card = read_card(folder)
    version = Version(
        card.number,
        card.kind,
        folder.name,
        card.parents,
        card.rank,
        card.accepted,
        card.created_at,
        card.run,
    )
    version_table.add(session, version, card.base, to_json(card), card.batches)
    if card.run is not None:
        if isinstance(card.report, WakeReport):
            example_table.set_aside(session, card.run, card.report.set_aside)
        example_table.mark_trained(session, card.run, card.number)
        report = to_json(card.report)
        run_table.finish(session, card.run, RunState.DONE, report, error=None)
    if card.accepted:
        _move(session, version)
    verdict = card.report.verdict.reason if card.report else ""
    journal.append(
        session,
        actor,
        f"seal {card.kind}",
        version=version.name,
        accepted=card.accepted,
        reason=verdict,
    )
    return version


def make_live(session: Session, number: int) -> None:
    """Let `live` point at a version, and `previous` at what was live; end the day."""
    now = version_table.aliases(session)
    if now[Alias.LIVE] != number:
        version_table.point(session, Alias.PREVIOUS, now[Alias.LIVE])
        version_table.point(session, Alias.LIVE, number)
    version_table.point(session, Alias.DAY, None)


def _move(session: Session, version: Version) -> None:
    """Move the aliases that an accepted version of its kind moves."""
    if version.kind is VersionKind.WAKE:
        version_table.point(session, Alias.DAY, version.number)
    elif version.kind is VersionKind.SLEEP:
        make_live(session, version.number)
