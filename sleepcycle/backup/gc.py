"""Clearing: the files of versions that nothing needs are removed; their rows stay."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sleepcycle.backup import workspace
from sleepcycle.errors import RunError
from sleepcycle.files import disk
from sleepcycle.files.dream_archive import recorded
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.home.versions import VersionRegistry
from sleepcycle.records.run_order import RunState
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.settings.choices import Memory
from sleepcycle.settings.config import RemSettings
from sleepcycle.store import journal, run_table, version_table
from sleepcycle.store.database import Session
from sleepcycle.store.values import Alias

KEPT_NIGHTS = 3  # accepted ones behind live, to roll back to
KEPT_RUNS = 200  # folders, which hold logs alone once a run has ended
REASON = "gc"


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was removed, or would be."""

    removed: tuple[str, ...]
    """Versions, oldest first."""

    kept: Mapping[str, str]
    """Why the files of every other version are needed."""

    runs: int
    """Folders of old runs."""

    freed_bytes: int
    dry_run: bool


def clear(
    registry: VersionRegistry, *, keep: int = KEPT_NIGHTS, dry_run: bool = False
) -> Cleared:
    """Remove the files of versions that nothing needs, and the oldest run folders.

    A service may run meanwhile. First one transaction writes which versions have no
    files any more; no name can point at these from then on. A process that is killed
    after that leaves folders that the next clearing removes.

    Args:
        registry: The versions of a home.
        keep: Accepted nights behind live that are kept, the newest.
        dry_run: Say what would be removed, and change nothing.

    Raises:
        BackupError: A backup, restore or another clearing is on.
        RunError: A run is just beginning.
        DiskError: The disk could not do it.
    """
    if dry_run:
        with registry.store.read() as session:
            return _plan(session, registry, keep, dry_run=True)
    with workspace.empty(registry.paths) as place:
        with registry.store.write() as session:
            plan = _plan(session, registry, keep, dry_run=False)
            _enter(session, registry, plan)
        failpoint("gc.recorded")
        with registry.store.read() as session:
            doomed = _left(session, registry.paths), _old_runs(session, registry.paths)
        for folder in chain(*doomed):
            disk.move(folder, place / folder.name)
            failpoint("gc.moved")
            disk.remove(place / folder.name)
    return plan


def _plan(
    session: Session, registry: VersionRegistry, keep: int, *, dry_run: bool
) -> Cleared:
    """Return what is removed, and why the rest is kept."""
    gone = version_table.removed(session)
    there = [
        version
        for version in version_table.list_versions(session)
        if version.folder and version.number not in gone
    ]
    needed = _needed(session, registry, there, keep)
    unneeded = [version for version in there if version.number not in needed]
    doomed = [registry.paths.versions / str(version.folder) for version in unneeded]
    left, old_runs = _left(session, registry.paths), _old_runs(session, registry.paths)
    return Cleared(
        removed=tuple(version.name for version in unneeded),
        kept={v.name: needed[v.number] for v in there if v.number in needed},
        runs=len(old_runs),
        freed_bytes=sum(map(_size, (*doomed, *left, *old_runs))),
        dry_run=dry_run,
    )


def _enter(session: Session, registry: VersionRegistry, plan: Cleared) -> None:
    """Write down which versions have no files any more."""
    if not plan.removed:
        return
    for name in plan.removed:
        version_table.remove(
            session, version_table.resolve(session, name).number, REASON
        )
    journal.append(
        session,
        registry.actor,
        "remove versions",
        versions=list(plan.removed),
        kept=dict(plan.kept),
    )


def _left(session: Session, paths: HomePaths) -> list[Path]:
    """Return the folders that are there of versions without files, by the database."""
    gone = version_table.removed(session)
    return [
        folder
        for version in version_table.list_versions(session)
        if version.number in gone
        and (folder := paths.versions / str(version.folder)).exists()
    ]


def _needed(
    session: Session, registry: VersionRegistry, there: Sequence[Version], keep: int
) -> dict[int, str]:
    """Return why versions are needed; of several reasons the first."""
    names = version_table.aliases(session)
    live, day = names[Alias.LIVE], names.get(Alias.DAY, names[Alias.LIVE])
    line = version_table.ancestors(session, live) | version_table.ancestors(
        session, day
    )
    behind = [version for version in there if version.number in line]
    nights = [v for v in behind if v.kind is VersionKind.SLEEP]
    wakes = [v for v in behind if v.kind is VersionKind.WAKE]
    good = [v.number for v in nights if v.accepted and v.number != live]
    needed: dict[int, str] = {}
    for number, reason in (
        *((number, name) for name, number in names.items()),
        *_used(session, registry.paths),
        *((number, "to roll back to") for number in good[max(0, len(good) - keep) :]),
        *_remembered(registry, nights, wakes),
        *(
            (version.number, "imported, and not tried yet")
            for version in there
            if version.kind is VersionKind.IMPORT and version.number > live
        ),
    ):
        needed.setdefault(number, reason)
    return needed


def _used(session: Session, paths: HomePaths) -> Iterator[tuple[int, str]]:
    """Yield each version that an open run began from or learns from."""
    numbers = {
        version.folder: version.number
        for version in version_table.list_versions(session)
    }
    for run in (*run_table.running(session), *run_table.paused_runs(session)):
        try:
            order = RunFolder(paths.run(run.id)).read_order()
        except FileNotFoundError:
            if run.state is RunState.RUNNING:
                raise RunError(
                    f"run {run.id} is just beginning, so what it needs is not known; "
                    "try again in a moment"
                ) from None
            continue
        for folder in (order.live, order.day, *order.archive.values()):
            if folder is not None and folder.name in numbers:
                yield numbers[folder.name], f"run {run.id} is not done"


def _remembered(
    registry: VersionRegistry, nights: Sequence[Version], wakes: Sequence[Version]
) -> Iterator[tuple[int, str]]:
    """Yield each version behind live that nights to come learn from."""
    settings = registry.settings.sleep.rem
    if not _learns_dreams(settings):
        return
    dreamers: set[int] = set()
    for night in nights:
        dreams = recorded([registry.paths.versions / str(night.folder)])
        dreamers |= {dream.version for dream in dreams}
        if dreams:
            yield night.number, "it holds dreams"
    for wake in wakes if Memory.ARCHIVE in settings.memory else ():
        if settings.gold_share < 1:
            yield wake.number, "it teaches its lesson"
        elif wake.number not in dreamers:
            yield wake.number, "it has not dreamt yet"


def _learns_dreams(settings: RemSettings) -> bool:
    """Return whether nights, or the replay of wakes, learn from past nights' dreams."""
    return Memory.ARCHIVE in settings.memory or Memory.STORE not in settings.memory


def _old_runs(session: Session, paths: HomePaths) -> list[Path]:
    """Return the folders of all but the newest runs; of open runs none."""
    still = {
        paths.run(run.id)
        for run in (*run_table.running(session), *run_table.paused_runs(session))
    }
    found = sorted(path for path in paths.runs.iterdir() if path.name.isdigit())
    return [path for path in found[:-KEPT_RUNS] if path not in still]


def _size(folder: Path) -> int:
    """Return how much a folder's files take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
