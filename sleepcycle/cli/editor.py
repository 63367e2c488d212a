"""Let a person write an answer: in an editor, or in a file."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sleepcycle.errors import CaptureError

ADVICE = "give the answer with --answer or --file"


def read_answer(file: Path) -> str:
    """Return what a file has, or standard input for `-`; not the end of the last line.

    Raises:
        CaptureError: It cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise CaptureError(f"cannot read {file}: {error.strerror}") from error
    return data.decode("utf-8").removesuffix("\n")


def edited(message: Mapping[str, Any]) -> str:
    """Return a message's text as a person changed it in an editor.

    The file is in a folder that nobody else can read, and is deleted.

    Raises:
        CaptureError: There is no editor, it failed, or nothing was changed.
    """
    before = message.get("content")
    text = before if isinstance(before, str) else ""
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    if not words:
        raise CaptureError(f"expected an editor in $VISUAL or $EDITOR; or {ADVICE}")
    with TemporaryDirectory(prefix="sleepcycle-") as folder:
        file = Path(folder) / "answer.md"
        file.write_text(f"{text}\n", encoding="utf-8")
        try:
            code = subprocess.run([*words, str(file)], check=False).returncode
        except OSError as error:
            raise CaptureError(f"cannot start {words[0]}: {error.strerror}") from error
        if code:
            raise CaptureError(f"{words[0]} ended with {code}, so nothing was changed")
        after = read_answer(file)
    if after == text:
        raise CaptureError("expected another answer, got the same; nothing was changed")
    return after
