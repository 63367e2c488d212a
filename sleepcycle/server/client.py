"""The way to the running service of a home on this machine, which must prove itself."""

import hmac
import re
import secrets
import time
from dataclasses import dataclass
from http.client import HTTPConnection

from sleepcycle.errors import ServiceError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.access_token import prove, read_token
from sleepcycle.home.address import read_address
from sleepcycle.server.api_client import Client

LIVE_S = 1.0  # for `/livez`
LIVEZ_BYTES = 65536  # read of its answer, before we know whose it is
POLL_S = 0.3
HOST = "127.0.0.1"
URL = re.compile(rf"http://{re.escape(HOST)}:(\d{{1,5}})")  # no service has another
CHALLENGE, PROOF = "X-Sleepcycle-Challenge", "X-Sleepcycle-Proof"


@dataclass(frozen=True)
class LocalClient(Client):
    """The way to a service, which is told the token only where it knows it."""

    pid: int

    @property
    def named(self) -> str:
        """What errors call the service."""
        return f"the service (pid {self.pid}) at {self.url}"

    @property
    def advice(self) -> str:
        """What to do where it does not answer."""
        return f"see its log, or stop it: kill {self.pid}"

    def greet(self) -> None:
        """Expect that it answers at once.

        Raises:
            ServiceError: It does not, or is not the service of this home.
        """
        self.call("GET", "/livez", patience_s=LIVE_S)

    def sign_in_link(self) -> dict[str, str]:
        """Return a link to the dashboard that works once, and until when."""
        made: dict[str, str] = self.call("POST", "/api/sign-in-links")
        return made

    def connected(self, patience_s: float) -> HTTPConnection:
        """Return a connection to this machine alone, that is not open yet.

        Raises:
            ServiceError: The address is another.
        """
        found = URL.fullmatch(self.url)
        if found is None or not 0 < int(found[1]) < 2**16:
            raise ServiceError(
                f"expected daemon.json to name the service at http://{HOST}:PORT, got "
                f"{self.url!r}; start the service again"
            )
        return HTTPConnection(HOST, int(found[1]), timeout=patience_s)

    def prepare(self, connection: HTTPConnection) -> None:
        """Let the other side show that it knows the token, without telling it.

        Raises:
            ServiceError: It does not.
        """
        connection.connect()
        connection.auto_open = 0  # another connection could reach another process
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


def reach(paths: HomePaths) -> LocalClient | None:
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


def _announced(paths: HomePaths) -> LocalClient | None:
    """Return what a living service says about itself."""
    said = read_address(paths)
    if said is None or not said.is_alive():
        return None
    return LocalClient(said.url, read_token(paths), said.pid)
