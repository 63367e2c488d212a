"""Waits for a wake or a night of a service, and shows how far it is."""

import time
from contextlib import suppress

from sleepcycle.errors import Interrupted, NotFoundError, RunError, ServiceError
from sleepcycle.records.progress import OnProgress, progress_from
from sleepcycle.records.run_order import RunKind
from sleepcycle.server.transport import Json, Transport, error_of

POLL_S = 0.3
MAYBE = "the service may have begun the run; see: sleepcycle runs list"
LEFT = "the service goes on with the run; to stop it: sleepcycle runs cancel"
SEE = "sleepcycle runs list"


def follow(service: Transport, kind: RunKind, on_progress: OnProgress) -> Json:
    """Let a service run a wake or a night now, and return its outcome.

    Ctrl-C cancels the run; once more, and the run goes on without us.

    Raises:
        ServiceError: The service ended before the run did.
        Interrupted: The run was cancelled, or goes on without us.
        SleepcycleError: The run could not begin, or failed as it would here.
    """
    path = f"/api/job/{_begin(service, kind)}"
    stops = 0
    while True:
        try:
            found = _look(service, path)
            if found["state"] != "running":
                break
            if found["progress"]:
                on_progress(progress_from(found["progress"]))
            if stops == 1 and found["run"]:
                _cancel(service, found["run"])
                stops = 2
            time.sleep(POLL_S)
        except KeyboardInterrupt as stop:
            stops += 1
            if stops > 1:
                raise Interrupted(LEFT) from stop
    return outcome_of(found)


def outcome_of(found: Json) -> Json:
    """Return what came of a job that is over, or raise what it met.

    Raises:
        SleepcycleError: It failed.
    """
    if found["state"] == "done":
        return dict(found["outcome"])
    raise error_of(found)


def _begin(service: Transport, kind: RunKind) -> str:
    """Ask for a run, and return the job's name."""
    try:
        return str(service.call("POST", f"/api/{kind}")["job"])
    except KeyboardInterrupt as stop:
        raise Interrupted(MAYBE) from stop


def _look(service: Transport, path: str) -> Json:
    """Return how far a job is."""
    try:
        return dict(service.call("GET", path))
    except ServiceError as error:
        raise ServiceError(f"{error}; what came of the run: {SEE}") from error


def _cancel(service: Transport, run: int) -> None:
    """Stop a run; where that fails, as it has just ended, the next look tells."""
    with suppress(NotFoundError, RunError, ServiceError):
        service.call("POST", f"/api/runs/{run}/cancel")
