"""Jobs of fine-tuning: a kept file is fed, and learned by the next wake."""

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

from starlette.concurrency import run_in_threadpool

from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.errors import (
    FeedError,
    ServiceError,
    TuningError,
    VersionError,
)
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.home.home import Home
from sleepcycle.home.uploads import UploadRegistry
from sleepcycle.records.example import FeedKey
from sleepcycle.records.tuning import TuningJob, TuningState
from sleepcycle.records.upload import Upload
from sleepcycle.server.feed_desk import FeedDesk
from sleepcycle.server.tuning_requests import JobRequest

STOP_S = 20.0  # for a run to let go of its examples
POLL_S = 0.1
TUNABLE = ("live", "day")  # what a wake goes on from, by its names

Event = dict[str, Any]


@dataclass(frozen=True)
class FineTuning:
    """Takes in what clients of OpenAI's want to be learned."""

    desk: FeedDesk
    uploads: UploadRegistry

    @property
    def home(self) -> Home:
        """The home, by the settings of the moment."""
        return self.desk.home

    @property
    def scheduler(self) -> Scheduler:
        """What decides when it is learned."""
        return self.desk.scheduler

    async def create(self, asked: JobRequest) -> TuningJob:
        """Feed a file as a batch, and let it be learned.

        A file that was fed for an earlier job is not fed again, and its batch is this
        job's too.

        Raises:
            TuningError: It asks for what is not done, or the file cannot be fed.
            VersionError: There is no such model.
            NotFoundError: There is no such file.
        """
        upload = await run_in_threadpool(self._file_for, asked)
        batch = await self._batch_of(upload)
        return await run_in_threadpool(self._begin, asked, batch)

    def _file_for(self, asked: JobRequest) -> Upload:
        """Return the file of a job that can be done.

        Raises:
            TuningError: It asks for what is not done.
            VersionError: There is no such model.
            NotFoundError: There is no such file.
        """
        asked.expect_done()
        self._expect_tunable(asked.model)
        return self.uploads.get(asked.training_file)

    def _begin(self, asked: JobRequest, batch: int) -> TuningJob:
        """Write down a job, and let its batch be learned."""
        job = self.home.tuning.create(
            batch, file=asked.training_file, model=asked.model, metadata=asked.pairs()
        )
        if job.state is TuningState.OPEN:
            self.scheduler.tune()
        return self.home.tuning.get(job.id)

    def cancel(self, name: str) -> TuningJob:
        """Cancel a job; a run that learns its batch for it alone is stopped.

        Raises:
            NotFoundError: There is none of that name.
            TuningError: It is over.
            ServiceError: The run goes on; it was asked to stop.
        """
        self.scheduler.cancel_tuning(name)
        until = time.monotonic() + STOP_S
        while (job := self.home.tuning.get(name)).state is TuningState.OPEN:
            if time.monotonic() > until:
                raise ServiceError(
                    f"expected run {job.run} to stop for {name}, and it goes on; look "
                    "at it again later"
                )
            time.sleep(POLL_S)
        return job

    def events(self, name: str) -> list[Event]:
        """Return what happened to a job, oldest first.

        Raises:
            NotFoundError: There is none of that name.
        """
        home = self.home
        job = home.tuning.get(name)
        batch, _ = home.batches.get(job.batch)
        at = job.created_at
        said = [
            _said(
                at,
                f"{job.file} is batch {batch.id}: of {batch.lines} rows "
                f"{batch.accepted} are new, {batch.duplicate} known already, "
                f"{batch.held_out} held out",
            )
        ]
        if batch.quarantined:
            rows = Counter(row.code for row in home.batches.bad_rows(batch.id))
            words = f"{batch.quarantined} rows were quarantined; see them: sleepcycle "
            words += f"batches quarantine {batch.id}"
            said.append(_said(at, words, "warn", {"reasons": dict(rows)}))
        said += self._of_run(job)
        if job.ended_at is not None:
            level = "error" if job.state is TuningState.FAILED else "info"
            became = f"; the model is v{job.version}" if job.version else ""
            why = f": {job.error}" if job.error else became
            said.append(_said(job.ended_at, f"the job has {job.state}{why}", level))
        return [{"id": f"ftevent-{n}-{job.id}", **one} for n, one in enumerate(said)]

    def _of_run(self, job: TuningJob) -> list[Event]:
        """Return what is known of the run that learns a job's examples now."""
        if job.run is None:
            return []
        began = self.home.runs.get(job.run).started_at
        said = [_said(began, f"run {job.run} learns it")]
        state = self.scheduler.state()
        if state.run == job.run and state.progress is not None:
            now = state.progress
            data = {"step": now.step, "total_steps": now.steps, "train_loss": now.loss}
            words = f"{now.stage}: step {now.step} of {now.steps}"
            said.append(_said(began, words, data=data, type_="metrics"))
        return said

    def _expect_tunable(self, name: str) -> None:
        """Refuse another model than a wake goes on from.

        Raises:
            TuningError: It is another version.
            VersionError: There is none of that name.
        """
        versions = self.home.versions
        if name in {self.scheduler.settings.model.base, versions.base.id}:
            return
        found = versions.get(name).number
        for alias in TUNABLE:
            with suppress(VersionError):
                if versions.get(alias).number == found:
                    return
        raise TuningError(
            f"expected the base, live or another name of what is live, got {name!r}, "
            "which is not; to fine-tune it make it live: sleepcycle rollback",
            param="model",
            code="model_not_available",
        )

    async def _batch_of(self, upload: Upload) -> int:
        """Feed a file, and return its batch; that of an earlier job, where it was fed.

        Who asks for a file that is being fed waits for its batch.

        Raises:
            TuningError: It cannot be fed.
        """
        told = f"file\t{upload.sha256}"  # no client can send a tab in a key
        key = FeedKey(told, sha256(told.encode()).digest())
        options = FeedOptions(source=upload.id, key=key)
        reader = partial(self.uploads.reader, upload)
        try:
            async with self.desk.waiting(told):
                outcome = await self.desk.store(reader, options)
        except FeedError as error:
            raise TuningError(
                str(error), param="training_file", code="invalid_training_file"
            ) from error
        return outcome.report.stored_batch()


def _said(
    at: datetime,
    words: str,
    level: str = "info",
    data: dict[str, Any] | None = None,
    type_: str = "message",
) -> Event:
    """Return one event in OpenAI's shape, but for its id."""
    return {
        "object": "fine_tuning.job.event",
        "created_at": int(at.timestamp()),
        "level": level,
        "message": words,
        "data": data,
        "type": type_,
    }
