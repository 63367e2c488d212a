"""Signals and a failed disk, handed to the one thread that waits for them."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

DISK = 0  # no signal has this number
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SignalQueue:
    """A queue of small numbers, filled from any thread and by signals.

    A handler of Python's may run while its thread holds any lock, so signals go
    through a pipe and are handled where nothing is held. The pipe is never closed: a
    thread may ring to the end of the process.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        for end in (self._read_end, self._write_end):
            os.set_blocking(end, False)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put signals into the queue during a block; in the main thread only."""
        before = {number: signal.signal(number, _do_nothing) for number in SIGNALS}
        rope = signal.set_wakeup_fd(self._write_end)
        try:
            yield
        finally:
            signal.set_wakeup_fd(rope)
            for number, handler in before.items():
                signal.signal(number, handler)

    def put(self, number: int) -> None:
        """Put a number into the queue."""
        os.write(self._write_end, bytes([number]))

    def wait(self, most_s: float) -> bytes:
        """Return the numbers in their order, as soon as there is one; else nothing."""
        ready, _, _ = select.select([self._read_end], [], [], most_s)
        return os.read(self._read_end, 64) if ready else b""


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Do nothing: the number is in the pipe already."""
