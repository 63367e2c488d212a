"""What lies ahead of a wake: whether it may begin, or a night must come first."""

from sleepcycle.daemon.banner import CURRICULUM, PHASE, Banner
from sleepcycle.errors import ConfigError
from sleepcycle.records import RunKind
from sleepcycle.service.home import Home


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
