"""One HTTP exchange with a server that the owner named, bounded in time and size."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from sleepcycle.errors import PublishError

MOST_BYTES = 1 << 20  # of an answer; a list of a thousand models has some 300 KB
SHOWN = 300  # letters of what a server says


@dataclass(frozen=True, slots=True)
class ServerReply:
    """What a server answered."""

    status: int
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether it did what was asked; a redirection is none, and not followed."""
        return 200 <= self.status < 300

    def json(self) -> Any:  # noqa: ANN401 - whatever a foreign server says
        """Return the body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def words(self) -> str:
        """Return what the server says of a fault, on one line and cut short."""
        told = self.json()
        inner = told.get("error") if isinstance(told, dict) else None
        if isinstance(inner, dict):
            told = inner
        for key in ("message", "error_message", "detail", "error"):
            if isinstance(told, dict) and isinstance(told.get(key), str):
                return _line(told[key])
        return _line(self.body[: 4 * SHOWN].decode("utf-8", "replace"))


def send(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
) -> ServerReply:
    """Send one request, and return the answer, whatever its status.

    Args:
        method: Such as `GET`.
        url: A whole address, checked by the settings.
        body: JSON, or None.
        headers: Beside those of JSON.
        timeout_s: For all of it, however slowly the server answers.

    Raises:
        PublishError: The server cannot be reached, takes too long, says what is no
            HTTP, or too much.
    """
    parts = urlsplit(url)
    path = parts.path or "/"
    given = {"Accept": "application/json", **(headers or {})}
    if body is not None:
        given["Content-Type"] = "application/json"
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, timeout_s)
    late = threading.Event()
    try:
        connection.connect()
        with _ended(connection.sock, timeout_s, late):
            connection.request(method, path, body, given)
            with connection.getresponse() as answer:
                reply = ServerReply(answer.status, _read(answer))
    except (OSError, HTTPException, ValueError) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            raise _too_late(method, url, timeout_s) from error
        said = _line(str(error)) or type(error).__name__
        raise PublishError(
            f"expected an answer to {method} {url}, got: {said}; is the server up?"
        ) from error
    finally:
        connection.close()
    if late.is_set():
        raise _too_late(method, url, timeout_s)
    return reply


@contextmanager
def _ended(
    channel: socket.socket, after_s: float, late: threading.Event
) -> Iterator[None]:
    """Shut a connection once a block takes too long, and set `late`.

    A time limit of the socket alone would begin anew with each byte.
    """

    def end() -> None:
        late.set()
        with suppress(OSError):
            channel.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(after_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _too_late(method: str, url: str, timeout_s: float) -> PublishError:
    """Return the error for an answer that did not come in time."""
    return PublishError(
        f"expected an answer to {method} {url} within {timeout_s:g} s, got none"
    )


def _connection(
    scheme: str, host: str, port: int | None, timeout_s: float
) -> HTTPConnection:
    """Return a connection that is not open yet."""
    if scheme == "https":
        context = ssl.create_default_context()
        return HTTPSConnection(host, port, timeout=timeout_s, context=context)
    return HTTPConnection(host, port, timeout=timeout_s)


def _read(answer: HTTPResponse) -> bytes:
    """Return the body of an answer.

    Raises:
        ValueError: It is too long.
    """
    body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} bytes")
    return body


def _line(text: str) -> str:
    """Return text of a server as one line without control characters, cut short."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    words = " ".join(plain.split())
    return words if len(words) <= SHOWN else f"{words[: SHOWN - 1]}…"
