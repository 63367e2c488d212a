"""Whether days hold on to the base, and what is asked of a night accordingly."""

from sleepcycle.settings.config import GateSettings, WakeSettings

GENERAL_SHARE = 0.25  # of a batch; docs/explanation/experiments.md
HELD_FROM = 50_000_000  # parameters of a base that has room to hold on to itself
HELD_KL = 0.1  # nats; nine tenths of what a base knew are there, on average
LOOSE_KL = 2.0  # nats; what a small base's lessons make of it, and no more


def settled(settings: WakeSettings, parameters: int) -> WakeSettings:
    """Return settings whose share of the base's own turns is a number.

    Args:
        settings: As the owner has them.
        parameters: Of the base.
    """
    share = general_share(settings, parameters)
    return settings.model_copy(update={"general_share": share})


def general_share(settings: WakeSettings, parameters: int) -> float:
    """Return which part of a batch the base's own turns have, in [0, 1)."""
    if settings.general_share != "auto":
        return settings.general_share
    return GENERAL_SHARE if parameters >= HELD_FROM else 0.0


def limits(gate: GateSettings, wake: WakeSettings, parameters: int) -> GateSettings:
    """Return a gate's settings whose bound on the distance from the base is a number.

    An automatic one is narrow where days hold on to the base, and so can keep to it.

    Args:
        gate: As the owner has them.
        wake: Of the days before the night.
        parameters: Of the base.
    """
    bound = gate.max_general_kl
    if bound == "auto":
        bound = HELD_KL if general_share(wake, parameters) else LOOSE_KL
    return gate.model_copy(update={"max_general_kl": bound})
