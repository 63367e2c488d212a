"""Where log records go; everything else only says what happened."""

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from sleepcycle.records.codec import dumps
from sleepcycle.records.plain_text import one_line, printable

if TYPE_CHECKING:
    from loguru import Record

TEXT = "{time:YYYY-MM-DD HH:mm:ss} {level: <7} {message}"
MB = 1_000_000
FRAME = "  File "


def set_up(file: Path, *, level: str, json_lines: bool, max_mb: int, keep: int) -> None:
    """Send records to a file, and warnings to standard error too.

    A record is one line, and a traceback its frames, whatever was put into the message:
    no name or text of others can begin a line, or steer a terminal.

    Args:
        file: Log file.
        level: Least severity that is written.
        json_lines: Write one JSON object a record instead of text.
        max_mb: Size at which the file is turned over, in megabytes.
        keep: How many turned-over files are kept.
    """
    form = _as_json if json_lines else _as_text
    logger.remove()
    logger.add(sys.stderr, level="WARNING", format=form)
    logger.add(
        file,
        level=level,
        format=form,
        rotation=max_mb * MB,
        retention=keep,
        encoding="utf-8",
        errors="backslashreplace",
    )


def _as_text(record: "Record") -> str:
    """Return the form of a record as text."""
    record["message"] = one_line(record["message"])
    written: dict[str, Any] = record  # type: ignore[assignment]
    written["traceback"] = _traceback(record)
    return TEXT + "\n{traceback}"


def _as_json(record: "Record") -> str:
    """Return the form of a record as JSON, as loguru writes it by itself."""
    fault = record["exception"]
    shown: dict[str, Any] = {
        "elapsed": {
            "repr": record["elapsed"],
            "seconds": record["elapsed"].total_seconds(),
        },
        "exception": fault
        and {
            "type": None if fault.type is None else fault.type.__name__,
            "value": str(fault.value),
            "traceback": bool(fault.traceback),
        },
        "extra": record["extra"],
        "file": {"name": record["file"].name, "path": record["file"].path},
        "function": record["function"],
        "level": {
            "icon": record["level"].icon,
            "name": record["level"].name,
            "no": record["level"].no,
        },
        "line": record["line"],
        "message": record["message"],
        "module": record["module"],
        "name": record["name"],
        "process": {"id": record["process"].id, "name": record["process"].name},
        "thread": {"id": record["thread"].id, "name": record["thread"].name},
        "time": {"repr": record["time"], "timestamp": record["time"].timestamp()},
    }
    moment = record["time"].strftime("%Y-%m-%d %H:%M:%S")
    line = f"{moment} {record['level'].name: <7} {record['message']}\n"
    written: dict[str, Any] = record  # type: ignore[assignment]
    written["json"] = dumps({"text": line + _traceback(record), "record": shown})
    return "{json}\n"


def _traceback(record: "Record") -> str:
    """Return a record's traceback, where it has one, with each fault on one line.

    The values in it are not shown: they may be examples.
    """
    fault = record["exception"]
    if fault is None or fault.value is None:
        return ""
    parts = traceback.format_exception(fault.type, fault.value, fault.traceback)
    ours = (FRAME, "Traceback ", "\n")
    return "".join(
        printable(part) if part.startswith(ours) else one_line(part.rstrip("\n")) + "\n"
        for part in parts
    )
