"""Errors that say that memory has run out, told from others."""

import torch
from accelerate.utils.memory import should_reduce_batch_size


def is_full(error: BaseException) -> bool:
    """Return whether memory has run out, of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)
