"""Examples as the model sees them, made once for whoever looks again."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sleepcycle.dashboard.readable import counted
from sleepcycle.home.home import Home
from sleepcycle.records.shown import Segment, ShownExample

MOST_KEPT = 64  # looks, each of a few examples
MOST_SEQUENCES = 3  # of one example that a page has
MOST_CHARS = 2000  # of one part of a sequence


@dataclass(frozen=True, slots=True)
class SeenExample:
    """One example as the model sees it, so much of it as a page has room for."""

    sequences: tuple[tuple[Segment, ...], ...]
    notes: tuple[str, ...]
    """What else there is to know, in words."""

    fault: str | None
    """Why the base cannot learn it, if it cannot."""


class RenderedExamples:
    """Renders examples by the base's template; seconds, as it loads the tokenizer."""

    def __init__(self) -> None:
        self._known: OrderedDict[object, tuple[ShownExample, ...]] = OrderedDict()
        self._turn = threading.Lock()

    def of(self, home: Home, contents: Sequence[str]) -> list[SeenExample]:
        """Return examples as the model sees them.

        Args:
            home: Whose base it is.
            contents: Canonical content of each.

        Raises:
            ModelError: The base's tokenizer cannot be read.
        """
        model = home.settings.model.model_dump_json()
        key = (model, home.settings.wake.prompt_weight, tuple(contents))
        with self._turn:  # several at once would only be slower
            shown = self._known.get(key)
            if shown is None:
                shown = home.show_examples(contents)
                self._known[key] = shown
            self._known.move_to_end(key)
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
        return seen(shown)


def seen(shown: Iterable[ShownExample]) -> list[SeenExample]:
    """Return examples with so much of each as a page has room for."""
    return [_seen(one) for one in shown]


def _seen(one: ShownExample) -> SeenExample:
    """Return one example."""
    notes = []
    if one.cut:
        notes.append(f"{counted(one.cut, 'token')} of its prompts cut")
    if one.left_out:
        notes.append(f"{counted(one.left_out, 'answer')} too long to be learned")
    more = len(one.sequences) - MOST_SEQUENCES
    if more > 0:
        notes.append(f"{counted(more, 'more sequence')} of it not shown")
    sequences = tuple(
        tuple(replace(part, text=_short(part.text)) for part in sequence)
        for sequence in one.sequences[:MOST_SEQUENCES]
    )
    return SeenExample(sequences, tuple(notes), one.fault)


def _short(text: str) -> str:
    """Return a text without its middle, where it is long."""
    if len(text) <= MOST_CHARS:
        return text
    half = MOST_CHARS // 2
    return f"{text[:half]} … ({len(text) - 2 * half:,} characters) … {text[-half:]}"
