"""Asks a model that carries an adapter, with the calculator where a question has it."""

from collections.abc import Sequence

from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.reply import Prompt, Reply, reply_to
from sleepcycle.model.score import encode_contents, nll
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.content import Text

ASKED = "asked"


def reply(base: Base, change: LayerChanges, asked: Sequence[Prompt]) -> list[Reply]:
    """Answer prompts greedily under a change alone; the base is bare again after."""
    with adapters.attached(base, ASKED, change):
        return reply_to(base, asked)


def loss(base: Base, change: LayerChanges, texts: Sequence[str]) -> float:
    """Return the mean loss on texts under a change, in nats per token."""
    with adapters.attached(base, ASKED, change):
        encoded = encode_contents(base, [Text(text) for text in texts])
        nats, count = nll(base, encoded)
        return nats / count
