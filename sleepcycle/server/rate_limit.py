"""The rate limit: how many requests one token may send."""

import time
from collections.abc import Callable

MINUTE_S = 60.0


class RateLimit:
    """A bucket for each token, which fills up within a minute (token bucket)."""

    def __init__(
        self, per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with full buckets.

        Args:
            per_minute: Requests in a minute, as many as that at once; 0 for no limit.
            clock: Seconds, from any moment on.
        """
        self._per_minute, self._clock = per_minute, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, id: str) -> float:
        """Count a request, or return for how long there may be none of that token."""
        if not self._per_minute:
            return 0.0
        now = self._clock()
        left, at = self._buckets.get(id, (float(self._per_minute), now))
        left += (now - at) * self._per_minute / MINUTE_S
        left = min(left, float(self._per_minute))
        may = left >= 1
        self._buckets[id] = (left - 1 if may else left, now)
        return 0.0 if may else (1 - left) * MINUTE_S / self._per_minute
