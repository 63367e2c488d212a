"""Loading of heavy modules without looking for garbage, of which there is none yet.

Torch and transformers make some millions of objects that stay. While Python collects
garbage it looks at all of them again and again: more than a third of the time to load.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Let a block make objects without a collection of garbage."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
