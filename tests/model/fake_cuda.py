"""What capturing asks of `torch.cuda`, as it behaves where a capture fails.

Steps run on the CPU. A capture that has failed raises at its end as well, and leaves
its stream the current one, as torch does.
"""

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import pytest
import torch


class Stream:
    """One that runs all at once."""

    device_index = 0

    def wait_stream(self, _other):
        """Need not."""


class Graph:
    """One that runs a step again, if the step tells it how while it is captured."""

    def pool(self):
        """Return what tells its memory from another's."""
        return id(self)


@dataclass
class Generator:
    """Of which one may draw, or not."""

    counts_for_graph: bool = False

    def manual_seed(self, _seed):
        """Begin anew."""

    def clone_state(self):
        """Return one that counts for itself."""
        return Generator()

    def graphsafe_set_state(self, other):
        """Count as another does."""
        self.counts_for_graph = other.counts_for_graph


class FakeCuda:
    """Streams, graphs and a generator of no GPU."""

    def __init__(self):
        self.current = Stream()
        self.capturing = None
        self.default_generators = [Generator()]
        self.CUDAGraph = Graph
        self.Stream = Stream

    def current_stream(self):
        """Return the stream that all goes to."""
        return self.current

    def set_stream(self, stream):
        """Let all go to a stream."""
        self.current = stream

    @contextmanager
    def stream(self, stream):
        """Let all go to a stream meanwhile."""
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def device(self, _device):
        """Need not."""
        return nullcontext()

    @contextmanager
    def graph(self, graph, **_options):
        """Capture; after an error the end fails too, before the stream is left."""
        before, self.current = self.current, Stream()
        self.capturing = graph
        self.default_generators[0].counts_for_graph = True
        try:
            yield
        except RuntimeError as error:
            self.capturing = None
            raise RuntimeError("previous error during capture") from error
        self.capturing = None
        self.default_generators[0].counts_for_graph = False
        self.current = before


@pytest.fixture
def cuda(monkeypatch):
    """`torch.cuda` on a machine without a GPU, as far as captures need it."""
    fake = FakeCuda()
    for name in ("CUDAGraph", "Stream", "current_stream", "default_generators",
                 "device", "graph", "set_stream", "stream"):  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, getattr(fake, name))
    return fake
