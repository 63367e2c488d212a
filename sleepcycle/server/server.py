"""The HTTP server: uvicorn on the loopback interface, in a thread of its own.

It listens on another address too where the settings name one.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI

from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.errors import ServiceError
from sleepcycle.files.paths import HomePaths
from sleepcycle.server.connections import BoundedProtocol, most_at_once
from sleepcycle.server.library_log import divert
from sleepcycle.server.routes import Extend, create_app
from sleepcycle.settings.serveconfig import LOOPBACK, ServeSettings

PATIENCE_S = 10.0  # until the thread serves, or ends
POLL_S = 0.01
DRAIN_S = 2  # for requests that are being answered when it stops
BATCH = 4  # accepted in one turn: of those that there may be, one in so many
ACCEPT_TURNS = 3  # of the loop: a connection is taken, made, and told to its protocol
QUEUE = 1024  # that the system keeps until then; they cost no file handle


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    port: int
    http: uvicorn.Server
    thread: threading.Thread
    end_streams: Callable[[], None]
    """Lets answers come to an end that would go on for as long as they are read."""

    @property
    def url(self) -> str:
        """Where it is reached from this machine."""
        return f"http://{LOOPBACK}:{self.port}"

    def stop(self, patience_s: float = PATIENCE_S) -> None:
        """Answer what is being asked, and end; wait no longer than that."""
        self.http.should_exit = True
        self.end_streams()
        self.thread.join(patience_s)


class _HttpServer(uvicorn.Server):
    """uvicorn's server, which also ends the connections that it took last.

    uvicorn ends those that their protocols know, while others are still being made:
    these it would wait for until it gives up, and leave open.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and end all that were taken."""
        for listener in self.servers:
            listener.close()
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        await super().shutdown(sockets)


def start(
    scheduler: Scheduler,
    token: str,
    paths: HomePaths,
    settings: ServeSettings,
    extend: Extend | None = None,
) -> Server:
    """Serve the control of a home, and return once it answers.

    Raises:
        ServiceError: The port is taken.
    """
    return serve_app(create_app(scheduler, token, paths, settings, extend), settings)


def serve_app(app: FastAPI, settings: ServeSettings) -> Server:
    """Serve an app where the settings say.

    Raises:
        ServiceError: The port is taken, or the server did not come up.
    """
    divert()
    most = most_at_once()
    channels = _listen(settings)
    http = _HttpServer(
        uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=max(1, most // BATCH),
            limit_concurrency=most + 1,
            timeout_graceful_shutdown=DRAIN_S,
        )
    )
    thread = threading.Thread(
        target=http.run, args=(channels,), name="http", daemon=True
    )
    thread.start()
    end_streams = getattr(app.state, "end_streams", lambda: None)
    server = Server(channels[0].getsockname()[1], http, thread, end_streams)
    _await(server)
    for channel in channels:
        channel.listen(QUEUE)  # uvicorn has set it to the batch
    return server


def _listen(settings: ServeSettings) -> list[socket.socket]:
    """Listen where the settings say, and on the loopback interface in any case.

    Raises:
        ServiceError: A port is taken, or an address is none of this machine.
    """
    wanted = ip_address(settings.bind)
    if wanted == ip_address("0.0.0.0"):  # asked for; the loopback is in it
        return [_bind(settings.bind, settings.port)]
    channels = [_bind(LOOPBACK, settings.port)]
    if wanted != ip_address(LOOPBACK):
        try:
            channels.append(_bind(settings.bind, channels[0].getsockname()[1]))
        except ServiceError:
            channels[0].close()
            raise
    return channels


def _bind(host: str, port: int) -> socket.socket:
    """Listen on a port of an address; 0 takes one that is free."""
    is_6 = ip_address(host).version == 6
    channel = socket.socket(socket.AF_INET6 if is_6 else socket.AF_INET)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_6:
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        channel.bind((host, port))
        channel.listen(QUEUE)
    except OSError as error:
        channel.close()
        raise ServiceError(
            f"expected port {port} of {host} to be free, got: {error.strerror}; set "
            "serve.port to another one, or to 0 for any that is free, and serve.bind "
            "to an address of this machine"
        ) from error
    return channel


def _await(server: Server) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + PATIENCE_S
    while not server.http.started:
        if not server.thread.is_alive() or time.monotonic() > deadline:
            server.stop()
            raise ServiceError("the HTTP server did not come up; see the log")
        time.sleep(POLL_S)
