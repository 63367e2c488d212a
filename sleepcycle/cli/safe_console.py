"""What Rich draws on the terminal: no text in it steers that."""

from collections.abc import Iterator
from typing import IO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from sleepcycle.records.plain_text import printable


class _Safe:
    """Something to be drawn, whose text is made safe."""

    def __init__(self, drawn: ConsoleRenderable) -> None:
        self._drawn = drawn

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[Segment]:
        """Yield its parts; those that are Rich's own controls stay."""
        for text, style, control in console.render(self._drawn, options):
            yield Segment(text if control else printable(text), style, control)


class _MakeSafe(RenderHook):
    """Makes all that a console draws safe."""

    def process_renderables(
        self, renderables: list[ConsoleRenderable]
    ) -> list[ConsoleRenderable]:
        """Return what is drawn in place of some things."""
        return [_Safe(drawn) for drawn in renderables]


class SafeConsole(Console):
    """A console of Rich's that no text can steer; it looks for the stream each time."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False)
        self.push_render_hook(_MakeSafe())

    @property
    def file(self) -> IO[str]:
        """The stream below all those that stand in for it."""
        stream: IO[str] = super().file
        while (below := getattr(stream, "rich_proxied_file", None)) is not None:
            stream = below
        return stream

    @file.setter
    def file(self, new: IO[str]) -> None:
        self._file = new
