"""A CUDA graph of a step: thousands of kernels that are launched as one."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import torch
from loguru import logger
from torch import nn

from sleepcycle.model.out_of_memory import is_full

WARM_UPS = 2  # what runs the first time allocates, compiles, or chooses kernels

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class CapturedStep(Generic[Result]):
    """A step as a graph."""

    graph: torch.cuda.CUDAGraph
    result: Result
    """What the step returned, written anew by each replay."""


class GraphMaker:
    """Makes graphs of one kind of step, and remembers of which models it cannot."""

    def __init__(self, kind: str) -> None:
        """Make none yet.

        Args:
            kind: What the step is called in the log.
        """
        self._kind = kind
        self._failed: WeakSet[nn.Module] = WeakSet()

    def may_try(self, model: nn.Module) -> bool:
        """Return whether no step of a model has failed to become a graph."""
        return model not in self._failed

    def capture(
        self,
        model: nn.Module,
        step: Callable[[], Result],
        undo: Callable[[], object],
        pool: Any = None,  # noqa: ANN401 - a handle of torch's
    ) -> CapturedStep[Result] | None:
        """Return a step of a model as a graph, None where it cannot be one.

        The step runs a few times, and what it changed is undone. Nothing of an attempt
        that failed is held, neither its tensors nor its stream.

        Args:
            model: On a GPU.
            step: It reads nothing back, and makes no tensor that outlives it but its
                result.
            undo: Puts back what the step changes.
            pool: Of another graph, to share its memory.

        Raises:
            torch.OutOfMemoryError: Memory has run out, which says nothing of the model.
        """
        device: torch.device = next(model.parameters()).device
        with torch.cuda.device(device):
            before = torch.cuda.current_stream()
            try:
                return _captured(step, undo, pool)
            except RuntimeError as error:
                cause, full = _told(error)
            _leave_capture(before)
            undo()
        if full:
            raise torch.OutOfMemoryError(cause)
        self._failed.add(model)
        logger.debug(
            "{kind} could not be captured: {cause}", kind=self._kind, cause=cause
        )
        return None


def _captured(
    step: Callable[[], Result],
    undo: Callable[[], object],
    pool: Any,  # noqa: ANN401
) -> CapturedStep[Result]:
    """Run a step beside the current stream until all is allocated, and capture it."""
    current = torch.cuda.current_stream()
    beside: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(current)
    try:
        with torch.cuda.stream(beside):
            for _ in range(WARM_UPS):
                step()
                undo()
    finally:
        current.wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    # other threads may do with the GPU what they like, which no graph takes part in
    how = {"pool": pool, "capture_error_mode": "thread_local"}
    with _nothing_collected(), torch.cuda.graph(graph, **how):
        result = step()
    return CapturedStep(graph, result)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Let no garbage be collected meanwhile.

    Garbage may be a graph or memory that a GPU could copy from, and to let go of those
    makes a capture invalid.
    """
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _told(error: BaseException) -> tuple[str, bool]:
    """Return in a line what went wrong first, and whether memory has run out.

    That the capture is invalid is told over it.
    """
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0], is_full(error)


def _leave_capture(before: torch.cuda.Stream) -> None:
    """Let torch compute again as before a capture that failed.

    Where a capture has become invalid, torch raises before it leaves its stream, and
    its generator goes on to count for the graph, which makes the next draw fail.
    """
    torch.cuda.set_stream(before)
    generator = torch.cuda.default_generators[before.device_index]
    generator.graphsafe_set_state(generator.clone_state())
