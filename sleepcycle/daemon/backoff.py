"""Back-off: how long no run begins after runs failed in a row."""

from datetime import datetime, timedelta, tzinfo

from sleepcycle.records.run_order import RunState
from sleepcycle.store.values import Snapshot

MAX_S = 3600.0


class Backoff:
    """Counts failed runs in a row, and decides when to try again.

    Moments are of one monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._last = ""
        self._until: float | None = None

    def carry_on(
        self, snapshot: Snapshot, first_s: float, moment: float, now: datetime
    ) -> None:
        """Go on with the wait of an earlier process, as the database has it.

        Args:
            snapshot: Of the database.
            first_s: The wait after the first failure, in seconds.
            moment: Now, by the monotonic clock.
            now: The same moment, aware.
        """
        failed = [run for run in snapshot.runs if run.state is RunState.FAILED]
        if not snapshot.failures or not failed:
            return
        whole_s = delay_s(snapshot.failures, first_s)
        passed_s = (now - (failed[0].ended_at or now)).total_seconds()
        left_s = min(max(0.0, whole_s - passed_s), whole_s)
        self.fail(snapshot.failures, failed[0].error or "", moment + left_s)

    def fail(self, failures: int, error: str, until: float) -> None:
        """Write down that runs failed in a row, and wait until a moment."""
        self._failures, self._last, self._until = failures, error, until

    def end(self) -> None:
        """Wait no longer."""
        self._until = None

    def clear(self) -> None:
        """Forget what failed: something succeeded."""
        self._failures, self._last, self._until = 0, "", None

    @property
    def failures(self) -> int:
        """Failed runs in a row."""
        return self._failures

    def left_s(self, moment: float) -> float:
        """Return how many seconds are left to wait; 0 for none."""
        return 0.0 if self._until is None else max(0.0, self._until - moment)

    def sentence(self, moment: float, now: datetime, zone: tzinfo) -> str | None:
        """Return what failed and when the next try is; None where none is waited for.

        Args:
            moment: Now, by the monotonic clock.
            now: The same moment, aware.
            zone: Whose clock the sentence names.
        """
        left_s = self.left_s(moment)
        if not left_s:
            return None
        at = (now + timedelta(seconds=left_s)).astimezone(zone).strftime("%H:%M:%S")
        count = self._failures
        many = (
            f"{count} runs in a row failed, the last" if count > 1 else "a run failed"
        )
        return f"{many}: {self._last}; next try at {at}"


def delay_s(failures: int, first_s: float) -> float:
    """Return how long to wait after so many failures in a row, in seconds.

    Args:
        failures: One or more.
        first_s: After the first; twice as long after each more, an hour at most.
    """
    doublings = min(failures - 1, 32)  # more overflow nothing, and change nothing
    return float(min(first_s * 2**doublings, max(MAX_S, first_s)))
