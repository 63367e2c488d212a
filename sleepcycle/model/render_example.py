"""Render examples as the model will see them, in words."""

from itertools import groupby

from sleepcycle.errors import ExampleError
from sleepcycle.model.base import TextBase
from sleepcycle.model.encode import Encoded, encode
from sleepcycle.records.content import Content
from sleepcycle.records.shown import Segment, ShownExample


def show_example(
    content: Content, base: TextBase, *, prompt_weight: float
) -> ShownExample:
    """Return what the model sees of an example, or why it cannot learn it."""
    try:
        encoded = encode(content, base, prompt_weight=prompt_weight)
    except ExampleError as error:
        return ShownExample((), 0, f"{error.code} {error}")
    sequences = tuple(_segments(one, base) for one in encoded)
    left_out = sum(one.left_out for one in encoded)
    return ShownExample(sequences, sum(one.cut for one in encoded), None, left_out)


def _segments(encoded: Encoded, base: TextBase) -> tuple[Segment, ...]:
    """Return the text of a sequence, by weight."""
    pairs = zip(encoded.ids, encoded.weights, strict=True)
    return tuple(
        Segment(base.tokenizer.decode([token for token, _ in run]), weight)
        for weight, run in groupby(pairs, key=lambda pair: pair[1])
    )
