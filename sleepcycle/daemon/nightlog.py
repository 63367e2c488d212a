"""The night log: which nights were due and done, and whether the service is paused."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from sleepcycle.errors import Interrupted, RunError
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.runs.context import Outcome
from sleepcycle.store import journal, night_table, pause_switch, run_table
from sleepcycle.store.database import Session, Store
from sleepcycle.store.values import Night, NightState

MAX_ATTEMPTS = 3
CLOCK = "clock"
"""The service itself, in the journal."""


@dataclass(frozen=True, slots=True)
class NightLogState:
    """What the night log holds at one moment."""

    paused: bool
    last: Night | None
    """The newest night, begun or over."""

    broken_off: bool
    """Whether a paused wake waits to go on."""


@dataclass(frozen=True)
class NightLog:
    """Nights and pauses in the database of one home."""

    store: Store

    def read(self) -> NightLogState:
        """Return what it holds now."""
        with self.store.read() as session:
            return NightLogState(
                pause_switch.paused(session),
                night_table.last(session),
                bool(run_table.paused_runs(session)),
            )

    def has_open_run(self) -> bool:
        """Return whether the database has a run that is on, though none may be."""
        with self.store.read() as session:
            return bool(run_table.running(session))

    def is_paused(self, run: int) -> bool:
        """Return whether a run was broken off and may go on."""
        with self.store.read() as session:
            return run_table.get(session, run).state is RunState.PAUSED

    def settle(self) -> None:
        """End a night whose run is done, where that could not be written down.

        It is looked for first, so that no other writer is waited for in vain.
        """
        with self.store.read() as session:
            if _done_since(session) is None:
                return
        with self.store.write() as session:
            left = _done_since(session)
            if left is not None:
                reason = "its run was done; its end was written down later"
                night_table.end(session, left[0].date, NightState.DONE, left[1], reason)

    def pause(self, flag: bool, actor: str) -> None:
        """Write down whether the user wants the service to rest."""
        with self.store.write() as session:
            pause_switch.pause(session, flag)
            journal.append(session, actor, "pause" if flag else "resume")

    def note(self, actor: str, action: str, **details: object) -> None:
        """Write down what somebody asked for."""
        with self.store.write() as session:
            journal.append(session, actor, action, **details)

    def skip(self, night: date, reason: str) -> None:
        """Write down that there is nothing to do in a night."""
        with self.store.write() as session:
            night_table.begin(session, night)
            night_table.end(session, night, NightState.SKIPPED, None, reason)
            journal.append(
                session, CLOCK, "skip sleep", date=night.isoformat(), reason=reason
            )

    def close(self, night: date, reason: str) -> None:
        """Give up a night that was begun and never came to its end."""
        self._end(night, NightState.FAILED, None, reason)

    def run_night(
        self, night: date, sleep: Callable[[], Outcome], given_up: Callable[[], bool]
    ) -> Outcome:
        """Sleep, and write down how the night went.

        A night that fails may be tried again, three times in all. One that is broken
        off stays open as well, and has lost no try, unless the user gave it up.

        Args:
            night: Its date.
            sleep: Does it.
            given_up: Says, once it was broken off, whether the user wanted that.

        Raises:
            RunError: The night is over, or was begun three times already.
        """
        attempt = self._begin(night)
        try:
            outcome = sleep()
        except Interrupted as stop:
            if given_up():
                self._end(night, NightState.SKIPPED, None, str(stop))
            else:
                self._put_back(night, str(stop))
            raise
        except Exception as error:
            if attempt >= MAX_ATTEMPTS:
                self._end(night, NightState.FAILED, None, str(error))
            raise
        verdict = outcome.report.verdict.reason
        self._end(night, NightState.DONE, outcome.run, verdict)
        return outcome

    def _begin(self, night: date) -> int:
        """Begin a night, and return which attempt this is."""
        with self.store.write() as session:
            last = night_table.get(session, night)
            if last is None or night_table.spent(last) < MAX_ATTEMPTS:
                return night_table.begin(session, night).attempts
        reason = f"it was begun {MAX_ATTEMPTS} times and never came to its end"
        self._end(night, NightState.FAILED, None, reason)
        raise RunError(f"the night of {night} was given up: {reason}")

    def _put_back(self, night: date, reason: str) -> None:
        """Let a try not count that was broken off."""
        with self.store.write() as session:
            night_table.put_back(session, night, reason or "it was broken off")

    def _end(
        self, night: date, state: NightState, run: int | None, reason: str
    ) -> None:
        """End a night; what it came to is in the journal by its run."""
        with self.store.write() as session:
            night_table.end(session, night, state, run, reason)
            if state is not NightState.DONE:
                journal.append(
                    session,
                    CLOCK,
                    f"{state} night",
                    date=night.isoformat(),
                    reason=reason,
                )


def _done_since(session: Session) -> tuple[Night, int] | None:
    """Return the night that is begun, and the run that was done for it since."""
    last = night_table.last(session)
    if last is None or last.state is not NightState.BEGUN:
        return None
    run = run_table.last_done(session, RunKind.SLEEP, since=last.at)
    return None if run is None else (last, run)
