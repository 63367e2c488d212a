"""What begins next: chosen by policy and curriculum, with what follows written down."""

from datetime import date

from loguru import logger

from sleepcycle.daemon.alerts import CURRICULUM, PHASE, Alerts
from sleepcycle.daemon.nightlog import NightLog
from sleepcycle.daemon.policy import SchedulePolicy
from sleepcycle.errors import ConfigError
from sleepcycle.home.home import Home
from sleepcycle.records.run_order import RunKind

NOTHING = "nothing was learned since the last night"
MISSED = "its date was over before it came to its end"


def choose_run(home: Home, alerts: Alerts) -> RunKind | None:
    """Return what is to begin where a wake is asked for.

    A night, where the next phase asks for one and none was tried yet; it is an extra,
    as one that a user asks for. None where that night was rejected, and the phase
    waits for the night of the date, or where the curriculum is wrong; an alert tells
    so in either case.
    """
    try:
        barrier = home.barrier()
    except ConfigError as error:
        alerts.show(CURRICULUM, f"no wake begins: {error}")
        alerts.show(PHASE, None)
        return None
    alerts.show(CURRICULUM, None)
    waits = barrier is not None and barrier.rejected > 0
    alerts.show(
        PHASE,
        f'the phase "{barrier.phase}" waits for the next night, since the one before '
        "it was rejected"
        if barrier and waits
        else None,
    )
    if barrier is None:
        return RunKind.WAKE
    return None if waits else RunKind.SLEEP


def night_to_begin(nightlog: NightLog, policy: SchedulePolicy) -> date | None:
    """Return the night to begin; those that need nothing are written down as over."""
    if (missed := policy.left_open()) is not None:
        nightlog.close(missed, MISSED)
    night = policy.due()
    if night is None or policy.has_day():
        return night
    nightlog.skip(night, NOTHING)
    logger.info("skipped the night of {night}: {why}", night=night, why=NOTHING)
    return None
