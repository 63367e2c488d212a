"""Decoding: rows are written token by token, and leave when they have ended.

The tokens are those of transformers' `generate`. What it does anew for each of them in
Python costs a small model more than its matrices do, it goes on with all rows until the
last has ended, and it copies the cache to make room for each.
"""

from collections.abc import Sequence

from sleepcycle.model.base import Base
from sleepcycle.model.decoding_graph import DecodingGraph
from sleepcycle.model.row_state import Choice, Rows, Written

LEAST_ROWS = 4  # of which ended ones are taken out; fewer cost as much as one


def decode(
    base: Base, prompts: Sequence[Sequence[int]], choice: Choice
) -> list[Written]:
    """Write rows side by side with whatever is active, until all have ended.

    When half of the rows have ended, the others go on without them.
    """
    rows = Rows(base, prompts, choice)
    done: dict[int, Written] = {}
    rows.begin()
    with DecodingGraph(base) as graph:
        while rows.written < rows.most and (going := rows.going()):
            half = going * 2 <= len(rows.places) >= LEAST_ROWS
            if half and graph.lets_go(rows):
                graph.drop(rows)
                done |= rows.take_ended()
            graph.run(rows)
    done |= rows.take_all()
    return [done[place] for place in range(len(prompts))]
