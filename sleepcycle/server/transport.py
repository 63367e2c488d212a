"""The way to a service over HTTP, with the standard library alone."""

import errno
import json
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
)
from typing import Any
from urllib.parse import urlsplit

from sleepcycle.errors import (
    BusyError,
    ConfigError,
    DiskError,
    LostServiceError,
    NotFoundError,
    ServiceError,
    SleepcycleError,
    TooLargeError,
    VersionError,
    error_named,
)

LOOK_S = 10.0  # for what only looks
ANSWER_S = 600.0  # for a rollback of a large adapter, or an import
DONE = "[DONE]"
FULL = 507  # the status where a disk only lacks room
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750
JSON_TYPE = "application/json"

OPENAI_CODES = {"not_found": NotFoundError, "model_not_found": VersionError}
"""Our errors by what OpenAI calls them."""

Json = dict[str, Any]
Data = bytes | Iterable[bytes] | None


class OpenaiRefusedError(ServiceError):
    """What is refused at one of OpenAI's addresses.

    Args:
        told: The error, as it was answered.
    """

    def __init__(self, told: Json) -> None:
        super().__init__(str(told.get("message")))
        self.type, self.code = told.get("type"), told.get("code")
        self.param = told.get("param")


@dataclass(frozen=True)
class Transport:
    """Sends requests to one service."""

    url: str
    """Such as `http://127.0.0.1:8344`; what stands behind a proxy may have a path."""

    token: str = field(repr=False)

    @property
    def named(self) -> str:
        """What errors call the service."""
        return f"the service at {self.url}"

    @property
    def advice(self) -> str:
        """What to do where it does not answer."""
        return "see whether it runs, and its log"

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        patience_s: float | None = None,
    ) -> Any:  # noqa: ANN401 - what the route answers
        """Ask the service, and return what it answers.

        Raises:
            ServiceError: It cannot be reached, or does not answer as it should.
            SleepcycleError: It refused; the error is the one that it met, where we
                have one of that name.
        """
        usual_s = LOOK_S if method == "GET" else ANSWER_S
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": JSON_TYPE}
        return self.send(method, path, data, headers, patience_s or usual_s)

    def send(
        self, method: str, path: str, data: Data, headers: Json, patience_s: float
    ) -> Any:  # noqa: ANN401 - what the route answers
        """Send a body of any kind, and return what the service answers.

        Raises:
            SleepcycleError: As for `call`.
        """
        with self.asked(method, path, data, headers, patience_s) as answer:
            told = json.loads(answer.read())
            if 200 <= answer.status < 300:  # no redirection is followed
                return told
            raise refusal_of(answer, told)

    def stream(self, path: str, body: Json) -> Generator[Json]:
        """Yield the parts of an answer as it is being written.

        Who stops to read lets the service write no more of it.

        Args:
            path: One of OpenAI's addresses.
            body: What is asked.

        Raises:
            ServiceError: It refused, or the answer broke off.
        """
        data = json.dumps({**body, "stream": True}).encode()
        headers = {"Content-Type": JSON_TYPE}
        with self.asked("POST", path, data, headers, ANSWER_S) as answer:
            if answer.status != 200:
                raise refusal_of(answer, json.loads(answer.read()))
            for event in events_of(answer):
                if event["data"] == DONE:
                    return
                part = json.loads(event["data"])
                if "error" in part:
                    raise error_of(part)
                yield part
        raise ServiceError(
            f"expected an answer of {self.named} to its end, got a part of it; ask "
            "again, and see the service's log"
        )

    @contextmanager
    def asked(
        self, method: str, path: str, data: Data, headers: Json, patience_s: float
    ) -> Iterator[HTTPResponse]:
        """Send one request, and yield the answer, to be read in the block.

        Raises:
            ServiceError: The service cannot be reached, or the block cannot read it.
        """
        if not TOKEN.fullmatch(self.token):
            raise ConfigError("expected a token as `sleepcycle token new` prints it")
        shown = {"Authorization": f"Bearer {self.token}", **headers}
        connection = self.connected(patience_s)
        try:
            self.prepare(connection)
            with _sent(connection, method, self._path(path), data, shown) as answer:
                yield answer
        except SleepcycleError:
            raise
        except (OSError, HTTPException, ValueError) as error:
            raise LostServiceError(
                f"{self.named} does not answer: {error!r}; {self.advice}"
            ) from error
        finally:
            connection.close()

    def connected(self, patience_s: float) -> HTTPConnection:
        """Return a connection that is not open yet.

        Raises:
            ConfigError: The URL is none of a service.
        """
        parts = urlsplit(self.url)
        kinds = {"http": HTTPConnection, "https": HTTPSConnection}
        if parts.scheme not in kinds or not parts.hostname or "@" in parts.netloc:
            raise ConfigError(
                f"expected the URL of a service as http://HOST:PORT, got {self.url!r}"
            )
        kind: type[HTTPConnection] = kinds[parts.scheme]
        return kind(parts.hostname, parts.port, timeout=patience_s)

    def prepare(self, connection: HTTPConnection) -> None:
        """Open a connection, before anything is told by it."""
        connection.connect()

    def _path(self, path: str) -> str:
        """Return a path below the one that the URL has."""
        return urlsplit(self.url).path.rstrip("/") + path


@contextmanager
def _sent(
    connection: HTTPConnection, method: str, path: str, data: Data, headers: Json
) -> Iterator[HTTPResponse]:
    """Send a request, and yield the answer, also of who did not take all of it."""
    try:
        connection.request(method, path, data, headers)
    except (BrokenPipeError, ConnectionResetError):
        if data is None:  # the answer says why a body was not taken
            raise
    with connection.getresponse() as answer:
        yield answer


def events_of(lines: Iterable[bytes]) -> Iterator[dict[str, str]]:
    """Yield server-sent events by their fields; comments are left out."""
    found: dict[str, str] = {}
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        name, _, value = line.partition(":")
        if name:
            found[name] = value.removeprefix(" ")
        elif not line and "data" in found:
            yield found
            found = {}


def refusal_of(answer: HTTPResponse, told: Json) -> SleepcycleError:
    """Return the error of an answer; with when to ask again, where it says so."""
    error, after = error_of(told), answer.headers.get("Retry-After", "")
    if answer.status in {429, 503} and after.isdecimal():
        return BusyError(str(error), retry_s=int(after))
    if answer.status == FULL and isinstance(error, DiskError):
        error.errno = errno.ENOSPC
    return TooLargeError(str(error)) if answer.status == 413 else error


def error_of(told: Json) -> SleepcycleError:
    """Return the error that an answer tells of, in our shape or OpenAI's."""
    if isinstance(told.get("error"), dict):
        refusal = OpenaiRefusedError(told["error"])
        kind = OPENAI_CODES.get(str(refusal.code))
        return refusal if kind is None else kind(str(refusal))
    name, message = str(told.get("error")), str(told.get("message"))
    return error_named(name, message, otherwise=ServiceError)
