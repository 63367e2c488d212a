"""The serving process: holds a base, and answers what comes by standard input.

    python -m sleepcycle.serving.serving_worker ORDER.json LOG

It reads lines in a thread, and writes answers in the main one to what was standard
output; what is printed goes to the log. It ends with its parent, or at the end of its
input.
"""

import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sleepcycle.errors import SleepcycleError
from sleepcycle.files import disk
from sleepcycle.files.quick_import import without_collections
from sleepcycle.records.codec import from_json
from sleepcycle.serving.messages import (
    Ask,
    Cancel,
    Failed,
    Line,
    Ready,
    ServingOrder,
    parsed,
    written,
)
from sleepcycle.settings.config import ModelSettings

if TYPE_CHECKING:
    from sleepcycle.serving.answering import Answering

Lines = queue.SimpleQueue[Line]


def main(ordered: Path, log: Path) -> int:
    """Answer until the input ends; return the exit code where nothing can be answered.

    Raises:
        DiskError: The log cannot be opened.
    """
    answers = os.dup(1)
    with disk.open_log(log) as file:
        for printed in (1, 2):
            os.dup2(file.fileno(), printed)

    def tell(line: Line) -> None:
        data = memoryview(written(line))
        with suppress(OSError):  # who asked is gone, and so are we soon
            while data:
                data = data[os.write(answers, data) :]

    lines: Lines = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    order = from_json(ordered.read_text(encoding="utf-8"), ServingOrder)
    try:
        answering = _start(order, tell)
    except SleepcycleError as error:
        tell(Failed(type(error).__name__, str(error)))
        return 1
    tell(Ready())
    _answer(answering, lines)


def _answer(answering: "Answering", lines: Lines) -> NoReturn:
    """Answer for as long as this process lives."""
    while True:
        try:
            line = lines.get(block=not answering.is_busy)
        except queue.Empty:
            _step(answering)
            continue
        if isinstance(line, Ask):
            answering.ask(line)
        elif isinstance(line, Cancel):
            answering.cancel(line.id)


def _step(answering: "Answering") -> None:
    """Write on; where memory is full all that is being written is given up."""
    from sleepcycle.model.out_of_memory import is_full

    try:
        answering.step()
    except RuntimeError as error:
        if not is_full(error):
            raise
        answering.give_up(
            "no memory is left for the answers that are being written; ask for fewer "
            "new tokens, or fewer at once"
        )


def _start(order: ServingOrder, tell: Callable[[Line], None]) -> "Answering":
    """Load the base, and return what writes answers.

    Raises:
        SleepcycleError: It cannot be loaded, or is another one.
    """
    with without_collections():
        from sleepcycle.model.base import load_base, pick_device, use_threads
        from sleepcycle.serving.answering import Answering

    use_threads(order.threads)
    settings = ModelSettings.model_validate(order.model)
    base = load_base(
        settings, device=pick_device(order.device), cache=Path(order.cache)
    )
    base.identity.expect(order.base)
    return Answering(base, order.most_versions, tell)


def _read(lines: Lines) -> None:
    """Pass on each line that comes; at the end nobody wants an answer any more."""
    with os.fdopen(0, "rb", closefd=False) as file:
        for line in file:
            lines.put(parsed(line))
    os._exit(0)


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), Path(sys.argv[2]))
    os._exit(code)  # without waiting for threads of the model's libraries
