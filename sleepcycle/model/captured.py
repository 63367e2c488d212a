"""Captured steps: on a GPU one step of decoding becomes a CUDA graph.

A step of a small model is hundreds of tiny kernels, and starting each from Python takes
longer than it runs. A graph starts them all at once.
"""

from types import TracebackType
from typing import Self

import torch
from accelerate.utils.memory import should_reduce_batch_size
from loguru import logger

from sleepcycle.model.row_state import Rows

LEAST_STEPS = 8  # that must be left for a capture to pay
STEPS_OF_GRAPH = 8  # between two looks at what has ended, each of which waits
WARM_UP = 2  # steps before a capture, in which kernels are chosen and loaded


class Capture:
    """Runs steps: as they are, or as a graph where the device is a GPU.

    What cannot be captured, such as a mixture of experts that looks at what it has
    chosen, is run as it is.
    """

    def __init__(self, device: torch.device) -> None:
        self._can = device.type == "cuda"
        self._graph: torch.cuda.CUDAGraph | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._graph = None  # and its memory

    def run(self, rows: Rows) -> None:
        """Run a step, or a few."""
        left = rows.most - rows.written
        if self._graph is None and self._can and left >= LEAST_STEPS:
            self._graph = self._captured(rows)
        if self._graph is None:
            rows.advance()
            rows.count()
            return
        for _ in range(min(left, STEPS_OF_GRAPH)):
            self._graph.replay()
            rows.count()

    def lets_go(self, rows: Rows) -> bool:
        """Return whether rows may be taken out now: a graph is of all of them."""
        return self._graph is None or rows.most - rows.written >= 8 * LEAST_STEPS

    def drop(self, rows: Rows) -> None:
        """Forget the graph, since rows will be taken out."""
        if self._graph is not None:
            rows.grow()
            self._graph = None

    def _captured(self, rows: Rows) -> torch.cuda.CUDAGraph | None:
        """Return a step as a graph, None where it cannot be one."""
        rows.fix()
        saved = rows.saved()
        graph = torch.cuda.CUDAGraph()
        try:
            self._warm_up(rows, saved)
            with torch.cuda.graph(graph):
                rows.advance()
        except RuntimeError as error:
            if is_full(error):
                raise
            logger.debug(
                "a step of decoding could not be captured: {error}", error=error
            )
            self._can = False
            rows.restore(saved)
            rows.grow()
            return None
        rows.restore(saved)
        return graph

    def _warm_up(self, rows: Rows, saved: dict[str, torch.Tensor]) -> None:
        """Run steps beside the current stream, and undo them."""
        beside: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                rows.advance()
                rows.restore(saved)
        torch.cuda.current_stream().wait_stream(beside)


def is_full(error: RuntimeError) -> bool:
    """Return whether memory has run out, of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)
