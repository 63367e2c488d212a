"""What is learned of an example: its own tokens, and a teacher's opinion."""

import pytest

from sleepcycle.learning.distillation import TaughtExample, reduced_taught
from sleepcycle.model.encode import Encoded
from sleepcycle.settings.choices import Reduction


def taught(tokens):
    """Return an example of which so many tokens are learned."""
    ids = tuple(range(tokens + 1))
    return TaughtExample(Encoded(ids, (0.0,) + (1.0,) * tokens), None, 0.25)


@pytest.mark.parametrize(
    ("reduction", "wholes"),
    [
        (Reduction.TOKEN, [4, 16]),
        (Reduction.SQRT, [2, 4]),
        (Reduction.EXAMPLE, [1, 1]),
    ],
)
def test_what_has_a_teacher_is_reduced_as_all_else(reduction, wholes):
    found = reduced_taught([taught(4), taught(16)], reduction)

    assert [sum(one.encoded.weights) for one in found] == pytest.approx(wholes)
    assert [one.gold for one in found] == [0.25, 0.25]
