"""Asks a model that carries an adapter, with the calculator where a question has it."""

from collections.abc import Sequence

from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import encode
from sleepcycle.model.reply import Prompt, Reply, reply_to
from sleepcycle.model.score import BATCH_SIZE, nll
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.content import Text

ASKED = "asked"


def reply(base: Base, change: LayerChanges, asked: Sequence[Prompt]) -> list[Reply]:
    """Answer prompts greedily under a change alone; the base is bare again after."""
    put_on(base, change)
    try:
        return reply_to(base, asked)
    finally:
        take_off(base, change)


def loss(base: Base, change: LayerChanges, texts: Sequence[str]) -> float:
    """Return the mean loss on texts under a change, in nats per token."""
    put_on(base, change)
    try:
        encoded = [encode(Text(text), base, prompt_weight=0) for text in texts]
        nats, count = nll(base, encoded, BATCH_SIZE)
        return nats / count
    finally:
        take_off(base, change)


def put_on(base: Base, change: LayerChanges) -> None:
    """Let a change alone be active; none for the bare base."""
    if change:
        adapters.attach(base, ASKED, change)
    adapters.activate(base, [ASKED] if change else [])


def take_off(base: Base, change: LayerChanges) -> None:
    """Leave the base bare."""
    if change:
        adapters.remove(base, ASKED)
