"""Ctrl-C in a transaction: handled between two statements, or at the end of it.

An interrupt may come anywhere. Raised inside of SQLAlchemy it leaves connections open
that nobody can close any more, and their locks keep out whoever writes down that the
run was stopped.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Thread(threading.local):
    """What a thread holds back; signals are handled in the main thread alone."""

    transactions = 0
    stopped = False


_thread = _Thread()


def stop(number: int, frame: FrameType | None) -> None:
    """Handle a signal that asks to end: raise KeyboardInterrupt, unless held back."""
    _thread.stopped = True
    if not _thread.transactions:
        raise_if_stopped()


def raise_if_stopped() -> None:
    """Raise what was held back.

    Raises:
        KeyboardInterrupt: `stop` was called since the last time.
    """
    if _thread.stopped:
        _thread.stopped = False
        raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """Hold `stop` back until the end of a block, or a `raise_if_stopped` in it.

    Raises:
        KeyboardInterrupt: `stop` was called in the block, and not raised there.
    """
    _thread.transactions += 1
    try:
        yield
    finally:
        _thread.transactions -= 1
        if not _thread.transactions:
            raise_if_stopped()
