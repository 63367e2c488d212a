"""The terminal: all that a command writes passes here, and nothing in it steers it."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import IO, Any

from sleepcycle.errors import OutputError
from sleepcycle.records.plain_text import printable


class CheckedStream:
    """A text stream that says in words that nobody takes what is written."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, and return its length."""
        with _checked():
            return self._stream.write(text)

    def flush(self) -> None:
        """Pass on what was written."""
        with _checked():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any stream
        return getattr(self._stream, name)


@contextmanager
def _checked() -> Iterator[None]:
    """Turn what the system raises into our error; a broken pipe stays one."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"expected to write what there is to say, got: {error.strerror}; see where "
            "the output goes"
        ) from error


class SafeStream:
    """A text stream that shows what would steer a terminal by its code.

    Rich, whose colours are such steering, writes to the stream below; `SafeConsole`
    has made its text safe before, and `SafeGroup` that of wrong usage.
    """

    def __init__(self, stream: IO[str]) -> None:
        self.rich_proxied_file = CheckedStream(stream)

    def write(self, text: str) -> int:
        """Write text, and return its length."""
        self.rich_proxied_file.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write text after text."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any stream
        return getattr(self.rich_proxied_file, name)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Let standard output and error be safe for a block, and be there at all.

    What they cannot write in their encoding stands as its code. Closed ones lead
    nowhere: else the next file that is opened would get their number.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = map(SafeStream, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def drop_output() -> None:
    """Let what standard output still holds lead nowhere, since nobody takes it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else 1)
        os.close(nowhere)


def _open_closed() -> None:
    """Open each of the three standard files that is closed, to lead nowhere."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # the lowest that is free
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
