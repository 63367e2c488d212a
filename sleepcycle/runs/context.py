"""What every run needs, and what comes of it."""

from dataclasses import dataclass
from typing import Protocol

from sleepcycle.files.paths import HomePaths
from sleepcycle.files.runfolder import Report, RunFolder
from sleepcycle.records.progress import OnProgress
from sleepcycle.records.version import Version
from sleepcycle.runs.control import RunControl
from sleepcycle.settings.config import Settings
from sleepcycle.store.database import Store


class Engine(Protocol):
    """Where run folders are computed."""

    def execute(
        self, run: RunFolder, on_progress: OnProgress, control: RunControl
    ) -> None:
        """Compute one run folder; raise a `RunError` where that fails.

        `Paused` where it was stopped as requested and can go on, and `Interrupted`
        where it cannot.
        """


@dataclass(frozen=True)
class RunContext:
    """The database, the folders, the settings, the engine."""

    store: Store
    paths: HomePaths
    settings: Settings
    engine: Engine
    actor: str
    """Who asks, for the journal."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run."""

    run: int
    version: Version
    examples: int
    """New examples learned (wake), or folded (sleep)."""

    seconds: float
    """From claim to version."""

    report: Report
