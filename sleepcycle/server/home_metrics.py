"""What is measured of a home whenever it is asked: examples, versions, runs, disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from loguru import logger
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sleepcycle.daemon.state import Activity, DaemonState
from sleepcycle.errors import SleepcycleError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.captured import CapturedState
from sleepcycle.records.codec import from_json
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.target_state import TargetCondition, TargetState
from sleepcycle.records.verdict import Verdict
from sleepcycle.store.snapshot import read_snapshot
from sleepcycle.store.totals import Totals, read_totals
from sleepcycle.store.values import Snapshot

PREFIX = "sleepcycle_"

Report = TypeVar("Report", WakeReport, SleepReport)


class HomeMetrics(Collector):
    """Measures a home anew whenever it is asked.

    Where the database does not answer, what comes of it is left out, and
    `sleepcycle_database_up` is 0.

    Args:
        paths: The home.
        version: Of this package.
        state: Returns what the service does.
        is_serving: Returns whether there is a serving process.
    """

    def __init__(
        self,
        paths: HomePaths,
        version: str,
        state: Callable[[], DaemonState],
        is_serving: Callable[[], bool],
    ) -> None:
        self._paths, self._version = paths, version
        self._state, self._is_serving = state, is_serving

    def collect(self) -> Iterator[Metric]:
        """Yield what is measured."""
        yield _info("build", "The package that runs.", {"version": self._version})
        state = self._state()
        word = state.word
        yield _each(
            "activity",
            "What the service does: 1 for what it is doing now.",
            "state",
            {each: each is word for each in Activity},
        )
        yield _one(
            "serving_process_running",
            "Whether there is a process that answers, and holds the base.",
            self._is_serving(),
        )
        yield from _of_targets(state.targets)
        yield from self._disk()
        try:
            snapshot, totals = read_snapshot(self._paths), read_totals(self._paths)
        except SleepcycleError as error:
            logger.warning("the home is not measured: {error}", error=str(error))
            yield _one("database_up", "Whether the database answers.", value=False)
            return
        yield _one("database_up", "Whether the database answers.", value=True)
        yield from _of_snapshot(snapshot)
        yield from _of_totals(totals)
        yield from _of_reports(totals.reports)

    def _disk(self) -> Iterator[Metric]:
        """Yield what room is left."""
        try:
            free = disk.free_bytes(self._paths.root)
        except OSError:
            return
        yield _one("disk_free_bytes", "Room where the home lies.", free)


def _of_snapshot(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield examples and versions."""
    counts = snapshot.counts
    words = ("pending", "claimed", "known", "held_out", "excluded")
    yield _each(
        "examples",
        "Examples by what has become of them; together all that were accepted.",
        "state",
        {word: getattr(counts, word) for word in words},
    )
    yield _one("rows_quarantined", "Rows that could not be read.", counts.quarantined)
    yield _one(
        "examples_orphaned",
        "Known examples that neither live nor the open day learned.",
        snapshot.orphaned,
    )
    yield _one("versions", "Versions, v0 included.", len(snapshot.versions))
    yield _each(
        "version_number",
        "Number of the version that an alias of the service names.",
        "alias",
        {
            alias: snapshot.aliases[alias]
            for alias in ("live", "previous", "day")
            if alias in snapshot.aliases
        },
    )
    yield _one("paused", "Whether nothing begins by itself.", snapshot.paused)
    yield _one(
        "failed_runs_in_a_row",
        "Runs that failed since one last ended otherwise.",
        snapshot.failures,
    )


def _of_targets(targets: Sequence[TargetState]) -> Iterator[Metric]:
    """Yield which of the servers that are to have a version have it."""
    family = GaugeMetricFamily(
        f"{PREFIX}target_in_sync",
        "Whether a publish target has the version that it is to have.",
        labels=("target", "kind"),
    )
    for target in targets:
        if target.state is not TargetCondition.IDLE:
            is_there = target.state is TargetCondition.IN_SYNC
            family.add_metric((target.name, target.kind), float(is_there))
    yield family


