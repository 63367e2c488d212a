"""The runs of a home: wakes and nights, and what they reported, dreamt and printed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sleepcycle.files.paths import HomePaths
from sleepcycle.files.runfolder import RunFolder, read_dreams
from sleepcycle.home.run_tail import Tail
from sleepcycle.records.example import Dream
from sleepcycle.records.progress import HEARTBEAT, Progress, progress_from
from sleepcycle.store import journal, run_list, run_table, version_table
from sleepcycle.store.database import Store
from sleepcycle.store.values import Night, NightScores, Run, RunEntry

SHOWN = 100  # runs in a listing, the newest
TAIL_BYTES = 16_000  # of what a worker printed
MOST_BEATS = 4_000  # that are read of one run, or up to twice as many


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

    def entries(self, before: int | None, limit: int) -> list[RunEntry]:
        """Return runs with the little of their reports that a list shows, newest first.

        Args:
            before: Those of a lower number alone; None for the last ones.
            limit: How many at most.
        """
        with self.store.read() as session:
            return run_list.entries(session, limit, before)

    def idle_nights(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> list[Night]:
        """Return the nights that ended without a run, newest first.

        Args:
            since: Those that ended then or later; None for all before `until`.
            until: Those that ended before; None for all after `since`.
        """
        with self.store.read() as session:
            return run_list.idle_nights(session, since, until)

    def night_scores(self, before: int | None, limit: int) -> list[NightScores]:
        """Return what the gate measured of accepted nights, newest first.

        Args:
            before: Those whose version has a lower number alone; None for the last.
            limit: How many at most.
        """
        with self.store.read() as session:
            return run_list.night_scores(session, limit, before)

    def version_of(self, number: int) -> int | None:
        """Return the number of the version that a run made; None where none."""
        with self.store.read() as session:
            return run_list.version_of(session, number)

    def settings(self, number: int) -> Mapping[str, object] | None:
        """Return the settings that a run was ordered with.

        They are in its folder, or in the card of what it made; None where neither is.
        """
        order = self.paths.run(number) / "run.json"
        if order.exists():
            told = json.loads(order.read_text(encoding="utf-8"))
            return dict(told["settings"])
        with self.store.read() as session:
            version = run_list.version_of(session, number)
            card = None if version is None else version_table.card(session, version)
        return None if card is None else json.loads(card)["settings"]

    def heartbeats(self, number: int) -> list[Progress]:
        """Return what a run has measured, step by step; nothing where that is gone.

        Of a long run every so many heartbeats are read, and the newest.
        """
        tail = Tail(RunFolder(self.paths.run(number)).progress, str)
        lines = list(tail.lines(to_the_end=True))
        every = max(1, len(lines) // MOST_BEATS)
        found = map(_heartbeat, [*lines[:-1:every], *lines[-1:]])
        return [one for one in found if one is not None and one != HEARTBEAT]

    def log_tail(self, number: int) -> str:
        """Return the end of what a run's worker printed, from the start of a line."""
        log = RunFolder(self.paths.run(number)).log
        if not log.exists():
            return ""
        skipped = max(0, log.stat().st_size - TAIL_BYTES)
        with log.open("rb") as file:
            file.seek(skipped)
            text = file.read(TAIL_BYTES).decode("utf-8", "replace")
        return text.partition("\n")[2] if skipped else text

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


def _heartbeat(line: str) -> Progress | None:
    """Return the heartbeat of a line; None where the worker was killed as it wrote."""
    try:
        return progress_from(json.loads(line))
    except (TypeError, ValueError):
        return None
