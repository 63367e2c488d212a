"""What a night's REM counts for."""

from dataclasses import fields

import pytest

from sleepcycle.records.reports import RemReport
from sleepcycle_study.experiment.token_count import TokenCount


def rem(tokens, cost):
    """Return the report of a REM; what is not counted is None."""
    others = {field.name: None for field in fields(RemReport)}
    return RemReport(**others | {"tokens": tokens, "cost": cost})


@pytest.mark.parametrize(
    ("tokens", "cost", "read"),
    [
        (100, 0.5, 1200),  # 1500 passes of half a wake's 3000, 300 of them learned
        (500, 0.5, 0),
        (501, 0.5, 0),  # rounded: no more passes than were learned from
    ],
)
def test_what_rem_did_not_learn_from_it_read(tokens, cost, read):
    count = TokenCount(trained=1000, read=0)

    count.add_rem(rem(tokens, cost), wake_tokens=1000)

    assert (count.trained, count.read) == (1000 + tokens, read)
