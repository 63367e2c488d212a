"""What is taken for memory that has run out."""

import torch

from sleepcycle.model.out_of_memory import is_full


def test_a_full_gpu_is_told_from_another_fault():
    assert is_full(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_full(RuntimeError("shapes do not match"))
