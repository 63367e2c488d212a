"""Numbers read back from where they were computed."""

import pytest
import torch

from sleepcycle.model.readback import Readback


def test_what_is_read_is_what_was_there_when_it_was_asked_for():
    numbers = torch.tensor([1.5, -2.0])
    kept = Readback(numbers.clone())

    assert kept.read() == [1.5, -2.0]
    assert kept.read() == [1.5, -2.0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_may_go_on_meanwhile():
    numbers = torch.tensor([1.5, -2.0], device="cuda")
    kept = Readback(numbers)

    numbers.zero_()

    assert kept.read() == [1.5, -2.0]
