"""Jobs of fine-tuning: a batch that is to be learned, from the asking to a version."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sleepcycle.errors import RunError, TuningError
from sleepcycle.records.codec import from_json
from sleepcycle.records.reports import WakeReport
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.tuning import TuningJob, TuningState
from sleepcycle.records.version import Card
from sleepcycle.store import journal, run_table, tuning_table, version_table
from sleepcycle.store.database import Session, Store
from sleepcycle.store.tuning_table import JobEnding


@dataclass(frozen=True)
class TuningRegistry:
    """The jobs of one home.

    What a job waits for is read from its batch: it is over when nothing of that is
    pending any more, whichever wake has learned it.
    """

    store: Store
    actor: str

    def create(
        self, batch: int, *, file: str, model: str, metadata: dict[str, str]
    ) -> TuningJob:
        """Ask for a batch to be learned."""
        name = f"ftjob-{secrets.token_hex(12)}"
        with self.store.write() as session:
            asked = {"file": file, "model": model}
            tuning_table.add(session, name, batch, asked, metadata)
            journal.append(session, self.actor, "ask for a job", id=name, batch=batch)
        return self.get(name)

    def get(self, name: str) -> TuningJob:
        """Return one job, as it is now.

        Raises:
            NotFoundError: There is none of that name.
        """
        self.settle()
        with self.store.read() as session:
            return tuning_table.get(session, name)

    def listing(self, limit: int, after: str | None = None) -> list[TuningJob]:
        """Return up to `limit` jobs, newest first.

        Raises:
            NotFoundError: The one to go on after is not there.
        """
        self.settle()
        with self.store.read() as session:
            return tuning_table.list_jobs(session, limit, after)

    def settle(self) -> bool:
        """Write down which jobs are over; return whether another one waits."""
        with self.store.read() as session:
            if not tuning_table.open_jobs(session):
                return False
        with self.store.write() as session:
            return bool(self._settled(session))

    def fail(self, error: str, asked_until: datetime) -> None:
        """Write down that what was asked for until then could not be learned."""
        with self.store.write() as session:
            self._fail(session, error, asked_until)

    def fail_with(self, run: int, error: str) -> None:
        """Write down that a wake failed what it had; a night has none.

        Raises:
            NotFoundError: There is no such run.
        """
        with self.store.write() as session:
            begun = run_table.get(session, run)
            if begun.kind is RunKind.WAKE:
                self._fail(session, error, begun.started_at)

    def run_to_stop(self, name: str) -> int | None:
        """Return the run that keeps a job from being cancelled, if one does.

        Raises:
            NotFoundError: There is none of that name.
        """
        job = self.get(name)
        with self.store.read() as session:
            return None if _is_shared(session, job) else job.run

    def cancel(self, name: str) -> TuningJob:
        """Cancel a job; what waits of its batch goes with the last job that wants it.

        It is then never learned, but where the batch is queued again.

        Raises:
            NotFoundError: There is none of that name.
            TuningError: It is over.
            RunError: A run learns its examples for it alone; stop that first.
        """
        self.settle()
        with self.store.write() as session:
            job = tuning_table.get(session, name)
            if job.state is not TuningState.OPEN:
                raise TuningError(
                    f"expected a job that is on, got one that has {job.state}",
                    code="job_is_over",
                )
            moved = 0
            if not _is_shared(session, job):
                if job.run is not None:
                    raise RunError(f"run {job.run} learns the examples of {name}")
                moved = tuning_table.exclude_waiting(session, job.batch)
            self._end(session, JobEnding(name, TuningState.CANCELLED), excluded=moved)
        return self.get(name)

    def tokens(self, job: TuningJob) -> int | None:
        """Return how many tokens the wake trained on that a job became."""
        if job.version is None:
            return None
        with self.store.read() as session:
            report = from_json(version_table.card(session, job.version), Card).report
        return report.tokens if isinstance(report, WakeReport) else None

    def _fail(self, session: Session, error: str, asked_until: datetime) -> None:
        """Write down that open jobs failed which were there then."""
        for job in self._settled(session):
            if job.created_at <= asked_until:
                self._end(session, JobEnding(job.id, TuningState.FAILED, error=error))

    def _settled(self, session: Session) -> list[TuningJob]:
        """Write down which open jobs are over, and return the others."""
        left = []
        for job in tuning_table.open_jobs(session):
            ending = tuning_table.ending_of(session, job)
            if ending is None:
                left.append(job)
            else:
                self._end(session, ending)
        return left

    def _end(self, session: Session, ending: JobEnding, **more: int) -> None:
        """Write down how a job ended, and into the journal."""
        tuning_table.end(session, ending)
        said = {"id": ending.job, "state": ending.state, "version": ending.version}
        journal.append(session, self.actor, "end a job", **said, **more)


def _is_shared(session: Session, job: TuningJob) -> bool:
    """Return whether another open job wants the same batch to be learned."""
    others = tuning_table.open_jobs(session)
    return any(one.batch == job.batch and one.id != job.id for one in others)
