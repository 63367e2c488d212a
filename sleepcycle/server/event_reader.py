"""Reads the events of a service, and goes on where a stream was lost."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sleepcycle.errors import BusyError, LostServiceError
from sleepcycle.server.transport import (
    Json,
    Transport,
    events_of,
    refusal_of,
)

SILENT_S = 60.0  # a heartbeat comes every 15 s
PAUSE_S = 0.5  # before a stream is resumed


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """One event of a service."""

    name: str
    """`journal` for an entry of the journal, `progress` for how far a run is, and
    `position` for where a stream begins, or goes on after it was lost."""

    data: Json
    entry: int | None = None
    """The journal's number, from which a stream can be resumed."""


def listen(
    service: Transport, after: int | None, patience_s: float
) -> Iterator[ServiceEvent]:
    """Yield what changes, without end; a stream that is lost is resumed.

    Args:
        service: The way to it.
        after: Begin behind this entry of the journal; None for now.
        patience_s: For a service that cannot be reached, as one that is started again.

    Raises:
        ServiceError: It was not there for that long, or refused.
        NotFoundError: Its journal has not come that far.
    """
    lost_at: float | None = None
    while True:
        try:
            for event in _heard(service, after):
                lost_at = None
                after = after if event.entry is None else event.entry
                yield event
        except (LostServiceError, BusyError) as error:
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > patience_s:
                raise
            wait_s = error.retry_s if isinstance(error, BusyError) else 0.0
            time.sleep(min(wait_s, patience_s))
        time.sleep(PAUSE_S)


def _heard(service: Transport, after: int | None) -> Iterator[ServiceEvent]:
    """Yield the events of one stream."""
    path = "/api/events" if after is None else f"/api/events?after={after}"
    with service.asked("GET", path, None, {}, SILENT_S) as answer:
        if answer.status != 200:
            raise refusal_of(answer, json.loads(answer.read()))
        for found in events_of(answer):
            entry = int(found["id"]) if "id" in found else None
            yield ServiceEvent(found["event"], json.loads(found["data"]), entry)
