"""Jobs of fine-tuning as the scheduler sees them: what waits, and what is given up."""

from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime

from loguru import logger

from sleepcycle.daemon.reload import ReloadableHome
from sleepcycle.errors import Interrupted, SleepcycleError, TuningError
from sleepcycle.home.tuning_jobs import TuningRegistry
from sleepcycle.runs.context import Outcome


class TuningDesk:
    """Keeps which jobs are to be cancelled once their run has let go of them."""

    def __init__(self, reloadable: ReloadableHome, actor: str) -> None:
        self._reloadable, self._actor = reloadable, actor
        self._unwanted: dict[int, set[str]] = {}

    @property
    def _jobs(self) -> TuningRegistry:
        """The jobs, as they are now."""
        return self._reloadable.open(self._actor).tuning

    def waits(self) -> bool:
        """Return whether examples of a job wait to be learned."""
        return self._jobs.settle()

    def fail(self, error: str, asked_until: datetime) -> None:
        """Write down that what was asked for until then could not be learned."""
        self._jobs.fail(error, asked_until)

    def take(self, asked_until: datetime, done: Future[Outcome]) -> None:
        """Write down that jobs failed, where what was to begin for them did.

        One that was broken off goes on later; one that was cancelled is `give_up`'s.
        """
        error = done.exception()
        if error is None or isinstance(error, Interrupted):
            return
        try:
            self.fail(str(error), asked_until)
        except SleepcycleError as failed:
            logger.error("{error}", error=str(failed))

    def cancel(self, name: str) -> int | None:
        """Cancel a job, now or once the run is stopped that is returned.

        Raises:
            NotFoundError: There is none of that name.
            TuningError: It is over.
        """
        run = self._jobs.run_to_stop(name)
        if run is None:
            self._jobs.cancel(name)
        else:
            self._unwanted.setdefault(run, set()).add(name)
        return run

    def give_up(self, run: int) -> None:
        """Write down what became of jobs whose run was cancelled and has ended.

        Where that was for one of them, the others wait on; else all have failed that
        were there when it began.
        """
        unwanted = self._unwanted.pop(run, set())
        try:
            for name in unwanted:
                with suppress(TuningError):  # it was over before
                    self._jobs.cancel(name)
            if not unwanted:
                self._jobs.fail_with(run, f"run {run} was cancelled")
        except SleepcycleError as failed:
            logger.error("{error}", error=str(failed))
