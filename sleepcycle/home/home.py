"""A home, and what can be done with it: feed, wake, sleep, go back, ask."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from loguru import logger

from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.feed.sources import Source
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.quick_import import without_collections
from sleepcycle.home import text_worker
from sleepcycle.home.batches import BatchRegistry
from sleepcycle.home.capture import CapturedRegistry
from sleepcycle.home.disk_space import expect_room
from sleepcycle.home.lock import locked
from sleepcycle.home.run_history import RunHistory
from sleepcycle.home.tuning_jobs import TuningRegistry
from sleepcycle.home.versions import Switch, VersionRegistry
from sleepcycle.model.calculator import ToolUse
from sleepcycle.records.content import Conversation
from sleepcycle.records.example import FeedReport
from sleepcycle.records.progress import OnProgress, ignore_progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.shown import ShownExample
from sleepcycle.records.template import TemplateAbilities
from sleepcycle.records.version import Version
from sleepcycle.runs import recovery, resume, run
from sleepcycle.runs.context import Outcome, RunContext
from sleepcycle.runs.control import RunControl
from sleepcycle.runs.local_engine import LocalEngine
from sleepcycle.runs.phases import Barrier, find_barrier, find_curriculum
from sleepcycle.settings.choices import Tool
from sleepcycle.settings.config import Settings
from sleepcycle.store import journal
from sleepcycle.store.database import Store, open_store
from sleepcycle.store.reader import JournalText
from sleepcycle.store.snapshot import read_snapshot
from sleepcycle.store.values import Snapshot

if TYPE_CHECKING:
    from sleepcycle.home.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version says to a prompt."""

    version: str
    text: str
    tool: tuple[ToolUse, ...] | None = None
    """What the tool was asked; None where there was none to ask."""


