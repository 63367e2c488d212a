"""Captured steps: what they write is what the same steps write as they are."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sleepcycle.model.decode import decode
from sleepcycle.model.decoding_graph import DecodingGraph
from sleepcycle.model.row_state import Rows
from tests.model.test_decode import MATRIX, choice, plain, prompts, said

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="a CUDA graph needs a GPU"
)


class TestOnACpu:
    def test_a_step_is_run_as_it_is(self, random_base):
        base = random_base(MATRIX["llama"]())
        rows = Rows(base, prompts(0), choice())

        with torch.no_grad(), DecodingGraph(base) as graph:
            rows.begin()
            graph.run(rows)

        assert rows.written == 2
        assert graph.lets_go(rows)


class _NothingReadBack(TorchDispatchMode):
    """Refuses what makes a capture fail: whatever waits for a value of a tensor."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        if "_local_scalar_dense" in name or "nonzero" in name:
            raise AssertionError(f"a step reads a value back: {name}")
        return func(*args, **(kwargs or {}))


class TestFixedShapes:
    @pytest.mark.parametrize("kind", MATRIX)
    def test_a_step_reads_nothing_back(self, random_base, kind):
        base = random_base(MATRIX[kind](), repetition_penalty=1.2)
        rows = Rows(base, prompts(0), choice(penalty=1.2))
        with torch.no_grad():
            rows.begin()
            rows.fix()
            rows.advance()
            with _NothingReadBack():
                rows.advance()


@needs_gpu
class TestOnAGpu:
    @pytest.mark.parametrize("kind", MATRIX)
    def test_tokens_are_those_of_plain_generate(self, random_base, kind):
        """
        Also of a mixture of experts, which may not be captured.
        """
        base = random_base(MATRIX[kind](), device="cuda")

        with torch.no_grad():
            found = said(base, decode(base, prompts(16), choice()))

        assert found == plain(base, prompts(16), choice())

    def test_a_step_of_a_llama_is_captured(self, random_base):
        base = random_base(MATRIX["llama"](), device="cuda")
        rows = Rows(base, prompts(0), choice())

        with torch.no_grad(), DecodingGraph(base) as graph:
            rows.begin()
            graph.run(rows)

        assert rows.written > 2
