"""Prepare a run: its order, and the examples that it is given."""

from collections.abc import Mapping, Sequence

from loguru import logger

from sleepcycle.files.dream_archive import recorded, spread
from sleepcycle.files.runfolder import ExampleFile, RunFolder
from sleepcycle.records.codec import from_json
from sleepcycle.records.example import Dream, Example
from sleepcycle.records.overrides import PhasePlan, RetryPlan
from sleepcycle.records.reports import WakeReport
from sleepcycle.records.run_order import RunKind, RunOrder
from sleepcycle.records.version import Card, VersionKind
from sleepcycle.runs.context import RunContext
from sleepcycle.runs.lineage import Lineage
from sleepcycle.runs.publish import move_unclaimed, read_card
from sleepcycle.settings.choices import Memory
from sleepcycle.settings.training_steps import replay_limit
from sleepcycle.store import example_table, version_table
from sleepcycle.store.database import Session


def order_run(
    context: RunContext,
    run: int,
    kind: RunKind,
    lineage: Lineage,
    plan: RetryPlan | PhasePlan | None = None,
) -> RunFolder:
    """Create the run folder with its order.

    The plan says where the context's settings are not the user's.

    A folder of that number is left from before an older database was put back.
    """
    folder = RunFolder(context.paths.run(run))
    if folder.path.exists():
        aside = move_unclaimed(context.paths, folder.path)
        logger.warning("moved an older run's folder to {aside}", aside=str(aside))
    place = context.paths.versions
    with context.store.read() as session:
        base = version_table.newest_base(session)
        past = [version_table.get(session, number) for number in lineage.live_versions]
        gone = version_table.removed(session)
        tokens = sum(_tokens(session, number) for number in lineage.day_versions)
    live, day = (
        place / version.folder if version and version.folder else None
        for version in (lineage.live, lineage.day)
    )
    card = read_card(day) if day else None
    folder.write_order(
        RunOrder(
            run=run,
            kind=kind,
            base=base,
            live=live,
            live_rank=card.live_rank if card else 0,
            day=day,
            day_rank=card.day_rank if card else 0,
            seed=context.settings.wake.seed + run,
            settings=context.settings.model_dump(mode="json", exclude={"capture"}),
            archive={
                version.number: (
                    None if version.number in gone else place / version.folder
                )
                for version in sorted(past, key=lambda version: version.number)
                if version.kind is VersionKind.WAKE and version.folder
            },
            day_version=lineage.day.number if lineage.day else 0,
            wake_tokens=tokens,
            gentler=plan if isinstance(plan, RetryPlan) else None,
            phase=plan if isinstance(plan, PhasePlan) else None,
        )
    )
    return folder


def _tokens(session: Session, number: int) -> int:
    """Return how many tokens a version trained on itself."""
    report = from_json(version_table.card(session, number), Card).report
    return report.tokens if isinstance(report, WakeReport) else 0


def write_memory(
    context: RunContext, run: int, folder: RunFolder, lineage: Lineage
) -> None:
    """Write what a night may relearn: examples of today, and as much past as it may."""
    settings = context.settings.sleep.rem
    seed = context.settings.wake.seed + run
    known = lineage.live_versions if Memory.STORE in settings.memory else frozenset()
    with context.store.read() as session:
        for file, owners in (
            (ExampleFile.NEW, lineage.day_versions),
            (ExampleFile.REPLAY, known),
        ):
            drawn = example_table.replay_sample(
                session, owners, settings.max_examples, seed
            )
            folder.write_examples(file, drawn)
    if Memory.ARCHIVE in settings.memory:
        folder.write_past(
            spread(_dreamt(context, lineage), settings.max_examples, seed)
        )


def replay(
    context: RunContext, run: int, claimed: Sequence[Example], lineage: Lineage
) -> list[Example]:
    """Return what this wake will show again, each at most once.

    Known examples, or past nights' dreams where a night may not see examples either.
    """
    settings = context.settings.wake
    most, seed = replay_limit(settings, len(claimed)), settings.seed + run
    if Memory.STORE not in context.settings.sleep.rem.memory:
        drawn = spread(_dreamt(context, lineage), most, seed)
        return [Example(-i, 0, dream.content) for i, dream in enumerate(drawn, 1)]
    owners = lineage.live_versions | lineage.day_versions
    with context.store.read() as session:
        return example_table.replay_sample(session, owners, most, seed)


def _dreamt(context: RunContext, lineage: Lineage) -> list[Dream]:
    """Return what the nights that live comes from have dreamt."""
    with context.store.read() as session:
        past = [version_table.get(session, n) for n in sorted(lineage.live_versions)]
    return recorded(
        context.paths.versions / version.folder
        for version in past
        if version.kind is VersionKind.SLEEP and version.folder
    )


def write_held_out(
    context: RunContext, folder: RunFolder, lineage: Lineage, today: Mapping[int, int]
) -> None:
    """Write what the gate measures on: held-out examples of today, and of before."""
    before = lineage.known.keys() - today.keys()
    limit, seed = context.settings.gate.max_held_out, context.settings.wake.seed
    with context.store.read() as session:
        for file, batches in (
            (ExampleFile.TODAY, today.keys()),
            (ExampleFile.KNOWN, before),
        ):
            held_out = example_table.held_out(session, batches, limit, seed)
            folder.write_examples(file, held_out)


def write_anchors(folder: RunFolder, anchors: Sequence[Example]) -> None:
    """Write the owner's questions, if there are any."""
    if anchors:
        folder.write_examples(ExampleFile.ANCHORS, anchors)
