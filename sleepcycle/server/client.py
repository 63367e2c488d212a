"""The way to a running service, with the standard library alone."""

import hmac
import json
import re
import secrets
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from sleepcycle.errors import (
    Interrupted,
    NotFoundError,
    RunError,
    ServiceError,
    SleepcycleError,
    error_named,
)
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.access_token import prove, read_token
from sleepcycle.home.address import read_address
from sleepcycle.records.progress import OnProgress, progress_from
from sleepcycle.records.run_order import RunKind

LIVE_S = 1.0  # for `/livez`
LIVEZ_BYTES = 65536  # read of its answer, before we know whose it is
LOOK_S = 10.0  # for what only looks
ANSWER_S = 600.0  # for a rollback of a large adapter, or an import
POLL_S = 0.3
MAYBE = "the service may have begun the run; see: sleepcycle runs list"
LEFT = "the service goes on with the run; to stop it: sleepcycle runs cancel"
SEE = "sleepcycle runs list"

Json = dict[str, Any]
HOST = "127.0.0.1"
EVENT, DONE = b"data: ", b"[DONE]"
URL = re.compile(rf"http://{re.escape(HOST)}:(\d{{1,5}})")  # no service has another
CHALLENGE, PROOF = "X-Sleepcycle-Challenge", "X-Sleepcycle-Proof"


