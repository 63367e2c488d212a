"""How far a life has moved what the base says, on turns that nothing learns.

No gate asks them, and no night is stopped by them, either.
"""

from collections.abc import Sequence

from sleepcycle.learning.bank import Bank
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.dream_start import (
    encode_dreams,
)
from sleepcycle.model.drift import drifts
from sleepcycle.model.encode import (
    Encoded,
)
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.settings.config import BankSettings
from sleepcycle_study.memory.methods import PROBES

TURNS = 64
LOOKED_AT = 2 * PROBES  # the first held-out turns: the gate's, and those that stop REM
MEASURED = "measured"


def unlearned_turns(base: Base) -> list[Encoded]:
    """Return turns of the bare base, the same in every life; made if need be."""
    turns = Bank(base, BankSettings()).held_out(LOOKED_AT + TURNS)[-TURNS:]
    return encode_dreams(turns, base)


def base_drift(
    base: Base, change: LayerChanges, turns: Sequence[Encoded]
) -> float | None:
    """Return KL(base ‖ change), in nats per token; None where there is no turn."""
    with adapters.attached(base, MEASURED, change):
        sides = [[MEASURED]] if change else [[]]
        [nats], tokens = drifts(base, turns, sides)
    return nats / tokens if tokens else None
