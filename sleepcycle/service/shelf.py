"""The shelf of versions: look, compare, verify, make live, export, import."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING

from sleepcycle import publish
from sleepcycle.config import Settings
from sleepcycle.cycle.ground import Ground, stand
from sleepcycle.errors import VersionError
from sleepcycle.paths import HomePaths
from sleepcycle.plain import to_json
from sleepcycle.records import Card, Version, VersionKind
from sleepcycle.sealed import faults, verify
from sleepcycle.store import examples, journal, versions
from sleepcycle.store.engine import Session, Store

if TYPE_CHECKING:
    from sleepcycle.service.weights import Comparison


@dataclass(frozen=True, slots=True)
class Switch:
    """What making another version live did."""

    live: str
    previous: str
    orphaned: int
    """Examples learned by what is no longer live, and not by what is."""

    requeued: int
    """How many of those are pending again."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A version with the names that point at it."""

    version: Version
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Shelf:
    """The versions of one home."""

    paths: HomePaths
    settings: Settings
    store: Store
    actor: str

    def listing(self) -> list[Listed]:
        """Return all versions, oldest first."""
        with self.store.read() as session:
            names = versions.aliases(session)
            return [
                Listed(
                    version,
                    tuple(sorted(n for n, v in names.items() if v == version.number)),
                )
                for version in versions.list_versions(session)
            ]

    def get(self, name: str) -> Version:
        """Find a version by its name or an alias.

        Raises:
            VersionError: There is none; the known ones are named.
        """
        with self.store.read() as session:
            return versions.resolve(session, name)

    def folder(self, version: Version) -> Path | None:
        """Return where a version's files lie; None for the bare base."""
        return self.paths.versions / version.folder if version.folder else None

    def card(self, name: str) -> str:
        """Return a version's card as JSON."""
        with self.store.read() as session:
            version = versions.resolve(session, name)
            if version.kind is not VersionKind.BASE:
                return versions.card(session, version.number)
            return to_json(
                Card(
                    number=version.number,
                    kind=version.kind,
                    parents=(),
                    accepted=version.accepted,
                    rank=version.rank,
                    created_at=version.created_at,
                    base=versions.base(session),
                    batches={},
                    sleepcycle=package_version("sleepcycle"),
                )
            )

    def verify(self, names: Sequence[str] = ()) -> dict[str, list[str]]:
        """Check versions against their manifests.

        Args:
            names: Versions or aliases; none for all.

        Returns:
            For each version checked, what is wrong with it: nothing where it holds.
        """
        chosen = (
            [self.get(name) for name in names]
            if names
            else [listed.version for listed in self.listing()]
        )
        return {
            version.name: list(faults(folder))
            for version in chosen
            if (folder := self.folder(version)) is not None
        }

    def diff(self, first: str, second: str) -> "Comparison":
        """Compare what two versions change, and their loss on held-out examples.

        The examples are held out of the batches that either of them learned.
        """
        from sleepcycle.service.weights import compare_versions  # loads torch

        pair = self.get(first), self.get(second)
        with self.store.read() as session:
            lines = (versions.ancestors(session, version.number) for version in pair)
            learned = versions.batches_of(session, set().union(*lines))
            held_out = examples.held_out(
                session,
                learned.keys(),
                self.settings.gate.max_held_out,
                self.settings.wake.seed,
            )
        folders = self.folder(pair[0]), self.folder(pair[1])
        return compare_versions(self.settings, self.paths, folders, held_out)

    def switch(self, name: str, *, action: str, requeue: bool = False) -> Switch:
        """Make a version live; the open day ends, and nothing is deleted.

        Args:
            name: Version or alias.
            action: The journal's word for it.
            requeue: Let what the version never learned be learned again.
        """
        target = self._verified(name)
        with self.store.write() as session:
            ground = stand(session)
            lost = _lost(session, ground, target.number)
            orphaned = examples.count_trained(session, lost)
            requeued = examples.requeue(session, lost) if requeue else 0
            publish.make_live(session, target.number)
            examples.own_again(session, versions.ancestors(session, target.number))
            journal.append(
                session,
                self.actor,
                action,
                live=target.name,
                previous=ground.live.name,
                orphaned=orphaned,
                requeued=requeued,
            )
        return Switch(target.name, ground.live.name, orphaned, requeued)

    def alias(self, alias: str, name: str) -> Version:
        """Let an alias of the user's own point at a version.

        Raises:
            VersionError: The alias is reserved or badly formed.
        """
        target = self._verified(name)
        with self.store.write() as session:
            versions.set_alias(session, alias, target.number)
            journal.append(
                session, self.actor, "alias", alias=alias, version=target.name
            )
        return target

    def export(self, name: str, folder: Path, *, merged: bool) -> None:
        """Write a version for use elsewhere.

        Args:
            name: Version or alias.
            folder: Where to; it must not exist yet.
            merged: Add the change to the base's weights and write the whole model,
                instead of the adapter alone.
        """
        target = self._verified(name)
        source = self.folder(target)
        if folder.exists():
            raise VersionError(f"expected a new folder, but {folder} exists already")
        if merged:
            from sleepcycle.service.weights import export_merged  # loads torch

            export_merged(self.settings, self.paths, source, folder)
        elif source is None:
            raise VersionError("v0 is the bare base, which has no adapter to export")
        else:
            folder.mkdir(parents=True)
            for file in ("adapter_model.safetensors", "adapter_config.json"):
                shutil.copyfile(source / file, folder / file)

    def import_adapter(self, source: Path) -> Version:
        """Take in a LoRA adapter made elsewhere as a version; it is not live.

        Raises:
            AdapterError: It is not a plain LoRA in safetensors, its values are not
                finite, or it does not fit the base.
        """
        from sleepcycle.service.weights import take_in  # loads torch

        self.paths.staging.mkdir(exist_ok=True)
        stage = self.paths.staging / "import"
        shutil.rmtree(stage, ignore_errors=True)
        base, rank = take_in(self.settings, self.paths, source, stage)
        with self.store.read() as session:
            number = versions.next_number(session)
        card = Card(
            number=number,
            kind=VersionKind.IMPORT,
            parents=(0,),
            accepted=True,
            rank=rank,
            created_at=datetime.now(UTC),
            base=base,
            batches={},
            sleepcycle=package_version("sleepcycle"),
            origin=str(source),
        )
        sealed = publish.seal_version(self.paths, stage, card)
        with self.store.write() as session:
            return publish.record(session, sealed, actor=self.actor)

    def _verified(self, name: str) -> Version:
        """Find a version whose files are what was sealed."""
        version = self.get(name)
        folder = self.folder(version)
        if folder is not None:
            verify(folder)
        return version


def _lost(session: Session, ground: Ground, target: int) -> set[int]:
    """Return the versions whose lessons go when another version becomes live.

    Going to what is live already, these are all that it does not come from: so what
    an earlier rollback left behind can be learned again later.
    """
    line = versions.ancestors(session, target)
    if target == ground.live.number and ground.day is None:
        return set(range(versions.next_number(session))) - line
    return {*ground.live_versions, *ground.day_versions} - line
