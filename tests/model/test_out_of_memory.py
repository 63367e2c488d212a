"""Memory that has run out: known as such, and met with smaller batches."""

from contextlib import contextmanager

import pytest
import torch

from sleepcycle.errors import ModelError
from sleepcycle.model.adapters import attach
from sleepcycle.model.drift import drifts
from sleepcycle.model.exam import examine
from sleepcycle.model.moments import moments
from sleepcycle.model.out_of_memory import BatchItem, in_parts_that_fit, is_full
from sleepcycle.model.score import each_nll, teach
from sleepcycle.records.content import Completion
from tests.model.conftest import some_examples
from tests.model.test_checkpoint import read_by

PAPER = BatchItem("paper", "print fewer")
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB"


def test_a_full_gpu_is_told_from_another_fault():
    assert is_full(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_full(RuntimeError("shapes do not match"))


class TestInPartsThatFit:
    def test_what_has_room_is_done_as_it_comes(self):
        done = list(in_parts_that_fit([[3, 1], [2]], sum, PAPER))

        assert done == [([3, 1], 4), ([2], 2)]

    def test_halves_are_done_in_order_and_nothing_twice(self):
        tried = []

        done = list(in_parts_that_fit([range(7)], with_room_for(2, tried), PAPER))

        assert [list(part) for part, _ in done] == [[0], [1, 2], [3, 4], [5, 6]]
        assert tried == [7, 3, 1, 2, 4, 2, 2]

    def test_batches_behind_come_in_as_many_parts(self):
        tried = []

        done = in_parts_that_fit(
            [range(8), range(8, 12)], with_room_for(2, tried), PAPER
        )

        assert [len(part) for part, _ in done] == [2, 2, 2, 2, 1, 1, 1, 1]
        assert tried == [8, 4, 2, 2, 4, 2, 2, 1, 1, 1, 1]

    def test_one_without_room_is_refused_with_what_to_do(self):
        with pytest.raises(
            ModelError,
            match=r"expected one paper to fit in memory, got: CUDA out of memory\. "
            r"Tried to allocate 2\.00 GiB; print fewer$",
        ):
            list(in_parts_that_fit([range(4)], with_room_for(0, []), PAPER))

    def test_another_error_is_not_taken_for_a_full_memory(self):
        def broken(part):
            raise RuntimeError("shapes differ")

        with pytest.raises(RuntimeError, match="shapes differ"):
            list(in_parts_that_fit([[0, 1]], broken, PAPER))


class TestWhatScores:
    """With room for two sequences at once all come to what they come to with more."""

    def test_losses(self, llama):
        ample = each_nll(llama, rows := some_examples(llama, count=5))

        with room_for_two(llama) as tried:
            assert each_nll(llama, rows) == pytest.approx(ample, rel=1e-6)

        assert tried == [5, 2, 3, 1, 2]

    def test_opinions_of_a_teacher(self, llama):
        ample = teach(llama, rows := some_examples(llama, count=5), k=4)

        with room_for_two(llama):
            found = teach(llama, rows, k=4)

        for one, other in zip(found, ample, strict=True):
            assert torch.equal(one.ids, other.ids)
            torch.testing.assert_close(one.logs, other.logs)
            torch.testing.assert_close(one.tail, other.tail, rtol=1e-4, atol=1e-5)

    def test_drifts(self, llama, random_changes):
        attach(llama, "day", random_changes(llama.targets))
        rows = some_examples(llama, count=5)
        [ample], tokens = drifts(llama, rows, [["day"]])

        with room_for_two(llama):
            [found], read = drifts(llama, rows, [["day"]])

        assert read == tokens
        assert found == pytest.approx(ample, rel=1e-4)

    def test_moments(self, llama, random_changes):
        """
        A batch that fails has been read by some layers already.
        """
        attach(llama, "day", random_changes(llama.targets))
        rows = some_examples(llama, count=5)
        ample = moments(llama, "day", rows)
        last = llama.model.base_model.layers[-1].mlp.down_proj

        with full_past(last, 24):
            found = moments(llama, "day", rows)

        for path, matrix in found.items():
            torch.testing.assert_close(matrix, ample[path], rtol=1e-4, atol=1e-6)

    def test_an_exam(self, nano):
        contents = [Completion(f"What is {n} plus 1?", f"{n + 1}") for n in range(5)]
        ample = examine(nano, contents, [[]], max_asked=5)

        with room_for_two(nano) as tried:
            found = examine(nano, contents, [[]], max_asked=5)

        assert max(tried) > 2
        assert [one.right for one in found] == [one.right for one in ample]

    def test_one_example_without_room_is_refused(self, llama):
        with (
            read_by(llama, with_room_for(0, [])),
            pytest.raises(ModelError, match="expected one example to fit in memory"),
        ):
            each_nll(llama, some_examples(llama))


def with_room_for(most, tried):
    """Return what counts sequences, notes how many came, and fails at too many."""

    def count(part):
        size = part if isinstance(part, int) else len(part)
        tried.append(size)
        if size > most:
            raise torch.OutOfMemoryError(f"{FULL}\nand more")
        return size

    return count


@contextmanager
def room_for_two(base):
    """Let a model have room for two sequences at once; yield how many were tried."""
    tried = []
    with read_by(base, with_room_for(2, tried)):
        yield tried


@contextmanager
def full_past(layer, most):
    """Let memory be full where a layer comes to read more tokens than that."""

    def look(_, inputs):
        if inputs[0].flatten(0, -2).shape[0] > most:
            raise torch.OutOfMemoryError(FULL)

    hook = layer.register_forward_pre_hook(look)
    try:
        yield
    finally:
        hook.remove()
