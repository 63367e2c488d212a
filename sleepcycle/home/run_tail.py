"""Lines of a file that grows, such as what a run's worker prints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CHUNK = 2**20  # bytes read at once of what is not shown


@dataclass
class Tail:
    """A file that grows, and how its lines are shown."""

    path: Path
    show: Callable[[str], str | None]
    """Returns what is shown of a line; None for nothing."""

    offset: int = 0
    """In bytes; what is behind it was seen."""

    longest: int | None = None
    """Bytes of a line that are shown; what is behind them is passed over."""

    is_cut: bool = False
    """Whether the line that was shown last was longer."""

    def lines(self, *, to_the_end: bool) -> Iterator[str]:
        """Yield what came since the last look.

        Args:
            to_the_end: Take a last line too that has no end, and will get none.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            if self.path.stat().st_size < self.offset:
                self.offset = 0  # it was begun anew
            file.seek(self.offset)
            while begun := self._begun(file):
                size, has_end = _pass_over(file, begun)
                if not (has_end or to_the_end):
                    return
                self.offset += size
                line = begun.removesuffix(b"\n")[: self.longest]
                self.is_cut = size - has_end > len(line)
                shown = self.show(line.decode("utf-8", "replace"))
                if shown is not None:
                    yield shown

    def _begun(self, file: IO[bytes]) -> bytes:
        """Read the beginning of a line; nothing at the end."""
        return file.readline(-1 if self.longest is None else self.longest + 1)


def _pass_over(file: IO[bytes], begun: bytes) -> tuple[int, bool]:
    """Read a line to its end; return its size in bytes, and whether it has an end."""
    size, part = len(begun), begun
    while not part.endswith(b"\n"):
        part = file.readline(CHUNK)
        size += len(part)
        if not part:
            return size, False
    return size, True
