"""What the libraries under the server log: into our log, and seldom."""

import logging
import time

from loguru import logger

SOURCES = ("uvicorn.error", "asyncio")
EVERY_S = 60.0


class LibraryLog(logging.Handler):
    """Hands records to our log: of one place and kind of error one in `EVERY_S`.

    Anybody on this machine can cause some of them without the token, such as by what
    is no HTTP; that must fill no disk.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._due: dict[tuple[object, ...], float] = {}
        self._left_out: dict[tuple[object, ...], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record, or count it for the next one of its kind."""
        fault = record.exc_info[1] if record.exc_info else None
        kind = (record.pathname, record.lineno, type(fault))
        if time.monotonic() < self._due.get(kind, 0.0):
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._due[kind] = time.monotonic() + EVERY_S
        logger.opt(exception=fault).log(
            record.levelname,
            "{source}: {said} (left out since the last: {left_out})",
            source=record.name,
            said=record.getMessage().strip(),
            left_out=self._left_out.pop(kind, 0),
        )


def divert() -> None:
    """Let what the libraries log go to our log, and nowhere else."""
    handler = LibraryLog()
    for name in SOURCES:
        source = logging.getLogger(name)
        source.handlers, source.propagate = [handler], False
