"""A conversation with a version on the terminal, through the running service."""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from sleepcycle.cli.service_link import CHAT
from sleepcycle.errors import SleepcycleError
from sleepcycle.records.plain_text import one_line

if TYPE_CHECKING:
    from sleepcycle.server.client import LocalClient

HELP = """\
/new           begin anew: what was said is forgotten
/version NAME  talk to another version or alias, such as v3 or day
/help          show this
/quit          end, as Ctrl-D does; Ctrl-C breaks off an answer"""


class TerminalChat:
    """Talks until the input ends; without a terminal, each line is a question.

    What an answer would steer a terminal with stands as its code, as in all that
    passes standard output (`cli/terminal.py`).

    Args:
        reach: Returns the service, or raises where it cannot be reached.
        version: Version or alias.
        options: How answers are drawn, by OpenAI's names.
    """

    def __init__(
        self,
        reach: "Callable[[], LocalClient]",
        version: str,
        options: Mapping[str, object],
    ) -> None:
        self._reach, self._version, self._options = reach, version, options
        self._turns: list[dict[str, str]] = []
        self._is_shown = sys.stdin.isatty() and sys.stdout.isatty()

    def talk(self) -> None:
        """Answer line after line, until `/quit` or the end of the input.

        Raises:
            SleepcycleError: The service cannot be reached, or has no such version.
        """
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # there is nothing to undo
        self._expect_version(self._version)
        if self._is_shown:
            with suppress(ImportError):
                import readline  # noqa: F401 - lets lines be edited
            print("/help lists what can be typed; /quit or Ctrl-D ends")
        for line in self._lines():
            if line == "/quit":
                return
            try:
                self._heed(line) if line.startswith("/") else self._answer(line)
            except SleepcycleError as error:
                print(one_line(f"sleepcycle: {error}"), file=sys.stderr)
                self._reach()

    def _lines(self) -> Iterator[str]:
        """Yield what is typed, but for empty lines."""
        while True:
            try:
                line = input(f"{one_line(self._version)}> " if self._is_shown else "")
            except EOFError:
                if self._is_shown:
                    print()
                return
            except KeyboardInterrupt:
                if not self._is_shown:
                    raise
                print()
                continue
            line.encode()  # or raises: it came in bytes that are no UTF-8
            if line.strip():
                yield line.strip()

    def _heed(self, line: str) -> None:
        """Do what a line with a slash asks for."""
        word, _, rest = line.partition(" ")
        if word == "/new":
            self._turns = []
        elif word == "/version" and rest.strip():
            self._expect_version(rest.strip())
            self._version = rest.strip()
        elif word == "/help":
            print(HELP)
        else:
            raise SleepcycleError(
                f"expected /new, /version NAME, /help or /quit, got {line[:80]!r}"
            )

    def _expect_version(self, name: str) -> None:
        """Refuse a version that the service does not have.

        Raises:
            SleepcycleError: As said, or the service cannot be reached.
        """
        self._reach().call("GET", f"/v1/models/{quote(name, safe='')}")

    def _answer(self, question: str) -> None:
        """Print an answer as it is written, and keep both; what failed is not kept."""
        asked = {"role": "user", "content": question}
        said = ""
        try:
            for text in self._texts([*self._turns, asked]):
                said += text
                print(text, end="", flush=True)
        except KeyboardInterrupt:
            if not self._is_shown:
                raise
        finally:
            print(flush=True)
        if said:
            self._turns += [asked, {"role": "assistant", "content": said}]

    def _texts(self, turns: list[dict[str, str]]) -> Iterator[str]:
        """Yield an answer bit by bit."""
        asked = {**self._options, "model": self._version, "messages": turns}
        with closing(self._reach().stream(CHAT, asked)) as parts:
            for part in parts:
                for choice in part["choices"]:
                    yield choice["delta"].get("content") or ""
