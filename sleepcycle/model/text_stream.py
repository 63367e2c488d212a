"""The text of an answer as it is being written, up to where a stop string begins."""

from collections.abc import Sequence
from typing import Any

BROKEN = "\ufffd"  # what a character decodes to of which bytes are missing yet


class TextStream:
    """Turns the tokens of one answer into text, bit by bit.

    All bits together are what the tokens decode to as a whole. What may be the
    beginning of a stop string, or of a character, is held back until it is known.
    """

    def __init__(self, tokenizer: Any, stops: Sequence[str] = ()) -> None:  # noqa: ANN401
        self._tokenizer = tokenizer
        self._stops = [stop for stop in stops if stop]
        self._ids: list[int] = []
        self._from = 0  # where what is decoded together begins
        self._read = 0  # how many tokens have become text
        self._held = ""
        self.stopped = False
        """Whether a stop string has come; nothing comes after it."""

    def add(self, token: int) -> str:
        """Return the text that is known by one token more."""
        if self.stopped:
            return ""
        self._ids.append(token)
        old = self._decoded(self._ids[self._from : self._read])
        new = self._decoded(self._ids[self._from :])
        if len(new) <= len(old) or new.endswith(BROKEN):
            return ""
        self._from, self._read = self._read, len(self._ids)
        return self._passed(new[len(old) :])

    def end(self) -> str:
        """Return what was held back and is not to be stopped any more."""
        if self.stopped:
            return ""
        old = self._decoded(self._ids[self._from : self._read])
        new = self._decoded(self._ids[self._from :])
        text = self._passed(new[len(old) :])
        if self.stopped:
            return text
        held, self._held = self._held, ""
        return text + held

    def _decoded(self, ids: Sequence[int]) -> str:
        """Return tokens as text, without special ones."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _passed(self, more: str) -> str:
        """Return what of the text held back, and of more, no stop string can reach."""
        text = self._held + more
        places = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if places:
            self.stopped, self._held = True, ""
            return text[: min(places)]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of a text may begin a stop string."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
