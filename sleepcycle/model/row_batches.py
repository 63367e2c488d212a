"""How many rows are written at once: as many as memory has room for."""

import math
from collections.abc import Iterator, Sequence

from sleepcycle.model.base import Base
from sleepcycle.model.device_memory import memory_for
from sleepcycle.model.memory_need import cache_bytes
from sleepcycle.model.model_size import size_of

SHARE = 0.25  # of the free memory that rows may take
MOST_ROWS = {"cuda": 1024}
MOST_ROWS_ELSEWHERE = 64  # more bring a CPU no speed
ACTIVATIONS = 16  # hidden vectors of a prompt's token, while a layer reads it
SCORES = 12  # bytes for each token of the vocabulary: logits, and their probabilities


def by_memory(
    base: Base, lengths: Sequence[int], max_new_tokens: int
) -> Iterator[list[int]]:
    """Yield places, shortest first, as many at once as there is room for.

    The free memory is rounded down to a power of two, and there are never more than
    `MOST_ROWS`, so that the same prompts meet in the same batches again wherever memory
    is no close matter.

    Args:
        base: The base.
        lengths: Tokens of each prompt.
        max_new_tokens: That each may get.
    """
    room, most = room_for_rows(base), most_rows(base)
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda one: lengths[one]):
        needed = (len(batch) + 1) * row_bytes(base, lengths[place], max_new_tokens)
        if batch and (len(batch) == most or needed > room):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def room_for_rows(base: Base) -> int:
    """Return how many bytes rows may take, of the memory that is free now."""
    free = memory_for(str(base.device)).free_bytes
    room: int = 2 ** math.floor(math.log2(max(1.0, SHARE * free)))
    return room


def most_rows(base: Base) -> int:
    """Return how many rows may be written at once, however small they are."""
    return MOST_ROWS.get(base.device.type, MOST_ROWS_ELSEWHERE)


def row_bytes(base: Base, prompt_tokens: int, max_new_tokens: int) -> int:
    """Return what a row takes: keys and values, activations of its prompt, logits."""
    config = base.model.config.get_text_config()
    item: int = base.model.dtype.itemsize
    each = cache_bytes(size_of({}, vars(config)), item)
    kept = (prompt_tokens + max_new_tokens) * each
    read: int = ACTIVATIONS * config.hidden_size * item
    if config._attn_implementation == "eager":  # keeps all scores of a layer
        heads: int = getattr(config, "num_attention_heads", 0)
        read += 2 * heads * prompt_tokens * item
    logits: int = SCORES * config.vocab_size
    return kept + prompt_tokens * read + logits
