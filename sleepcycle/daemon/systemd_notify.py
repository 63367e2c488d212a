"""Messages to systemd, where systemd started the service."""

import os
import socket
from contextlib import suppress

from sleepcycle.records.plain_text import one_line


def notify(*lines: str) -> None:
    """Send lines such as `READY=1`; nothing happens where nobody listens."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return
    address = "\0" + name[1:] if name.startswith("@") else name  # an abstract socket
    with (
        suppress(
            OSError
        ),  # if nobody listens any more, systemd ends us where it was asked to
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
    ):
        channel.connect(address)
        channel.sendall("\n".join(map(one_line, lines)).encode())


def watchdog_s() -> float | None:
    """Return how often systemd expects a message, in seconds; None for never."""
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if pid != str(os.getpid()) or not microseconds.isdecimal():
        return None
    return int(microseconds) / 1e6 / 2 or None  # half of what it allows
