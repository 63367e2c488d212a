"""Take out of text and records what is private to the owner of a home."""

import getpass
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sleepcycle.files.paths import HomePaths

HOME = "<home>"
SECRET = "<secret>"
SECRET_LENGTH = 8  # a shorter token is none, and stands in words
SYSTEM = ("/etc/", "/usr/", "/proc/", "/sys/")  # the same on every machine
SECRET_KEY = re.compile(r"token|secret|password|passwd|api_?key", re.IGNORECASE)
BEARER = re.compile(r"\b(bearer\s+|token\s*[:=]\s*)\S+", re.IGNORECASE)
MADE = re.compile(r"\bsc_[\w-]{43}")
"""A token that `sleepcycle token new` has made; which those are, no home knows."""

QUOTED = re.compile(r"""(?<!\w)(['"`])(?:(?!\1).)*\1(?!\w)""")
PATH = re.compile(r"(?<![\w/~>])~?/(?=[^\s/])\S*")
INBOX = re.compile(rf"{HOME}/inbox/.*")
RAISED = re.compile(r"\b(\w*(?:Error|Exception))\b\s*[:(](?!\s*\[Errno).*")
"""What a library says when it fails may quote what it was given."""

OURS = {"sleepcycle", "localhost"}  # a user or machine of that name is no secret


@dataclass(frozen=True)
class Redaction:
    """What must not be read by others, and what stands in its place."""

    known: Sequence[tuple[str, str]]
    """Text and what stands for it, the longest first."""

    names: re.Pattern[str] | None
    """Words that name the user or the machine."""

    def text(self, text: str) -> str:
        """Return text without names, secrets, foreign paths and quotations."""
        for private, shown in self.known:
            text = text.replace(private, shown)
        text = BEARER.sub(rf"\1{SECRET}", text)
        text = MADE.sub(SECRET, text)
        text = QUOTED.sub(r"\1...\1", text)
        text = RAISED.sub(r"\1", text)
        text = INBOX.sub(f"{HOME}/inbox/<file>", text)
        text = "\n".join(map(_without_path, text.split("\n")))
        return self.names.sub("<user>", text) if self.names else text

    def record(self, value: Any) -> Any:  # noqa: ANN401 - plain data has any shape
        """Return plain data with each of its texts redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self._field(key, inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.record(inner) for inner in value]
        return str(value) if isinstance(value, date) else value  # as files keep times

    def _field(self, key: Any, value: Any) -> Any:  # noqa: ANN401
        """Return a field's value; all of it goes where its name says secret."""
        if isinstance(value, str) and SECRET_KEY.search(str(key)):
            return SECRET
        return self.record(value)


def redaction_of(paths: HomePaths, private: Mapping[str, str]) -> Redaction:
    """Return what to take out of anything that comes from a home.

    Args:
        paths: The home.
        private: More texts that are not to be read, and what stands for each.
    """
    known = {**dict(_known(paths)), **private}
    names = {re.escape(name) for name in set(_names()) - OURS if len(name) > 1}
    return Redaction(
        known=sorted(known.items(), key=lambda pair: len(pair[0]), reverse=True),
        names=re.compile(rf"\b(?:{'|'.join(sorted(names))})\b") if names else None,
    )


def _known(paths: HomePaths) -> Iterator[tuple[str, str]]:
    """Yield private texts that are known, and what stands for each."""
    for root in (paths.root, paths.root.resolve()):
        for above in root.parents:
            if len(above.parts) > 1:
                yield str(above), "<path>"
    user = Path.home()
    if len(user.parts) > 1:
        yield str(user), "~"
    for root in (paths.root, paths.root.resolve()):
        yield str(root), HOME
    try:
        token = paths.token.read_text(encoding="utf-8") if paths.token.is_file() else ""
    except (OSError, ValueError):
        return
    if len(token.strip()) >= SECRET_LENGTH:
        yield token.strip(), SECRET


def _names() -> Iterator[str]:
    """Yield the names of the user and of the machine."""
    with suppress(KeyError, OSError):  # no such user in this container
        yield getpass.getuser()
    host = socket.gethostname()
    yield host
    yield host.partition(".")[0]


def _without_path(line: str) -> str:
    """Cut a line at its first foreign path, which may have spaces to the line's end."""
    for found in PATH.finditer(line):
        if not found[0].startswith(SYSTEM):
            return line[: found.start()] + "<path>"
    return line
