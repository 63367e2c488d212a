"""Captures that fail, on a machine without a GPU too, and what they leave behind."""

import gc
import weakref

import pytest
import torch
from torch import nn

from sleepcycle.model.cuda_graph import WARM_UPS, GraphMaker
from tests.model.fake_cuda import cuda as cuda

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="a CUDA graph needs a GPU"
)


class Counter:
    """A step that counts, and fails the last time."""

    def __init__(self, error=None):
        self.error = error
        self.count = 0
        self.runs = 0
        self.made = []

    def step(self):
        """Count, with a tensor that nothing else holds."""
        activation = torch.zeros(8)
        self.made.append(weakref.ref(activation))
        self.count += 1
        self.runs += 1
        if self.error is not None and self.runs > WARM_UPS:
            raise self.error
        return activation + 1

    def undo(self):
        """Count from the beginning."""
        self.count = 0


@pytest.fixture
def maker():
    """One to which no model has failed."""
    return GraphMaker("a step of a test")


@pytest.fixture
def model():
    return nn.Linear(1, 1)


class TestCaptured:
    def test_what_the_step_changed_is_undone(self, cuda, maker, model):
        """
        By each run before the capture, in which nothing is computed.
        """
        counter = Counter()

        found = maker.capture(model, counter.step, counter.undo)

        assert found.result.tolist() == [1.0] * 8
        assert counter.count == 1
        assert counter.runs == WARM_UPS + 1

    def test_no_garbage_is_collected_meanwhile(self, cuda, maker, model):
        """
        What is let go of then may make a capture invalid.
        """
        on = []

        maker.capture(model, lambda: on.append(gc.isenabled()), list)

        assert on == [True] * WARM_UPS + [False]
        assert gc.isenabled()

    def test_it_may_be_tried_again(self, cuda, maker, model):
        counter = Counter()

        maker.capture(model, counter.step, counter.undo)

        assert maker.may_try(model)


class TestFailed:
    def test_the_stream_is_what_it_was(self, cuda, maker, model):
        """
        An invalid capture makes torch raise before it leaves its stream.
        """
        before = cuda.current
        counter = Counter(RuntimeError("a value was read back"))

        assert maker.capture(model, counter.step, counter.undo) is None

        assert cuda.current is before

    def test_numbers_can_be_drawn(self, cuda, maker, model):
        counter = Counter(RuntimeError("a value was read back"))

        maker.capture(model, counter.step, counter.undo)

        assert not cuda.default_generators[0].counts_for_graph

    def test_what_the_step_changed_is_undone(self, cuda, maker, model):
        counter = Counter(RuntimeError("a value was read back"))

        maker.capture(model, counter.step, counter.undo)

        assert counter.count == 0

    def test_the_model_is_not_tried_again_but_another_is(self, cuda, maker, model):
        counter = Counter(RuntimeError("a value was read back"))

        maker.capture(model, counter.step, counter.undo)

        assert not maker.may_try(model)
        assert maker.may_try(nn.Linear(1, 1))

    def test_another_kind_of_step_may_be_tried(self, cuda, maker, model):
        """
        A step of training may read back what one of decoding does not.
        """
        counter = Counter(RuntimeError("a value was read back"))

        maker.capture(model, counter.step, counter.undo)

        assert GraphMaker("another").may_try(model)


class TestFull:
    def test_full_memory_is_raised_and_says_nothing_of_the_model(
        self, cuda, maker, model
    ):
        counter = Counter(torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB"))

        with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
            maker.capture(model, counter.step, counter.undo)

        assert maker.may_try(model)

    def test_the_error_holds_nothing_of_the_attempt(self, cuda, maker, model):
        """
        What is tried next needs the memory.
        """
        counter = Counter(torch.OutOfMemoryError("CUDA out of memory"))
        gc.disable()

        try:
            with pytest.raises(torch.OutOfMemoryError, match="out of memory") as raised:
                maker.capture(model, counter.step, counter.undo)
            counter.error = None
            held = [one for one in counter.made if one() is not None]
        finally:
            gc.enable()

        assert held == []
        assert raised.value.__context__ is None


@needs_gpu
class TestOnAGpu:
    def test_torch_goes_on_after_a_failed_capture(self, maker):
        model = nn.Linear(4, 4, device="cuda")
        before = torch.cuda.current_stream()
        read = torch.zeros(4, device="cuda")

        with torch.no_grad():
            found = maker.capture(
                model, lambda: model(read) * model(read).sum().item(), read.zero_
            )
        torch.cuda.empty_cache()

        assert found is None
        assert torch.cuda.current_stream() == before
        assert torch.rand(4, device="cuda").isfinite().all()

    def test_a_step_that_draws_can_be_captured_after_another_failed(self, maker):
        model, other = (nn.Linear(4, 4, device="cuda") for _ in range(2))
        read = torch.zeros(4, device="cuda")

        with torch.no_grad():
            maker.capture(model, lambda: model(read).sum().item(), read.zero_)
            found = maker.capture(other, lambda: torch.rand_like(read), read.zero_)
            found.graph.replay()
            first = found.result.clone()
            found.graph.replay()

        assert not torch.equal(first, found.result)
