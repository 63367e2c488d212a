"""The runs of a home: wakes and nights, and what they reported, dreamt and printed."""

from dataclasses import dataclass

from sleepcycle.files.paths import HomePaths
from sleepcycle.files.runfolder import RunFolder, read_dreams
from sleepcycle.records.example import Dream
from sleepcycle.store import journal, run_table, version_table
from sleepcycle.store.database import Store
from sleepcycle.store.values import Run

SHOWN = 100  # runs in a listing, the newest


@dataclass(frozen=True)
class RunHistory:
    """The runs of one home, on or over."""

    paths: HomePaths
    store: Store

    def listing(self, after: int | None = None, limit: int = SHOWN) -> list[Run]:
        """Return runs, newest first.

        Args:
            after: Those of a lower number alone; None for the last ones.
            limit: How many at most.
        """
        with self.store.read() as session:
            return run_table.list_runs(session, limit, after)

    def get(self, number: int) -> Run:
        """Return one run.

        Raises:
            NotFoundError: There is none with that number.
        """
        with self.store.read() as session:
            return run_table.get(session, number)

    def phase(self, number: int) -> str | None:
        """Return which phase of a curriculum a run learned; None where none."""
        with self.store.read() as session:
            return journal.phase_of(session, number)

    def dreams(self, number: int) -> list[Dream]:
        """Return what a night dreamt, as it was sealed; nothing where it did not.

        Raises:
            NotFoundError: There is no run with that number.
        """
        with self.store.read() as session:
            run_table.get(session, number)
            folders = [
                version.folder
                for version in version_table.list_versions(session)
                if version.run == number and version.folder
            ]
        return [
            dream
            for folder in folders
            for dream in read_dreams(self.paths.versions / folder)
        ]

    def log(self, number: int) -> str:
        """Return what a run's worker printed; empty where its folder is gone."""
        self.get(number)
        log = RunFolder(self.paths.run(number)).log
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
