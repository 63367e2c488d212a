"""The typed client of a service: what a home offers, over HTTP."""

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote, urlencode

from sleepcycle.errors import LostServiceError
from sleepcycle.records.progress import OnProgress, ignore_progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.server.client_bodies import opened
from sleepcycle.server.client_parts import (
    BatchClient,
    InboxClient,
    RunClient,
    TokenClient,
    VersionClient,
    record,
)
from sleepcycle.server.client_tuning import FileClient, TuningClient
from sleepcycle.server.event_reader import ServiceEvent, listen
from sleepcycle.server.job_watch import POLL_S, follow, outcome_of
from sleepcycle.server.transport import ANSWER_S, Json, Transport

if TYPE_CHECKING:
    from sleepcycle.backup.backup import Backup
    from sleepcycle.home.home import Answer
    from sleepcycle.home.versions import Switch
    from sleepcycle.records.example import FeedReport
    from sleepcycle.records.version import MadeFor, Version
    from sleepcycle.runs.context import Outcome

PATIENCE_S = 60.0  # for a service that is started again
CHAT = "/v1/chat/completions"
ROWS = "rows.jsonl"

Row = Mapping[str, Any]


class Client(Transport):
    """The way to a running service, from this machine or another.

    Each method asks the service once, and raises the error that it met: the classes of
    `sleepcycle.errors`, as a home raises them.

    Args:
        url: Where it is reached, such as `http://127.0.0.1:8344`.
        token: What `sleepcycle token new` printed; what it may do is its scopes.
    """

    @property
    def versions(self) -> VersionClient:
        """The versions, and what can be done with them."""
        return VersionClient(self)

    @property
    def batches(self) -> BatchClient:
        """The batches, and what can be done with them."""
        return BatchClient(self)

    @property
    def runs(self) -> RunClient:
        """The runs, on or over."""
        return RunClient(self)

    @property
    def inbox(self) -> InboxClient:
        """The completions that are kept, and what can be done with them."""
        return InboxClient(self)

    @property
    def files(self) -> FileClient:
        """The files that are kept, to be taught by jobs."""
        return FileClient(self)

    @property
    def tuning(self) -> TuningClient:
        """The jobs of fine-tuning, which teach a kept file each."""
        return TuningClient(self)

    @property
    def tokens(self) -> TokenClient:
        """The tokens that open the service."""
        return TokenClient(self)

    def feed(
        self,
        rows: str | PathLike[str] | BinaryIO | Iterable[Row],
        /,
        *,
        name: str | None = None,
        key: str | None = None,
        **options: str,
    ) -> "FeedReport":
        """Let the service take in examples as one batch; all of it or none.

        What is sent again under its key is fed once, and answered as it was before; so
        is what was sent on a connection that broke, whether it had come or not.

        Args:
            rows: A file of this machine, a stream of bytes, or rows. They are sent as
                they are read.
            name: What the file is called, by which it is told what it holds.
            key: The same bytes under the same key are fed once; a new one if None.
            options: Others of the route, such as `format` or `source`.

        Raises:
            FeedError: The file cannot be read, or too many of its rows are bad.
            TooLargeError: It is larger than the service takes.
            FeedKeyError: Other bytes were fed under the key.
            LostServiceError: The connection broke; the message names the key.
        """
        if not isinstance(rows, str | PathLike) and not hasattr(rows, "read"):
            lines = (json.dumps(row).encode() + b"\n" for row in rows)
            return self._feed(lines, {"name": name or ROWS, **options}, key)
        with opened(cast("str | PathLike[str] | BinaryIO", rows), name) as file:
            asked = {"name": file.name} if file.name else {}
            return self._feed(file.chunks(), {**asked, **options}, key, file.length())

    def _feed(
        self,
        data: Iterable[bytes],
        asked: Mapping[str, str],
        key: str | None,
        length: Mapping[str, str] | None = None,
    ) -> "FeedReport":
        """Send what is fed, in parts."""
        from sleepcycle.records.example import FeedReport

        key = key or secrets.token_hex(16)
        kind = {"Content-Type": "application/octet-stream", "Idempotency-Key": key}
        headers = kind | dict(length or {})
        path = f"/api/feed?{urlencode(asked)}"
        try:
            return record(self.send("POST", path, data, headers, ANSWER_S), FeedReport)
        except LostServiceError as error:
            raise LostServiceError(
                f"{error}; it is not known whether the batch was stored: feed the same "
                f"again with key={key!r}, under which it is fed once"
            ) from error

    def wake(self, on_progress: OnProgress = ignore_progress) -> "Outcome":
        """Let the service learn what is pending now, and wait for it.

        Raises:
            RunError: Nothing is pending, or training failed.
            Interrupted: The run was cancelled, or goes on without us.
        """
        return self._outcome(RunKind.WAKE, on_progress)

    def sleep(self, on_progress: OnProgress = ignore_progress) -> "Outcome":
        """Let the service run a night now, and wait for it.

        Raises:
            RunError: Nothing was learned since the last night, or folding failed.
            Interrupted: The run was cancelled, or goes on without us.
        """
        return self._outcome(RunKind.SLEEP, on_progress)

    def run(self, kind: RunKind, on_progress: OnProgress) -> Json:
        """Let the service run a wake or a night now, and return its outcome.

        Ctrl-C cancels the run; once more, and the run goes on without us.

        Raises:
            ServiceError: The service ended before the run did.
            Interrupted: The run was cancelled, or goes on without us.
            SleepcycleError: The run could not begin, or failed as it would here.
        """
        return follow(self, kind, on_progress)

    def ask(
        self, prompt: str, *, version: str = "live", max_new_tokens: int = 64
    ) -> "Answer":
        """Let a version answer a prompt, greedily.

        Args:
            prompt: What the user says.
            version: Version or alias.
            max_new_tokens: Longest answer.
        """
        from sleepcycle.home.home import Answer

        asked = {
            "prompt": prompt,
            "version": version,
            "max_new_tokens": max_new_tokens,
        }
        return record(self.call("POST", "/api/ask", asked), Answer)

    def chat(
        self, messages: Sequence[Row], *, version: str = "live", **options: object
    ) -> Iterator[str]:
        """Yield an answer to a conversation as it is being written.

        Args:
            messages: Turns with `role` and `content`, as OpenAI's API takes them.
            version: Version or alias.
            options: Others of that API, such as `temperature` or `max_tokens`.
        """
        asked = {**options, "model": version, "messages": list(messages)}
        for part in self.stream(CHAT, asked):
            for choice in part["choices"]:
                if text := choice["delta"].get("content"):
                    yield text

    def events(
        self, after: int | None = None, *, patience_s: float = PATIENCE_S
    ) -> Iterator[ServiceEvent]:
        """Yield what changes, without end; a stream that is lost is resumed.

        Args:
            after: Begin behind this entry of the journal; None for now.
            patience_s: For a service that cannot be reached, as one that is started
                again.

        Raises:
            ServiceError: It was not there for that long, or refused.
            NotFoundError: Its journal has not come that far.
        """
        return listen(self, after, patience_s)

    def status(self) -> Json:
        """Return where the home stands, and what the service does."""
        return dict(self.call("GET", "/api/status"))

    def doctor(self) -> Json:
        """Return what the doctor finds."""
        return dict(self.call("GET", "/api/doctor", patience_s=ANSWER_S))

    def evaluate(self, names: Sequence[str] = ()) -> Json:
        """Score versions on what was held out, and return what `evaluate` prints.

        Raises:
            VersionError: A version is unknown, or there is no night yet.
            NotFoundError: Nothing is held out.
        """
        job = self.call("POST", "/api/evaluate", {"versions": list(names)})["job"]
        while (found := self.call("GET", f"/api/job/{job}"))["state"] == "running":
            time.sleep(POLL_S)
        return outcome_of(found)

    def backup(self, path: str | PathLike[str] | None = None) -> "Backup":
        """Let the service back its home up, into a file of its own machine."""
        from sleepcycle.backup.backup import Backup

        asked = {} if path is None else {"path": str(path)}
        return record(self.call("POST", "/api/backup", asked), Backup)

    def rollback(self, name: str = "previous", *, requeue: bool = False) -> "Switch":
        """Make an older version live again.

        Raises:
            VersionError: There is no such version.
        """
        asked = {"version": name, "requeue": requeue}
        return self._switch("/api/rollback", asked)

    def promote(self, name: str) -> "Switch":
        """Make a version live.

        Raises:
            VersionError: There is no such version.
        """
        return self._switch(f"/api/versions/{quote(name, safe='')}/promote", None)

    def import_adapter(
        self, source: str | PathLike[str], *, force: bool = False
    ) -> "tuple[Version, MadeFor]":
        """Take in an adapter from a folder of the service's machine; it is not live.

        Returns:
            The version, and which base it was made for.
        """
        from sleepcycle.records.version import MadeFor, Version

        asked = {"path": str(source), "force": force}
        found = self.call("POST", "/api/versions/import", asked)
        made_for = MadeFor(found.pop("made_for"), found.pop("warning"))
        return record(found, Version), made_for

    def cancel(self, run: int) -> int | None:
        """Stop a run, or undo one that is paused.

        Returns:
            How many examples are pending again; None where the run was asked to stop.
        """
        released: int | None = self.call("POST", f"/api/runs/{run}/cancel")["released"]
        return released

    def pause(self) -> None:
        """Let no wake and no night begin by itself."""
        self.call("POST", "/api/pause")

    def resume(self) -> None:
        """Let them begin again."""
        self.call("POST", "/api/resume")

    def _outcome(self, kind: RunKind, on_progress: OnProgress) -> "Outcome":
        """Run a wake or a night, and return its record."""
        from sleepcycle.runs.context import Outcome

        return record(self.run(kind, on_progress), Outcome)

    def _switch(self, path: str, asked: Json | None) -> "Switch":
        """Let another version be live."""
        from sleepcycle.home.versions import Switch

        return record(self.call("POST", path, asked), Switch)
