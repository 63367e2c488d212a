"""How long a wake is: room in a batch, steps, and known examples shown again."""

import math
from fractions import Fraction

from sleepcycle.settings.base_hold import settled
from sleepcycle.settings.config import WakeSettings

ANCHOR_EVERY = 10  # steps in which an anchor comes once: often enough not to be lost
MOST_ANCHORS = Fraction(1, 4)  # of the places of what is known; examples have the rest


def room(batch_size: int, share: Fraction, new: int) -> Fraction:
    """Return how many new examples a batch holds on average.

    Args:
        batch_size: Examples a batch, replayed ones included.
        share: Part of a batch that is not new, in [0, 1); 0 where all is.
        new: How many new examples there are.
    """
    return min(batch_size * (1 - share), Fraction(new))


def step_count(settings: WakeSettings, new: int, room: Fraction) -> int:
    """Return how many steps show `new` examples `epochs` times, within the bounds.

    Args:
        settings: Its `min_steps` and `max_steps` bound the result.
        new: How many new examples there are, at least one.
        room: How many of them a batch holds on average.
    """
    steps = max(settings.min_steps, epoch_steps(settings, new, room))
    return min(steps, settings.max_steps or steps)


def epoch_steps(settings: WakeSettings, new: int, room: Fraction) -> int:
    """Return how many steps show `new` examples `epochs` times, whatever the bounds.

    Args:
        settings: Of the wake.
        new: How many new examples there are, at least one.
        room: How many of them a batch holds on average.
    """
    return max(1, round(settings.epochs * new / room))


def shown_again(settings: WakeSettings) -> Fraction:
    """Return which part of a batch is not new: known, or the base's own.

    Args:
        settings: As `settled` returns them.
    """
    general = Fraction(settings.general_share)
    return 1 - (1 - general) * (1 - Fraction(settings.replay_share))


def anchor_share(anchors: int, batch_size: int, known: Fraction) -> Fraction:
    """Return which part of a batch the owner's anchors take: each once in some steps.

    Args:
        anchors: How many there are.
        batch_size: Examples a batch.
        known: Part of a batch that what is known has; they take a quarter at most.
    """
    return min(Fraction(anchors, ANCHOR_EVERY * batch_size), MOST_ANCHORS * known)


def general_limit(settings: WakeSettings, new: int) -> int:
    """Return how many of the base's own turns a whole wake has places for."""
    again = shown_again(settings)
    place = room(settings.batch_size, again, new)
    size = place / (1 - again)
    steps = step_count(settings, new, place)
    return math.ceil(steps * size * Fraction(settings.general_share))


def replay_limit(settings: WakeSettings, new: int) -> int:
    """Return how many known examples the batches of a whole wake have places for.

    Where the share of the base's own turns is automatic, these are the places that
    known examples have without them: a few more.
    """
    settings = settled(settings, parameters=0)
    share = Fraction(settings.replay_share)
    place = room(settings.batch_size, shown_again(settings), new)
    return math.ceil(step_count(settings, new, place) * place * share / (1 - share))