@dataclass(frozen=True, slots=True)
class Client:
    """The way to a service, which is told the token only where it knows it."""

    pid: int
    url: str
    token: str

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Ask the service, and return what it answers.

        Raises:
            ServiceError: It cannot be reached, or does not answer as it should.
            SleepcycleError: It refused; the error is the one that it met, where we
                have one of that name.
        """
        patience_s = LOOK_S if method == "GET" else ANSWER_S
        status, answer = self._ask(method, path, body, patience_s)
        if 200 <= status < 300:  # no redirection is followed
            return answer
        raise error_of(answer)

    def stream(self, path: str, body: Json) -> Generator[Json]:
        """Yield the parts of an answer as it is being written.

        Who stops to read lets the service write no more of it.

        Args:
            path: One of OpenAI's addresses.
            body: What is asked.

        Raises:
            ServiceError: It refused, or the answer broke off.
        """
        asked = {**body, "stream": True}
        with self._asked("POST", path, asked, ANSWER_S) as answer:
            if answer.status != 200:
                raise error_of(json.loads(answer.read()))
            for data in _events(answer):
                if data == DONE:
                    return
                part = json.loads(data)
                if "error" in part:
                    raise error_of(part)
                yield part
        raise ServiceError(
            f"expected an answer of the service (pid {self.pid}) to its end, got a "
            "part of it; ask again, and see the service's log"
        )

    def run(self, kind: RunKind, on_progress: OnProgress) -> Json:
        """Let the service run a wake or a night now, and return its outcome.

        Ctrl-C cancels the run; once more, and the run goes on without us.

        Raises:
            ServiceError: The service ended before the run did.
            Interrupted: The run was cancelled, or goes on without us.
            SleepcycleError: The run could not begin, or failed as it would here.
        """
        path = f"/api/job/{self._begin(kind)}"
        stops = 0
        while True:
            try:
                found = self._look(path)
                if found["state"] != "running":
                    break
                if found["progress"]:
                    on_progress(progress_from(found["progress"]))
                if stops == 1 and found["run"]:
                    self._cancel(found["run"])
                    stops = 2
                time.sleep(POLL_S)
            except KeyboardInterrupt as stop:
                stops += 1
                if stops > 1:
                    raise Interrupted(LEFT) from stop
        if found["state"] == "done":
            return dict(found["outcome"])
        raise error_of(found)

    def greet(self) -> None:
        """Expect that it answers at once.

        Raises:
            ServiceError: It does not, or is not the service of this home.
        """
        self._ask("GET", "/livez", None, LIVE_S)

    def _begin(self, kind: RunKind) -> str:
        """Ask for a run, and return the job's name."""
        try:
            return str(self.call("POST", f"/api/{kind}")["job"])
        except KeyboardInterrupt as stop:
            raise Interrupted(MAYBE) from stop

    def _look(self, path: str) -> Json:
        """Return how far a job is."""
        try:
            return self.call("GET", path)
        except ServiceError as error:
            raise ServiceError(f"{error}; what came of the run: {SEE}") from error

    def _cancel(self, run: int) -> None:
        """Stop a run; where that fails, as it has just ended, the next look tells."""
        with suppress(NotFoundError, RunError, ServiceError):
            self.call("POST", f"/api/runs/{run}/cancel")

    def _ask(
        self, method: str, path: str, body: Json | None, timeout_s: float
    ) -> tuple[int, Json]:
        """Send one request, and return status and body of the answer."""
        with self._asked(method, path, body, timeout_s) as answer:
            return answer.status, json.loads(answer.read())

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Json | None, timeout_s: float
    ) -> Iterator[HTTPResponse]:
        """Send one request, and yield the answer, to be read in the block.

        Raises:
            ServiceError: The service cannot be reached, or the block cannot read it.
        """
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        text = None if body is None else json.dumps(body)
        connection = HTTPConnection(HOST, self._port(), timeout=timeout_s)
        try:
            connection.connect()
            connection.auto_open = 0  # another connection could reach another process
            self._expect_proof(connection)
            connection.request(method, path, text, headers)
            with connection.getresponse() as answer:
                yield answer
        except SleepcycleError:
            raise
        except (OSError, HTTPException, ValueError) as error:
            raise ServiceError(
                f"the service (pid {self.pid}) at {self.url} does not answer: "
                f"{error!r}; see its log, or stop it: kill {self.pid}"
            ) from error
        finally:
            connection.close()

    def _port(self) -> int:
        """Return where it listens, on this machine alone."""
        found = URL.fullmatch(self.url)
        if found is None or not 0 < int(found[1]) < 2**16:
            raise ServiceError(
                f"expected daemon.json to name the service at http://{HOST}:PORT, got "
                f"{self.url!r}; start the service again"
            )
        return int(found[1])

    def _expect_proof(self, connection: HTTPConnection) -> None:
        """Let the other side show that it knows the token, without telling it."""
        challenge = secrets.token_hex(16)
        connection.request("GET", "/livez", headers={CHALLENGE: challenge})
        answer = connection.getresponse()
        answer.read(LIVEZ_BYTES)
        expected = prove(self.token, challenge, f"{connection.host}:{connection.port}")
        given = answer.headers.get(PROOF, "")
        if not hmac.compare_digest(given.encode("latin-1"), expected.encode()):
            raise ServiceError(
                f"expected that who answers at {self.url} knows the token of the home, "
                f"got no proof of it; start the service (pid {self.pid}) again"
            )


def reach(paths: HomePaths) -> Client | None:
    """Return the way to the service of a home, or None where none runs.

    What a service that was killed has left is nobody's, and never asked.

    Raises:
        ServiceError: Its process lives, but does not answer, or another does in its
            place; or what it wrote about itself cannot be read.
    """
    deadline = time.monotonic() + LIVE_S
    while True:
        client = _announced(paths)
        if client is None:
            return None
        try:
            client.greet()
        except ServiceError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
        else:
            return client


def _announced(paths: HomePaths) -> Client | None:
    """Return what a living service says about itself."""
    said = read_address(paths)
    if said is None or not said.is_alive():
        return None
    return Client(said.pid, said.url, read_token(paths))


def _events(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what server-sent events hold, each of one line."""
    for line in lines:
        if line.startswith(EVENT):
            yield line.removeprefix(EVENT).strip()


def error_of(told: Json) -> SleepcycleError:
    """Return the error that an answer tells of, in our shape or OpenAI's."""
    if isinstance(told.get("error"), dict):
        return ServiceError(str(told["error"].get("message")))
    name, message = str(told.get("error")), str(told.get("message"))
    return error_named(name, message, otherwise=ServiceError)
