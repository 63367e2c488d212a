"""Anchors: an owner's questions, with answers that must stay right."""

import json
from collections.abc import Iterator
from pathlib import Path

from sleepcycle.errors import ConfigError
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.plain_file import read_plain
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Example
from sleepcycle.settings.config import GateSettings

MAX_BYTES = 1 << 20  # far more questions than are ever asked
QUESTION, ANSWER = "Q:", "A:"
FORMS = (
    'a line "Q: …" and below it a line "A: …", or JSONL of {"prompt": …, '
    '"completion": …}'
)

Lines = Iterator[tuple[int, str]]
"""Lines that say anything, each with its number from 1."""


def find_anchors(paths: HomePaths, settings: GateSettings) -> list[Example]:
    """Return the anchors that the settings name; none where they name no file.

    Raises:
        ConfigError: The file is missing, or not what `read_anchors` reads.
    """
    if not settings.anchors:
        return []
    return read_anchors(paths.root / Path(settings.anchors).expanduser())


def read_anchors(file: Path) -> list[Example]:
    """Return the anchors of one file, numbered by their lines.

    Empty lines do not count, nor do those that begin with `#`.

    Raises:
        ConfigError: It cannot be read, holds no anchor, or a line is none.
    """
    try:
        text = read_plain(file, most_bytes=MAX_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"expected to read gate.anchors in {file}, got: {error}; put it there, as "
            'UTF-8, or set gate.anchors to ""'
        ) from error
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ConfigError(f"expected {FORMS} in {file}, got no line; write one anchor")
    read = _rows if lines[0][1].startswith("{") else _pairs
    return [Example(number, 0, content) for number, content in read(file, iter(lines))]


def _pairs(file: Path, lines: Lines) -> Iterator[tuple[int, Completion]]:
    """Yield questions with the answers below them."""
    for number, line in lines:
        question = _behind(QUESTION, line)
        below, answer = next(lines, (number, ""))
        said = _behind(ANSWER, answer)
        if not question:
            raise _fault(file, number, line)
        if not said:
            raise _fault(file, below, answer)
        yield number, Completion(question, said)


def _rows(file: Path, lines: Lines) -> Iterator[tuple[int, Completion]]:
    """Yield the rows of JSONL."""
    for number, line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _fault(file, number, line) from error
        keys = {"prompt", "completion"}
        if not isinstance(row, dict) or row.keys() != keys:
            raise _fault(file, number, line)
        if not all(isinstance(said, str) and said.strip() for said in row.values()):
            raise _fault(file, number, line)
        yield number, Completion(row["prompt"], row["completion"])


def _behind(mark: str, line: str) -> str:
    """Return what stands behind a mark; nothing where the line has not the mark."""
    return line[len(mark) :].strip() if line.upper().startswith(mark) else ""


def _fault(file: Path, number: int, line: str) -> ConfigError:
    """Return what is wrong with a line."""
    return ConfigError(
        f"expected anchors in {file}, {FORMS}, got {line[:60]!r} in line {number}; "
        "mend that line"
    )
