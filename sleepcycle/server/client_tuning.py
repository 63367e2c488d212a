"""Parts of the client: files that a service keeps, and jobs of fine-tuning."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from os import PathLike
from typing import Any, BinaryIO
from urllib.parse import quote

from sleepcycle.errors import LostServiceError, TuningError
from sleepcycle.server.client_bodies import CHUNK, FileForm, opened
from sleepcycle.server.client_parts import ClientPart
from sleepcycle.server.transport import ANSWER_S, Json, OpenaiRefusedError, refusal_of

FILES = "/v1/files"
JOBS = "/v1/fine_tuning/jobs"
PURPOSE = "fine-tune"
PAGE = 100  # rows of one answer
WRONG = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that a service keeps, to be taught."""

    id: str
    name: str
    size_bytes: int
    purpose: str
    created_at: datetime


class JobStatus(StrEnum):
    """How far a job of fine-tuning is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class FineTuningJob:
    """A kept file that is to be learned."""

    id: str
    status: JobStatus
    model: str
    """What is taught, as it was named."""

    file: str
    """Id of the file, which may be gone."""

    version: str | None
    """What it became, such as `v3`."""

    created_at: datetime
    ended_at: datetime | None
    tokens: int | None
    """That were learned."""

    error: str | None
    metadata: dict[str, str]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status not in {JobStatus.QUEUED, JobStatus.RUNNING}


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What happened to a job."""

    id: str
    at: datetime
    level: str
    """`info`, `warn` or `error`."""

    message: str
    data: Json | None
    """Why rows were refused, or how far the run is."""


class TuningPart(ClientPart):
    """What asks at OpenAI's addresses of fine-tuning."""

    def ask(self, method: str, path: str, body: Json | None = None) -> Any:  # noqa: ANN401
        """Ask the service, and return what it answers.

        Raises:
            TuningError: It cannot be done; `param` and `code` say what is wrong.
            NotFoundError: There is no such file or job.
            ServiceError: As for `Transport.call`.
        """
        with _tuning():
            return self.service.call(method, path, body)

    def rows(self, path: str) -> Iterator[Json]:
        """Yield the rows of all pages of a list in OpenAI's shape."""
        query = f"?limit={PAGE}"
        while True:
            page = self.ask("GET", path + query)
            yield from page["data"]
            if not page["has_more"]:
                return
            query = f"?limit={PAGE}&after={quote(page['last_id'], safe='')}"


class FileClient(TuningPart):
    """The files that a service keeps, to be taught."""

    def upload(
        self, file: str | PathLike[str] | BinaryIO, name: str | None = None
    ) -> KeptFile:
        """Let the service keep a file; nothing of it is fed before a job asks for that.

        Args:
            file: A file of this machine, or a stream of bytes; it is sent in parts.
            name: What it is called; that of the file if None.

        Raises:
            FeedError: The file cannot be read.
            TooLargeError: It is larger than the service takes.
            TuningError: No more files can be kept.
        """
        with opened(file, name) as sent, _tuning():
            form = FileForm.of(sent, PURPOSE)
            told = self.service.send(
                "POST", FILES, form.chunks(), form.headers, ANSWER_S
            )
        return _kept(told)

    def listing(self) -> list[KeptFile]:
        """Return the files that are kept, newest first."""
        return [_kept(row) for row in self.rows(FILES)]

    def get(self, name: str) -> KeptFile:
        """Return what is known of one file, by its id."""
        return _kept(self.ask("GET", _at(FILES, name)))

    def content(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of one file, a part at a time.

        Raises:
            NotFoundError: There is none of that id.
            LostServiceError: They broke off.
        """
        path = f"{_at(FILES, name)}/content"
        with _tuning(), self.service.asked("GET", path, None, {}, ANSWER_S) as answer:
            if answer.status != 200:
                raise refusal_of(answer, json.loads(answer.read()))
            while part := answer.read(CHUNK):
                yield part
            if answer.length:
                raise LostServiceError(
                    f"expected {answer.length} bytes more of {name}, and it broke off"
                )

    def delete(self, name: str) -> None:
        """Delete a file; what a job has fed of it is learned all the same."""
        self.ask("DELETE", _at(FILES, name))


class TuningClient(TuningPart):
    """The jobs of fine-tuning of a service."""

    def create(
        self,
        file: str,
        *,
        model: str = "live",
        metadata: Mapping[str, str] | None = None,
    ) -> FineTuningJob:
        """Feed a kept file, and let it be learned now, or once what is on is over.

        The same file again is another job of the same batch, so this can be asked anew
        where the answer was lost.

        Args:
            file: Id of the file.
            model: The base, `live`, or another name of what is live.
            metadata: Words of your own.

        Raises:
            TuningError: The file cannot be fed, or the model is not taught.
            NotFoundError: There is no such file.
            VersionError: There is no such model.
        """
        asked = {
            "training_file": file,
            "model": model,
            "metadata": dict(metadata or {}),
        }
        return _job(self.ask("POST", JOBS, asked))

    def listing(self) -> list[FineTuningJob]:
        """Return jobs, newest first."""
        return [_job(row) for row in self.rows(JOBS)]

    def get(self, name: str) -> FineTuningJob:
        """Return one job by its id, as it is now."""
        return _job(self.ask("GET", _at(JOBS, name)))

    def cancel(self, name: str) -> FineTuningJob:
        """Let what waits of a job never be learned.

        Raises:
            TuningError: It is over.
        """
        return _job(self.ask("POST", f"{_at(JOBS, name)}/cancel"))

    def events(self, name: str) -> list[JobEvent]:
        """Return what happened to a job, oldest first."""
        rows = self.rows(f"{_at(JOBS, name)}/events")
        return [_event(row) for row in rows][::-1]


@contextmanager
def _tuning() -> Iterator[None]:
    """Turn what is refused in a block into the error that the service met."""
    try:
        yield
    except OpenaiRefusedError as error:
        if error.type != WRONG:
            raise
        raise TuningError(str(error), error.param, error.code) from error


def _at(path: str, name: str) -> str:
    """Return the address of one row of a list."""
    return f"{path}/{quote(name, safe='')}"


def _time(seconds: int) -> datetime:
    """Return a time that OpenAI's shape has in seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def _kept(row: Json) -> KeptFile:
    """Return a file as its record."""
    made = _time(row["created_at"])
    return KeptFile(row["id"], row["filename"], row["bytes"], row["purpose"], made)


def _job(row: Json) -> FineTuningJob:
    """Return a job as its record."""
    ended = row["finished_at"]
    return FineTuningJob(
        id=row["id"],
        status=JobStatus(row["status"]),
        model=row["model"],
        file=row["training_file"],
        version=row["fine_tuned_model"],
        created_at=_time(row["created_at"]),
        ended_at=None if ended is None else _time(ended),
        tokens=row["trained_tokens"],
        error=row["error"] and row["error"]["message"],
        metadata=row["metadata"],
    )


def _event(row: Json) -> JobEvent:
    """Return an event as its record."""
    at = _time(row["created_at"])
    return JobEvent(row["id"], at, row["level"], row["message"], row["data"])
