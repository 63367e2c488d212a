"""How many tokens a life has trained on and read."""

from dataclasses import dataclass

from sleepcycle.learning.rem import PASSES_TO_LEARN
from sleepcycle.records.reports import RemReport


@dataclass
class TokenCount:
    """Tokens that passed through the model so far; those of questions do not count."""

    trained: int = 0
    """Tokens that passed forward and backward."""

    read: int = 0
    """Tokens that passed forward alone: teachers, surveys, dreams."""

    def add_rem(self, rem: RemReport, wake_tokens: int) -> None:
        """Count a night's REM, whose cost is a share of what the wake trained on."""
        passes = rem.cost * PASSES_TO_LEARN * wake_tokens
        self.trained += rem.tokens
        self.read += max(0, round(passes - PASSES_TO_LEARN * rem.tokens))
