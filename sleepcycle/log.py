"""Where log records go; everything else only says what happened."""

import sys
from pathlib import Path

from loguru import logger

TEXT = "{time:YYYY-MM-DD HH:mm:ss} {level: <7} {message}"
MB = 1_000_000


def set_up(file: Path, *, level: str, json_lines: bool, max_mb: int, keep: int) -> None:
    """Send records to a file, and warnings to standard error too.

    Args:
        file: Log file.
        level: Least severity that is written.
        json_lines: Write one JSON object a record instead of text.
        max_mb: Size at which the file is turned over, in megabytes.
        keep: How many turned-over files are kept.
    """
    logger.remove()
    logger.add(
        sys.stderr,
        level="WARNING",
        format=TEXT,
        serialize=json_lines,
        diagnose=False,  # values in a traceback may be examples
    )
    logger.add(
        file,
        level=level,
        format=TEXT,
        diagnose=False,
        serialize=json_lines,
        rotation=max_mb * MB,
        retention=keep,
        encoding="utf-8",
        errors="backslashreplace",  # a path may have what no text can hold
    )