@dataclass(frozen=True)
class Home:
    """One home. Make one with `open_home` or `create_home`."""

    paths: HomePaths
    settings: Settings
    actor: str
    """Who acts, for the journal."""

    @cached_property
    def store(self) -> Store:
        """The database."""
        return open_store(self.paths, self.settings.store)

    @cached_property
    def versions(self) -> VersionRegistry:
        """The versions, and what can be done with them."""
        return VersionRegistry(
            self.paths, self.settings, self.store, self.actor, self._alone
        )

    @cached_property
    def batches(self) -> BatchRegistry:
        """The batches, and what can be done with them."""
        return BatchRegistry(self.store, self.actor)

    @cached_property
    def captured(self) -> CapturedRegistry:
        """The completions that were kept, and what can be done with them."""
        return CapturedRegistry(
            self.store,
            self.settings.capture,
            self.actor,
            lambda rows, options: self.feed(rows, options=options),
        )

    @cached_property
    def tuning(self) -> TuningRegistry:
        """The jobs of fine-tuning that clients of OpenAI's asked for."""
        return TuningRegistry(self.store, self.actor)

    @cached_property
    def runs(self) -> RunHistory:
        """The runs, on or over."""
        return RunHistory(self.paths, self.store)

    def feed(self, *sources: Source, options: FeedOptions | None = None) -> FeedReport:
        """Take in examples as one batch; all of it or, on an error, none.

        Args:
            sources: Files, folders that `datasets` saved, `-` for standard input, or
                open streams of bytes.
            options: Name of the source, forced format, dry run.

        Raises:
            FeedError: A file cannot be read, or too many of its rows are bad.
        """
        return feed_files(
            self.store,
            list(sources),
            self.settings.feed,
            options or FeedOptions(),
            actor=self.actor,
            missing=self._missing_for,
        )

    def show_examples(self, examples: Sequence[str]) -> tuple[ShownExample, ...]:
        """Return examples as the base will see them.

        Args:
            examples: Canonical content, such as the samples of a feed's report.

        Raises:
            ModelError: The base's tokenizer cannot be read.
        """
        return text_worker.render(self.paths, self.settings, examples).shown

    def _missing_for(self, conversation: Conversation) -> Iterable[str]:
        """Return what of a conversation the base would not get to see."""
        if not TemplateAbilities.concern(conversation):
            return ()
        if conversation.has_system and not self._abilities.system:
            _ = self._said_of_system
        return self._abilities.missing_for(conversation)

    @cached_property
    def _said_of_system(self) -> None:
        """Warn once that system turns are put elsewhere."""
        logger.warning(
            "the base's chat template has no system turn: what the system says is put "
            "before the user's first words"
        )

    @cached_property
    def _abilities(self) -> TemplateAbilities:
        """What the base's chat template renders."""
        return text_worker.abilities_of(self.paths, self.settings)

    def wake(
        self,
        on_progress: OnProgress = ignore_progress,
        control: RunControl | None = None,
    ) -> Outcome:
        """Learn what is pending; `live` stays as it is until the night.

        With a curriculum it learns what is pending of one phase. A paused wake goes
        on, if live, the open day and the settings are as they were.

        Args:
            on_progress: Takes each heartbeat.
            control: What another thread asks to pause or cancel it by.

        Raises:
            ConfigError: The curriculum is missing or wrong.
            RunError: The disk has no room, nothing is pending, its phase needs a
                night first, or training failed.
            Paused: It was broken off as asked; the next wake goes on from there.
            Interrupted: It was stopped; its examples are pending again.
            HomeError: Another run holds the home.
        """
        with self._alone():
            expect_room(self.paths, self.settings.engine)
            return self._execute(RunKind.WAKE, on_progress, control)

    def sleep(
        self,
        on_progress: OnProgress = ignore_progress,
        control: RunControl | None = None,
    ) -> Outcome:
        """Fold what was learned into one small adapter; live if the gate accepts.

        Args:
            on_progress: Takes each heartbeat.
            control: What another thread asks to stop it by; a night begins anew later.

        Raises:
            RunError: The disk has no room, nothing was learned since the last night,
                or folding failed.
            Interrupted: It was stopped; nothing has changed.
            HomeError: Another run holds the home.
        """
        with self._alone():
            expect_room(self.paths, self.settings.engine)
            return self._execute(RunKind.SLEEP, on_progress, control)

    def execute(
        self, kind: RunKind, on_progress: OnProgress, control: RunControl
    ) -> Outcome:
        """Run `wake` or `sleep` for a caller that looked at the disk's room itself.

        The service looks before it decides on a run, so that who asks is answered at
        once; the room is not looked at again.
        """
        with self._alone():
            return self._execute(kind, on_progress, control)

    def barrier(self) -> Barrier | None:
        """Return which night the next wake's phase waits for; None where it does not.

        Raises:
            ConfigError: The curriculum is missing or wrong.
        """
        curriculum = find_curriculum(self.paths, self.settings.wake)
        if curriculum is None:
            return None
        with self.store.read() as session:
            return find_barrier(session, curriculum)

    def recover(self) -> None:
        """Finish or undo what a crash left half done; every run does so by itself.

        Raises:
            HomeError: Another run holds the home.
        """
        with self._alone():
            pass

    def cancel(self, number: int) -> int:
        """Undo a paused run, and return how many examples are pending again.

        Raises:
            NotFoundError: There is no such run.
            RunError: It is not paused.
            HomeError: Another run holds the home.
        """
        with self._alone():
            return resume.cancel(self._context, number)

    def promote(self, name: str) -> Switch:
        """Make a version live.

        Raises:
            VersionError: There is no such version.
            ManifestError: Its files are not what was sealed.
        """
        return _log_switch(self.versions.switch(name, action="promote"), "promoted")

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
        """
        return self.versions.import_adapter(source, force=force, given_up=given_up)

    def status(self) -> Snapshot:
        """Return where the home stands."""
        return read_snapshot(self.paths)

    def journal(self, before: int, limit: int) -> list[JournalText]:
        """Return who did what, newest first.

        Args:
            before: Entries of a lower number alone.
            limit: How many at most.
        """
        with self.store.read() as session:
            return journal.entries_before(session, before, limit)

    def rollback(self, name: str = "previous", *, requeue: bool = False) -> Switch:
        """Make an older version live again.

        Args:
            name: Version or alias.
            requeue: Let the examples that the older version never learned be
                learned again; otherwise they are only counted.

        Raises:
            VersionError: There is no such version.
            ManifestError: Its files are not what was sealed.
        """
        switch = self.versions.switch(name, action="rollback", requeue=requeue)
        return _log_switch(switch, "rolled back")

    def ask(
        self,
        prompt: str,
        *,
        version: str = "live",
        max_new_tokens: int = 64,
        tool: Tool = Tool.NONE,
    ) -> Answer:
        """Let a version answer a prompt.

        Args:
            prompt: What the user says; chat models get it as a user turn.
            version: Version or alias.
            max_new_tokens: Longest answer, a tool's results included.
            tool: What answers the calls that the version writes.
        """
        with without_collections():
            from sleepcycle.home import inference
            from sleepcycle.model.reply import Prompt  # loads torch

        found = self.versions.get(version)
        folder = self.versions.folder(found)
        base = inference.load(self.settings, self.paths, self.versions.base)
        uses_tool = tool is Tool.CALCULATOR
        asked = Prompt(prompt, uses_tool, max_new_tokens)
        [said] = inference.reply(base, folder, [asked])
        return Answer(found.name, said.text, said.uses if uses_tool else None)

    def evaluate(self, names: Sequence[str] = ()) -> "Evaluation":
        """Score versions on what was held out of every batch that was learned.

        Args:
            names: Versions or aliases; none for every accepted night on the line of
                live.

        Raises:
            VersionError: A version is unknown, or there is no night yet.
            NotFoundError: Nothing is held out.
        """
        with without_collections():
            from sleepcycle.home.evaluation import evaluate  # loads torch

        return evaluate(self.versions, names)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the home for a block, with database and folders in one state."""
        with locked(self.paths):
            recovery.recover(self._context)
            yield

    def _execute(
        self, kind: RunKind, on_progress: OnProgress, control: RunControl | None
    ) -> Outcome:
        """Run a wake or a night in a home that is held."""
        runner = run.wake if kind is RunKind.WAKE else run.sleep
        return _logged(runner(self._context, on_progress, control))

    @cached_property
    def _context(self) -> RunContext:
        """What runs need."""
        engine = LocalEngine(self.settings.engine)
        return RunContext(self.store, self.paths, self.settings, engine, self.actor)


def _logged(outcome: Outcome) -> Outcome:
    """Write down what a wake or a night made, and return it."""
    logger.bind(run=outcome.run).info(
        "{kind} made {version} of {examples} examples in {seconds:.1f} s, {word}",
        kind=outcome.version.kind,
        version=outcome.version.name,
        examples=outcome.examples,
        seconds=outcome.seconds,
        word="accepted" if outcome.report.verdict.accepted else "rejected",
    )
    return outcome


def _log_switch(switch: Switch, action: str) -> Switch:
    """Write down that another version is live, and return how that came."""
    logger.info(
        "{action}: live is {live}, before it was {previous}",
        action=action,
        live=switch.live,
        previous=switch.previous,
    )
    return switch
