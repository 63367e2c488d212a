"""Jobs that a request began and that outlast it: wakes, nights, evaluations."""

import secrets
import threading
from concurrent.futures import Future
from typing import Any

from sleepcycle.errors import NotFoundError

KEPT = 100


class Jobs:
    """Lets a request return before what it asked for is done."""

    def __init__(self) -> None:
        self._jobs: dict[str, Future[Any]] = {}
        self._guard = threading.Lock()

    def keep(self, job: Future[Any]) -> str:
        """Return a name for what has begun; what was done long ago is forgotten."""
        name = secrets.token_hex(8)  # so that no service answers for another's
        with self._guard:
            done = [other for other, kept in self._jobs.items() if kept.done()]
            for other in done[: max(0, len(self._jobs) + 1 - KEPT)]:
                del self._jobs[other]
            self._jobs[name] = job
        return name

    def get(self, name: str) -> Future[Any]:
        """Return a job.

        Raises:
            NotFoundError: There is none of that name, or it was long ago.
        """
        with self._guard:
            job = self._jobs.get(name)
        if job is None:
            raise NotFoundError(f"no job {name}; see: sleepcycle runs list")
        return job
