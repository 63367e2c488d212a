"""The order: writes down what a run will do, and what it is given to do it with."""

from collections.abc import Mapping, Sequence

from loguru import logger

from sleepcycle.files.dream_archive import recorded, spread
from sleepcycle.files.runfolder import Material, RunFolder
from sleepcycle.records.codec import from_json
from sleepcycle.records.example import Dream, Example
from sleepcycle.records.overrides import Gentler, PhasePlan
from sleepcycle.records.reports import WakeReport
from sleepcycle.records.run_order import RunKind, RunOrder
from sleepcycle.records.version import Card, VersionKind
from sleepcycle.runs.context import Keeper
from sleepcycle.runs.lineage import Ground
from sleepcycle.runs.publish import read_card, set_aside
from sleepcycle.settings.choices import Memory
from sleepcycle.settings.training_steps import replay_limit
from sleepcycle.store import example_table, version_table
from sleepcycle.store.database import Session


def order_run(
    keeper: Keeper,
    run: int,
    kind: RunKind,
    ground: Ground,
    plan: Gentler | PhasePlan | None = None,
) -> RunFolder:
    """Create the run folder with its order.

    The plan says where the keeper's settings are not the user's.

    A folder of that number is left from before an older database was put back.
    """
    folder = RunFolder(keeper.paths.run(run))
    if folder.path.exists():
        aside = set_aside(keeper.paths, folder.path)
        logger.warning("moved an older run's folder to {aside}", aside=str(aside))
    place = keeper.paths.versions
    with keeper.store.read() as session:
        base = version_table.newest_base(session)
        past = [version_table.get(session, number) for number in ground.live_versions]
        gone = version_table.removed(session)
        tokens = sum(_tokens(session, number) for number in ground.day_versions)
    live, day = (
        place / version.folder if version and version.folder else None
        for version in (ground.live, ground.day)
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
            seed=keeper.settings.wake.seed + run,
            settings=keeper.settings.model_dump(mode="json"),
            archive={
                version.number: (
                    None if version.number in gone else place / version.folder
                )
                for version in sorted(past, key=lambda version: version.number)
                if version.kind is VersionKind.WAKE and version.folder
            },
            day_version=ground.day.number if ground.day else 0,
            wake_tokens=tokens,
            gentler=plan if isinstance(plan, Gentler) else None,
            phase=plan if isinstance(plan, PhasePlan) else None,
        )
    )
    return folder


def _tokens(session: Session, number: int) -> int:
    """Return how many tokens a version trained on itself."""
    report = from_json(version_table.card(session, number), Card).report
    return report.tokens if isinstance(report, WakeReport) else 0


def write_memory(keeper: Keeper, run: int, folder: RunFolder, ground: Ground) -> None:
    """Write what a night may relearn: examples of today, and as much past as it may."""
    settings = keeper.settings.sleep.rem
    seed = keeper.settings.wake.seed + run
    known = ground.live_versions if Memory.STORE in settings.memory else frozenset()
    with keeper.store.read() as session:
        for material, owners in (
            (Material.NEW, ground.day_versions),
            (Material.REPLAY, known),
        ):
            drawn = example_table.replay_sample(
                session, owners, settings.max_examples, seed
            )
            folder.write_examples(material, drawn)
    if Memory.ARCHIVE in settings.memory:
        folder.write_past(spread(_dreamt(keeper, ground), settings.max_examples, seed))


def replay(
    keeper: Keeper, run: int, claimed: Sequence[Example], ground: Ground
) -> list[Example]:
    """Draw what this wake will show again, each at most once.

    Known examples, or past nights' dreams where a night may not see examples either.
    """
    settings = keeper.settings.wake
    most, seed = replay_limit(settings, len(claimed)), settings.seed + run
    if Memory.STORE not in keeper.settings.sleep.rem.memory:
        drawn = spread(_dreamt(keeper, ground), most, seed)
        return [Example(-i, 0, dream.content) for i, dream in enumerate(drawn, 1)]
    owners = ground.live_versions | ground.day_versions
    with keeper.store.read() as session:
        return example_table.replay_sample(session, owners, most, seed)


def _dreamt(keeper: Keeper, ground: Ground) -> list[Dream]:
    """Return what the nights that live comes from have dreamt."""
    with keeper.store.read() as session:
        past = [version_table.get(session, n) for n in sorted(ground.live_versions)]
    return recorded(
        keeper.paths.versions / version.folder
        for version in past
        if version.kind is VersionKind.SLEEP and version.folder
    )


def write_held_out(
    keeper: Keeper, folder: RunFolder, ground: Ground, today: Mapping[int, int]
) -> None:
    """Write what the gate measures on: held-out examples of today, and of before."""
    before = ground.known.keys() - today.keys()
    limit, seed = keeper.settings.gate.max_held_out, keeper.settings.wake.seed
    with keeper.store.read() as session:
        for material, batches in (
            (Material.TODAY, today.keys()),
            (Material.KNOWN, before),
        ):
            held_out = example_table.held_out(session, batches, limit, seed)
            folder.write_examples(material, held_out)