def _of_totals(totals: Totals) -> Iterator[Metric]:
    """Yield runs and kept conversations."""
    runs = CounterMetricFamily(
        f"{PREFIX}runs", "Wakes and nights by what came of them.", labels=_RUN
    )
    last = GaugeMetricFamily(
        f"{PREFIX}last_run_timestamp_seconds",
        "When the last such run ended.",
        labels=_RUN,
    )
    for (kind, state), total in totals.runs.items():
        if state in {RunState.RUNNING, RunState.PAUSED}:
            continue  # not over
        runs.add_metric((kind, state), total.count)
        if total.last_at is not None:
            last.add_metric((kind, state), total.last_at.timestamp())
    yield runs
    yield last
    yield _each(
        "conversations",
        "Kept conversations by what has become of them.",
        "state",
        {each: totals.conversations.get(each, 0) for each in CapturedState},
    )


_RUN = ("kind", "state")


def _of_reports(reports: Mapping[RunKind, str]) -> Iterator[Metric]:
    """Yield what the last wake and the last night came to."""
    if wake := _read(reports, RunKind.WAKE, WakeReport):
        yield _one(
            "wake_tokens_per_second",
            "How fast the last wake learned.",
            wake.tokens_per_second,
        )
        yield _each(
            "wake_loss_nats",
            "Loss of the last wake's examples, at its beginning and its end.",
            "at",
            {"first": wake.loss_first, "last": wake.loss_last},
        )
    if night := _read(reports, RunKind.SLEEP, SleepReport):
        yield _one("night_rank", "Largest rank after the last fold.", night.rank)
        yield _one(
            "night_kept_energy_ratio",
            "Share of the change that the last fold has kept.",
            night.kept_energy,
        )
        yield from _of_verdict(night.verdict)


def _read(
    reports: Mapping[RunKind, str], kind: RunKind, record: type[Report]
) -> Report | None:
    """Return the last report of a kind; None where there is none that can be read."""
    if kind not in reports:
        return None
    try:
        return from_json(reports[kind], record)
    except (ValueError, LookupError, TypeError):
        logger.warning("the report of the last {kind} cannot be read", kind=kind)
        return None


def _of_verdict(verdict: Verdict) -> Iterator[Metric]:
    """Yield what the gate has found of the last night, where it was measured."""
    yield _one(
        "night_accepted", "Whether the gate let the last night pass.", verdict.accepted
    )
    losses = {
        "retention": verdict.retention,
        "acquisition": verdict.acquisition,
        "general": verdict.general,
    }
    yield _each(
        "night_loss_rise_nats",
        "Loss of the candidate over that of live: on what is known, on today's, and "
        "on the base's own turns.",
        "on",
        {name: loss.rise for name, loss in losses.items() if loss is not None},
    )
    if verdict.drift is not None:
        yield _one(
            "night_general_kl_nats",
            "How far the last night's version is from the base, by token.",
            verdict.drift.candidate,
        )
    if verdict.agreement is not None:
        yield _one(
            "night_agreement_ratio",
            "Share of the base's own turns that the last night's version keeps.",
            verdict.agreement.candidate,
        )


def _one(name: str, text: str, value: float) -> Metric:
    """Return one figure."""
    return GaugeMetricFamily(f"{PREFIX}{name}", text, value=float(value))


def _each(
    name: str, text: str, label: str, values: Mapping[str, float | None]
) -> Metric:
    """Return a figure for each of some words."""
    family = GaugeMetricFamily(f"{PREFIX}{name}", text, labels=(label,))
    for word, value in values.items():
        if value is not None:
            family.add_metric((str(word),), float(value))
    return family


def _info(name: str, text: str, words: Mapping[str, str]) -> Metric:
    """Return words, as the labels of a 1."""
    return InfoMetricFamily(f"{PREFIX}{name}", text, value=dict(words))
