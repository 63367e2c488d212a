"""The CUDA graph of a decoding step, where the device is a GPU.

A step of a small model is hundreds of tiny kernels, and starting each from Python takes
longer than it runs. A graph starts them all at once.
"""

from types import TracebackType
from typing import Self

import torch

from sleepcycle.model.base import Base
from sleepcycle.model.cuda_graph import GraphMaker
from sleepcycle.model.row_state import Rows

LEAST_STEPS = 8  # that must be left for a capture to pay
STEPS_OF_GRAPH = 8  # between two looks at what has ended, each of which waits

_MAKER = GraphMaker("a step of decoding")


class DecodingGraph:
    """Runs steps: as they are, or as a graph where the device is a GPU.

    What cannot be captured, such as a mixture of experts that looks at what it has
    chosen, is run as it is.
    """

    def __init__(self, base: Base) -> None:
        self._model = base.model
        self._on_gpu = base.device.type == "cuda"
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
        if self._graph is None and left >= LEAST_STEPS and self._may_capture:
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

    @property
    def _may_capture(self) -> bool:
        """Whether a capture is not known to fail."""
        return self._on_gpu and _MAKER.may_try(self._model)

    def _captured(self, rows: Rows) -> torch.cuda.CUDAGraph | None:
        """Return a step as a graph, None where it cannot be one."""
        rows.fix()
        saved = rows.saved()
        found = _MAKER.capture(self._model, rows.advance, lambda: rows.restore(saved))
        if found is None:
            rows.grow()
            return None
        return found.graph
