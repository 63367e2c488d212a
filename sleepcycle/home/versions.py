"""The versions of a home: look, compare, verify, make live, export, import."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from sleepcycle.errors import VersionError
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.quick_import import without_collections
from sleepcycle.files.sealed import faults, verify
from sleepcycle.home.export_formats import WRITERS, ExportFormat, ExportOrder
from sleepcycle.home.import_worker import ImportRequest, read_in_worker
from sleepcycle.home.switch_plan import Foresight, foresee, plan_switch
from sleepcycle.model.base_files import identify
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.version import (
    BaseIdentity,
    Card,
    MadeFor,
    Version,
    VersionKind,
)
from sleepcycle.runs import publish
from sleepcycle.settings.config import Settings
from sleepcycle.store import example_table, journal, run_list, version_table
from sleepcycle.store.database import Store
from sleepcycle.store.values import Alias, GateFigures, Removed

if TYPE_CHECKING:
    from sleepcycle.home.weights import Comparison
    from sleepcycle.model.base import Base


@dataclass(frozen=True, slots=True)
class Switch:
    """What making another version live did."""

    live: str
    previous: str
    orphaned: int
    """Examples learned by what is no longer live, and not by what is."""

    requeued: int
    """How many of those are pending again."""

    regained: int
    """Examples that were pending or another version's, and are the live one's again."""


@dataclass(frozen=True, slots=True)
class VersionListing:
    """A version with the names that point at it."""

    version: Version
    aliases: tuple[str, ...]
    tainted: bool
    """Whether it learned, itself or through an ancestor, what is excluded now."""

    removed_at: datetime | None = None
    """Since when its files are gone; None where they are there."""


@dataclass(frozen=True)
class VersionRegistry:
    """The versions of one home."""

    paths: HomePaths
    settings: Settings
    store: Store
    actor: str
    alone: Callable[[], AbstractContextManager[None]]
    """Holds the home for a block, after recovery; a `HomeError` where a run does."""

    def listing(self) -> list[VersionListing]:
        """Return all versions, oldest first."""
        with self.store.read() as session:
            names = version_table.aliases(session)
            tainted = version_table.tainted(session)
            gone = version_table.removed(session)
            return [
                VersionListing(
                    version,
                    tuple(sorted(n for n, v in names.items() if v == version.number)),
                    version.number in tainted,
                    gone[version.number].at if version.number in gone else None,
                )
                for version in version_table.list_versions(session)
            ]

    @property
    def base(self) -> BaseIdentity:
        """The model that the versions belong to."""
        with self.store.read() as session:
            return version_table.newest_base(session)

    def get(self, name: str) -> Version:
        """Find a version by its name or an alias.

        Raises:
            VersionError: There is none; the known ones are named.
        """
        with self.store.read() as session:
            return version_table.resolve(session, name)

    def folder(self, version: Version) -> Path | None:
        """Return where a version's files lie; None for the bare base.

        Raises:
            VersionError: They were removed.
        """
        gone = self.removal(version)
        if gone is not None:
            raise VersionError(
                f"the files of {version.name} are gone since {gone.at:%Y-%m-%d} "
                f"({gone.reason}), so it can only be looked up; name another version, "
                "or restore a backup that has it"
            )
        return self.paths.versions / version.folder if version.folder else None

    def removal(self, version: Version) -> Removed | None:
        """Return when and why a version's files went, or None where they are there."""
        with self.store.read() as session:
            return version_table.removed(session).get(version.number)

    def card(self, name: str) -> str:
        """Return a version's card as JSON."""
        with self.store.read() as session:
            version = version_table.resolve(session, name)
            if version.kind is not VersionKind.BASE:
                return version_table.card(session, version.number)
            return to_json(publish.card_of(version, version_table.base(session)))

    def verify(self, names: Sequence[str] = ()) -> dict[str, list[str]]:
        """Check versions against their manifests.

        Args:
            names: Versions or aliases; none for all whose files were not removed.

        Returns:
            For each version checked, what is wrong with it: nothing where it holds.

        Raises:
            VersionError: A named version is unknown, or its files were removed.
        """
        chosen = (
            [self.get(name) for name in names]
            if names
            else [one.version for one in self.listing() if one.removed_at is None]
        )
        return {
            version.name: list(faults(folder))
            for version in chosen
            if (folder := self.folder(version)) is not None
        }

    def verify_journal(self) -> list[str]:
        """Return what is wrong with the journal: nothing where it holds."""
        with self.store.read() as session:
            return journal.check(session, self.paths)

    def diff(self, first: str, second: str) -> "Comparison":
        """Compare what two versions change, and their loss on held-out examples.

        The examples are held out of the batches that either of them learned.
        """
        from sleepcycle.home import weights  # loads torch

        pair = self.get(first), self.get(second)
        with self.store.read() as session:
            lines = (
                version_table.ancestors(session, version.number) for version in pair
            )
            learned = version_table.batches_of(session, set().union(*lines))
            held_out = example_table.held_out(
                session,
                learned.keys(),
                self.settings.gate.max_held_out,
                self.settings.wake.seed,
            )
        folders = self.folder(pair[0]), self.folder(pair[1])
        return weights.compare_versions(self._load_base(), folders, held_out)

    def switch(self, name: str, *, action: str, requeue: bool = False) -> Switch:
        """Make a version live; the open day ends, and nothing is deleted.

        Args:
            name: Version or alias.
            action: The journal's word for it.
            requeue: Let what the version never learned be learned again.

        Raises:
            VersionError: There is no such version.
            ManifestError: Its files are not what was sealed.
            HomeError: A run holds the home.
        """
        with self.alone():
            if name == Alias.PREVIOUS:
                self._expect_previous()
            return self._switch(self._verified(name), action, requeue)

    def _expect_previous(self) -> None:
        """Refuse where nothing was live before, and name what can be done."""
        with self.store.read() as session:
            names = version_table.aliases(session)
        if Alias.PREVIOUS not in names:
            raise VersionError(
                f"nothing was live before v{names[Alias.LIVE]}, so there is nothing to "
                "go back to; to drop the open day: sleepcycle rollback live"
            )

    def _switch(self, target: Version, action: str, requeue: bool) -> Switch:
        """Make a checked version live, in a home that is held."""
        failpoint("rollback.begun")
        with self.store.write() as session:
            plan = plan_switch(session, target)
            requeued = example_table.requeue(session, plan.lost) if requeue else 0
            publish.make_live(session, target.number)
            regained = example_table.own_again(session, plan.line)
            done = Switch(
                target.name, plan.live.name, plan.orphaned, requeued, regained
            )
            journal.append(session, self.actor, action, **asdict(done))
        failpoint("rollback.committed")
        return done

    def foresee(self, name: str) -> Foresight:
        """Return what making a version live would do, and change nothing.

        Raises:
            VersionError: There is no such version, or its files were removed.
        """
        target = self.get(name)
        self.folder(target)
        with self.store.read() as session:
            return foresee(session, target)

    def gate_figures(self, numbers: Collection[int]) -> list[GateFigures]:
        """Return what the gate measured of these versions, by number."""
        with self.store.read() as session:
            return run_list.gate_figures(session, numbers)

    def learned(self, name: str) -> dict[int, int]:
        """Return how many examples of each batch a version knows, by its whole line.

        Raises:
            VersionError: There is no such version.
        """
        target = self.get(name)
        with self.store.read() as session:
            line = version_table.ancestors(session, target.number)
            return version_table.batches_of(session, line)

    def alias(self, alias: str, name: str) -> Version:
        """Let an alias of the user's own point at a version.

        Raises:
            VersionError: The alias is reserved or badly formed.
        """
        target = self._verified(name)
        with self.store.write() as session:
            version_table.set_alias(session, alias, target.number)
            journal.append(
                session, self.actor, "alias", alias=alias, version=target.name
            )
        return target

    def drop_alias(self, alias: str) -> None:
        """Forget an alias of the user's own.

        Raises:
            VersionError: There is no such alias, or it is reserved.
        """
        with self.store.write() as session:
            version_table.drop_alias(session, alias)
            journal.append(session, self.actor, "drop alias", alias=alias)

    def export(
        self, name: str, folder: Path, form: ExportFormat = ExportFormat.PEFT
    ) -> None:
        """Write a version for use elsewhere.

        Args:
            name: Version or alias.
            folder: Where to; it must not exist yet.
            form: The adapter, as PEFT, llama.cpp or Ollama reads it, or the whole model
                with the change in its weights.
        """
        target = self._verified(name)
        source = self.folder(target)
        if folder.exists():
            raise VersionError(f"expected a new folder, but {folder} exists already")
        WRITERS[form](
            ExportOrder(
                source,
                folder,
                self._load_base,
                self.settings.model,
                self._expect_base,
            )
        )

    def _expect_base(self) -> None:
        """Refuse a base that is another one now than versions belong to."""
        identify(self.settings.model, self.paths.cache).expect(self.base)

    def _load_base(self) -> "Base":
        """Load the bare base."""
        with without_collections():
            from sleepcycle.home import inference  # loads torch

        return inference.load(self.settings, self.paths, self.base)

    def import_adapter(
        self, source: Path, *, force: bool = False, given_up: Event | None = None
    ) -> Version:
        """Take in a LoRA adapter made elsewhere as a version; it is not live.

        Args:
            source: A folder with a PEFT LoRA in safetensors.
            force: Take it also if it was made for another base, and fits by its shapes.
            given_up: Ends the import once another thread sets it.

        Raises:
            AdapterError: It is not a plain LoRA in safetensors, its values are not
                finite, it does not fit the base, or it was made for another one.
            Interrupted: It was given up.
            HomeError: A run holds the home.
        """
        with self.alone():
            return self._take_in(ImportRequest(source, force, given_up))

    def made_for(self, version: Version) -> MadeFor:
        """Return which base an imported version was made for, by its card."""
        card = from_json(self.card(version.name), Card)
        return card.made_for or MadeFor()

    def _take_in(self, request: ImportRequest) -> Version:
        """Seal and record an adapter, in a home that is held."""
        disk.make(self.paths.staging)
        stage = self.paths.staging / "import"
        disk.remove(stage)
        taken = read_in_worker(
            self.paths, self.settings.model, self.base, request, stage
        )
        with self.store.read() as session:
            number = version_table.next_number(session)
        version = Version(
            number=number,
            kind=VersionKind.IMPORT,
            folder=None,
            parents=(0,),
            rank=taken.rank,
            accepted=True,
            created_at=datetime.now(UTC),
        )
        card = replace(
            publish.card_of(version, taken.base),
            origin=str(request.source),
            made_for=taken.made_for,
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
