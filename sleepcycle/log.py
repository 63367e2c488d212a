"""Where log records go; everything else only says what happened."""

import sys
from pathlib import Path

from loguru import logger

TEXT = "{time:YYYY-MM-DD HH:mm:ss} {level: <7} {message}"


def set_up(level: str, *, json_lines: bool, file: Path | None = None) -> None:
    """Send records to standard error, and to a file where one is named.

    Args:
        level: Least severity that is written.
        json_lines: Write one JSON object a record instead of text.
        file: Log file; it is turned over at 10 MB and five are kept.
    """
    logger.remove()
    logger.add(sys.stderr, level="WARNING", format=TEXT, serialize=json_lines)
    if file is not None:
        logger.add(
            file,
            level=level,
            format=TEXT,
            serialize=json_lines,
            rotation="10 MB",
            retention=5,
            encoding="utf-8",
        )
