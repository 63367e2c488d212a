"""The gentler plan: what a night does differently after others were rejected."""

from sleepcycle.records.overrides import RetryPlan
from sleepcycle.records.version import VersionKind
from sleepcycle.runs.lineage import Lineage
from sleepcycle.settings.choices import Compression, Stage
from sleepcycle.settings.config import Settings, SleepSettings
from sleepcycle.store import version_table
from sleepcycle.store.database import Session

MORE = 2  # times the REM, and times the rank; a guess


def plan_gentler(
    session: Session, lineage: Lineage, settings: Settings
) -> RetryPlan | None:
    """Return a gentler plan if enough nights on these versions were rejected.

    None where they were not, or where nothing is left to be made gentler: the night
    has no REM, and does not fold or has reached the rank `sleep.svd.max_rank`.
    """
    rejected = rejected_nights(session, lineage)
    if not 0 < settings.gate.gentler_after <= rejected:
        return None
    share, rank = _more_rem(settings.sleep), _higher_rank(settings.sleep)
    if share is None and rank is None:
        return None
    return RetryPlan(rejected, share, rank)


def rejected_nights(session: Session, lineage: Lineage, since: int = 0) -> int:
    """Count the nights that were rejected on these versions.

    They folded the same live with the open day, or with what it was before its last
    wake. An accepted night ends the day, and so does a rollback: both begin anew.

    Args:
        session: A transaction.
        lineage: Where the next run starts from.
        since: The oldest version of the day that a counted night may have folded.
    """
    return sum(
        version.kind is VersionKind.SLEEP
        and not version.accepted
        and version.parents[0] == lineage.live.number
        and version.parents[1] in lineage.day_versions
        and version.parents[1] >= since
        for version in version_table.list_versions(session)
    )


def with_retry_plan(settings: Settings, plan: RetryPlan) -> Settings:
    """Return the settings of a night that follows the plan."""
    sleep = settings.sleep
    svd, rem = sleep.svd, sleep.rem
    if plan.rank is not None:
        svd = svd.model_copy(update={"rank": plan.rank})
    if plan.max_share_of_wake is not None:
        share = plan.max_share_of_wake
        rem = rem.model_copy(update={"max_share_of_wake": share})
    gentle = sleep.model_copy(update={"svd": svd, "rem": rem})
    return settings.model_copy(update={"sleep": gentle})


def _more_rem(sleep: SleepSettings) -> float | None:
    """Return a greater share of the wake for REM; None where there is no REM."""
    share = sleep.rem.max_share_of_wake
    return MORE * share if _may_have(sleep, Stage.REM) and share > 0 else None


def _higher_rank(sleep: SleepSettings) -> int | None:
    """Return a higher rank to fold to; None without a fold, or at the highest."""
    folds = _may_have(sleep, Stage.SVD) and sleep.compression is Compression.SVD
    rank = min(MORE * sleep.svd.rank, sleep.svd.max_rank)
    return rank if folds and rank > sleep.svd.rank else None


def _may_have(sleep: SleepSettings, stage: Stage) -> bool:
    """Return whether a night has a stage; an automatic one may have each."""
    return sleep.stages == "auto" or stage in sleep.stages
