"""Answers of a home's versions, by its serving process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

from prometheus_client import CollectorRegistry

from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.errors import BusyError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.capture import CapturedRegistry
from sleepcycle.home.home import Home
from sleepcycle.home.versions import VersionListing, VersionRegistry
from sleepcycle.server.answer_metrics import AnswerMetrics
from sleepcycle.serving.messages import Ask, ServingOrder
from sleepcycle.serving.process import Answer, ServingProcess
from sleepcycle.store.database import Store

ACTOR = "talk"
MOST_OPEN = 512  # answers, those that wait for others included; a guess
RETRY_S = 60  # where it is not known how long a run will take


@dataclass(frozen=True)
class Talk:
    """What routes need to let versions answer."""

    scheduler: Scheduler
    paths: HomePaths
    meters: CollectorRegistry
    """All that is counted of this service."""

    counted: AnswerMetrics
    """What is counted of answers."""

    @cached_property
    def process(self) -> ServingProcess:
        """The serving process, which is started when it is asked."""
        serve = self.scheduler.settings.serve
        return ServingProcess(self.paths, self._order, serve.idle_s, self._is_away)

    def answer(self, asked: Ask) -> Answer:
        """Return an answer, to be read as it is being written; it is counted.

        Raises:
            SleepcycleError: It cannot be answered, as `ServingProcess.answer` tells.
        """
        return self.counted.counted(self.process.answer(asked))

    @property
    def home(self) -> Home:
        """The home, by the settings of the moment."""
        return Home(self.paths, self.scheduler.settings, ACTOR)

    @cached_property
    def store(self) -> Store:
        """The database."""
        return self.home.store

    @property
    def versions(self) -> VersionRegistry:
        """The versions, as they are now."""
        return self.home.versions

    @property
    def captured(self) -> CapturedRegistry:
        """The completions that are kept."""
        return self.home.captured

    def find(self, name: str) -> tuple[str, str | None]:
        """Return a version's own name, and where its files lie.

        Raises:
            VersionError: There is none of that name or alias, or its files are gone.
        """
        versions = self.versions
        found = versions.get(name)
        folder = versions.folder(found)
        return found.name, None if folder is None else str(folder)

    def listing(self) -> list[VersionListing]:
        """Return the versions that can be asked."""
        return [one for one in self.versions.listing() if one.removed_at is None]

    def expect_free(self) -> None:
        """Refuse where a run has the memory, or too much is asked at once.

        Raises:
            BusyError: It has, or there is.
        """
        if self.process.open_answers >= MOST_OPEN:
            raise BusyError(
                f"expected fewer than {MOST_OPEN} answers at once; ask again later",
                retry_s=1,
            )
        if not self._is_away():
            return
        state = self.scheduler.state()
        left = state.progress.left_s if state.progress else None
        raise BusyError(
            f"expected no run, got one ({state.word}), and serve.while_learning is "
            '"pause"; ask again later',
            retry_s=max(1, round(left or RETRY_S)),
        )

    @asynccontextmanager
    async def over_lifespan(self, app: object) -> AsyncIterator[None]:
        """End the serving process where the server ends."""
        yield
        await self.process.stop()

    def _is_away(self) -> bool:
        """Return whether nothing is answered, since a run is on."""
        if self.scheduler.settings.serve.while_learning == "share":
            return False
        return self.scheduler.state().kind is not None

    def _order(self) -> ServingOrder:
        """Return what the serving process is started with."""
        settings = self.scheduler.settings
        return ServingOrder(
            model=settings.model.model_dump(mode="json"),
            device=settings.engine.device,
            threads=settings.engine.threads,
            cache=str(self.paths.cache),
            base=self.versions.base,
            most_versions=settings.serve.versions,
        )
