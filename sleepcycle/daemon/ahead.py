"""What lies ahead of a wake: whether it may begin, or a night must come first."""

from datetime import date

from loguru import logger

from sleepcycle.daemon.banner import CURRICULUM, PHASE, Banner
from sleepcycle.daemon.diary import Diary
from sleepcycle.daemon.outlook import Outlook
from sleepcycle.errors import ConfigError
from sleepcycle.home.home import Home
from sleepcycle.records.run_order import RunKind

NOTHING = "nothing was learned since the last night"
MISSED = "its date was over before it came to its end"


def look_ahead(home: Home, banner: Banner) -> RunKind | None:
    """Return what is to begin where a wake is wished for.

    A night, where the next phase asks for one and none was tried yet; it is an extra,
    as one that a user asks for. None where that night was rejected, and the phase
    waits for the night of the date, or where the curriculum is wrong; the banner says
    so in either case.
    """
    try:
        barrier = home.barrier()
    except ConfigError as error:
        banner.show(CURRICULUM, f"no wake begins: {error}")
        banner.show(PHASE, None)
        return None
    banner.show(CURRICULUM, None)
    waits = barrier is not None and barrier.rejected > 0
    banner.show(
        PHASE,
        f'the phase "{barrier.phase}" waits for the next night, since the one before '
        "it was rejected"
        if barrier and waits
        else None,
    )
    if barrier is None:
        return RunKind.WAKE
    return None if waits else RunKind.SLEEP


def night_ahead(diary: Diary, outlook: Outlook) -> date | None:
    """Return the night to begin; those that need nothing are written down as over."""
    if (missed := outlook.left_open()) is not None:
        diary.close(missed, MISSED)
    night = outlook.due()
    if night is None or outlook.has_day():
        return night
    diary.skip(night, NOTHING)
    logger.info("skipped the night of {night}: {why}", night=night, why=NOTHING)
    return None
