"""Where dreams begin: what stands before them, and what of them counts."""

from collections.abc import Iterable
from dataclasses import replace

from sleepcycle.errors import ModelError
from sleepcycle.model import token_ids
from sleepcycle.model.base import Base
from sleepcycle.model.chat_template import template_of
from sleepcycle.model.encode import Encoded, encode_all, text_end, text_start
from sleepcycle.model.token_ids import common_start
from sleepcycle.records.content import Content, Conversation, Message, Role

SPOKEN = "words that no template holds"


def can_dream(base: Base) -> bool:
    """Return whether a model can begin a user's turn, or a text, by itself."""
    try:
        return bool(dream_start(base))
    except ModelError:
        return False


def dream_start(base: Base) -> list[int]:
    """Return the ids after which a model dreams: where a user's turn, or a text begins.

    Raises:
        ModelError: The chat template does not render a user's turn as it was said, or
            there is neither template nor a token that begins a text.
    """
    if not base.chat:
        start = text_start(base) or text_end(base)
        if not start:
            raise ModelError(
                f"{base.identity.id} has no token that begins or ends a text, so it "
                'cannot dream; leave "archive" and "last" out of sleep.rem.memory, and '
                "set wake.general_share, sleep.rem.general_share and gate.probe_dreams "
                "to 0"
            )
        return start
    asked = Conversation((Message(Role.USER, SPOKEN),))
    rendered = template_of(base.tokenizer).prompt(asked)
    before, spoken, _ = rendered.partition(SPOKEN)
    if not spoken:
        raise ModelError(
            f"the chat template of {base.identity.id} changes what a user says, so no "
            'turn can be dreamt; set model.chat = "never"'
        )
    return token_ids.rendered(base.tokenizer, before)


def encode_dreams(contents: Iterable[Content], base: Base) -> list[Encoded]:
    """Return what a model dreamt, ready to be learned as a whole.

    What cannot be learned is left out.

    Raises:
        ModelError: The base cannot dream.
    """
    return counted_from_turn(encode_all(contents, base, prompt_weight=1), base)


def counted_from_turn(sequences: Iterable[Encoded], base: Base) -> list[Encoded]:
    """Return sequences of which nothing counts that stands before every dream.

    A template's own system turn is not worth learning: no dream has to say it.

    Raises:
        ModelError: The base cannot dream.
    """
    start = dream_start(base)
    found = []
    for one in sequences:
        given = common_start(start, list(one.ids))
        weights = (0.0,) * given + one.weights[given:]
        found.append(replace(one, weights=weights))
    return found
