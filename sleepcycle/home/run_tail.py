"""Lines of a file that grows, such as what a run's worker prints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Tail:
    """A file that grows, and how its lines are shown."""

    path: Path
    show: Callable[[str], str | None]
    """Returns what is shown of a line; None for nothing."""

    offset: int = 0
    """In bytes; what is behind it was seen."""

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
            for raw in file:
                if not (raw.endswith(b"\n") or to_the_end):
                    return
                self.offset += len(raw)
                shown = self.show(raw.decode("utf-8", "replace").rstrip("\n"))
                if shown is not None:
                    yield shown
