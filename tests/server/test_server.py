"""The HTTP server's life."""

import socket
import threading

import pytest

from sleepcycle.errors import ServiceError
from sleepcycle.server import server
from sleepcycle.settings.config import ServeSettings
from tests.server.conftest import TOKEN, ask


def test_a_port_that_is_taken_is_named(scheduler, paths):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(ServiceError, match=f"port {port} .* set serve.port"):
            server.start(scheduler, TOKEN, paths, ServeSettings(port=port))


def test_it_listens_on_the_loopback_interface_alone(served):
    [channel] = served.http.servers[0].sockets

    assert channel.getsockname() == ("127.0.0.1", served.port)


def test_it_listens_on_another_address_too_where_the_settings_name_one(
    scheduler, paths
):
    settings = ServeSettings(bind="127.0.0.2", hosts=["model.example"])
    running = server.start(scheduler, TOKEN, paths, settings)
    channels = [one for each in running.http.servers for one in each.sockets]
    addresses = [one.getsockname() for one in channels]
    with socket.create_connection(("127.0.0.2", running.port)) as channel:
        channel.sendall(b"GET /livez HTTP/1.1\r\nHost: model.example\r\n\r\n")
        said = channel.recv(15)
    running.stop()

    assert addresses == [("127.0.0.1", running.port), ("127.0.0.2", running.port)]
    assert said == b"HTTP/1.1 200 OK"


def test_an_address_that_is_not_here_is_named(scheduler, paths):
    settings = ServeSettings(bind="192.0.2.1", hosts=["model.example"])

    with pytest.raises(ServiceError, match=r"of 192\.0\.2\.1 .* serve\.bind"):
        server.start(scheduler, TOKEN, paths, settings)


def test_its_port_is_free_when_it_has_stopped(scheduler, paths):
    first = server.start(scheduler, TOKEN, paths, ServeSettings())
    assert ask(first, "GET", "/livez")[0] == 200
    first.stop()

    second = server.start(scheduler, TOKEN, paths, ServeSettings(port=first.port))

    assert second.url == first.url
    assert ask(second, "GET", "/livez")[0] == 200
    second.stop()


def test_it_stops_though_one_who_asks_says_no_more(scheduler, paths):
    """
    A connection that was opened and left alone holds up nothing.
    """
    running = server.start(scheduler, TOKEN, paths, ServeSettings())
    with socket.create_connection(("127.0.0.1", running.port)) as channel:
        channel.sendall(b"GET /livez HTTP/1.1\r\n")

        running.stop()

    assert not running.thread.is_alive()
    assert "http" not in {thread.name for thread in threading.enumerate()}
