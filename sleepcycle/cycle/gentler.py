"""The gentler plan: what a night does differently after others were rejected."""

from sleepcycle.choices import Compression, Stage
from sleepcycle.config import Settings
from sleepcycle.cycle.ground import Ground
from sleepcycle.records import Gentler, VersionKind
from sleepcycle.store import versions
from sleepcycle.store.engine import Session

MORE = 2  # times the REM, and times the rank; a guess


def plan_gentler(
    session: Session, ground: Ground, settings: Settings
) -> Gentler | None:
    """Return a gentler plan if enough nights on this ground were rejected.

    None where they were not, or where nothing is left to be made gentler: the night
    has no REM, and does not fold or has reached the rank `sleep.svd.max_rank`.
    """
    rejected = rejected_nights(session, ground)
    if not 0 < settings.gate.gentler_after <= rejected:
        return None
    sleep = settings.sleep
    share, rank = sleep.rem.max_share_of_wake, sleep.svd.rank
    more_share = MORE * share if Stage.REM in sleep.stages else share
    folds = Stage.SVD in sleep.stages and sleep.compression is Compression.SVD
    more_rank = max(rank, min(MORE * rank, sleep.svd.max_rank)) if folds else rank
    if (more_share, more_rank) == (share, rank):
        return None
    return Gentler(rejected, more_share, more_rank)


def rejected_nights(session: Session, ground: Ground) -> int:
    """Count the nights that were rejected on this ground.

    They folded the same live with the open day, or with what it was before its last
    wake. An accepted night ends the day, and so does a rollback: both begin anew.
    """
    return sum(
        version.kind is VersionKind.SLEEP
        and not version.accepted
        and version.parents[0] == ground.live.number
        and version.parents[1] in ground.day_versions
        for version in versions.list_versions(session)
    )


def soften(settings: Settings, plan: Gentler) -> Settings:
    """Return the settings of a night that follows the plan."""
    sleep = settings.sleep
    gentle = sleep.model_copy(
        update={
            "svd": sleep.svd.model_copy(update={"rank": plan.rank}),
            "rem": sleep.rem.model_copy(
                update={"max_share_of_wake": plan.max_share_of_wake}
            ),
        }
    )
    return settings.model_copy(update={"sleep": gentle})
