"""Whether days hold on to the base, and what a night is and is asked accordingly."""

from collections.abc import Sequence

from sleepcycle.settings.choices import Memory, Stage
from sleepcycle.settings.config import GateSettings, Settings, WakeSettings

DREAMT = frozenset({Memory.ARCHIVE, Memory.LAST})  # what only REM can make and learn
GENERAL_SHARE = 0.25  # of a batch; docs/explanation/experiments.md
HELD_FROM = 50_000_000  # parameters of a base that has room to hold on to itself
# measured on one base of 135 M, and a guess for others; docs/explanation/experiments.md
HELD_KL = 0.13  # nats, up to which two thirds of what a base knew are kept
HELD_AGREEMENT_LOSS = 0.65  # a wordy base's days lose half, those that lose it more
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


def holds(settings: Settings, parameters: int) -> bool:
    """Return whether days learn turns of the base beside what they are taught."""
    share = general_share(settings.wake, parameters)
    return share > 0 and settings.bank.turns > 0


def night_stages(settings: Settings, parameters: int) -> Sequence[Stage]:
    """Return the stages of a night, in their order.

    By itself a night folds alone where days hold on to the base, since the compute of
    REM brings more by day (docs/explanation/experiments.md). Where they do not, REM's
    turns of the base are all that holds it; and dreams are made and learned in REM.

    Args:
        settings: As the owner has them.
        parameters: Of the base.
    """
    if settings.sleep.stages != "auto":
        return settings.sleep.stages
    dreams = not DREAMT.isdisjoint(settings.sleep.rem.memory)
    if dreams or not holds(settings, parameters):
        return (Stage.SVD, Stage.REM)
    return (Stage.SVD,)


def gate_limits(settings: Settings, parameters: int) -> GateSettings:
    """Return a gate's settings whose bounds on what is left of the base are numbers.

    Automatic ones are narrow where days hold on to the base, and so can keep to it.

    Args:
        settings: As the owner has them.
        parameters: Of the base.
    """
    gate, held = settings.gate, holds(settings, parameters)
    automatic = {
        "max_general_kl": HELD_KL if held else LOOSE_KL,
        "max_agreement_loss": HELD_AGREEMENT_LOSS if held else 1.0,
    }
    chosen = {name: x for name, x in automatic.items() if getattr(gate, name) == "auto"}
    return gate.model_copy(update=chosen)
