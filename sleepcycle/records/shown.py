"""An example as the model will see it, in words: what it reads, and what it learns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens next to each other that weigh the same, as text."""

    text: str
    weight: float
    """In the loss; 0 is only read."""


@dataclass(frozen=True, slots=True)
class ShownExample:
    """One example as the model will see it."""

    sequences: tuple[tuple[Segment, ...], ...]
    cut: int
    """Tokens that its prompts lost in their middle."""

    fault: str | None
    """Why the base cannot learn it, if it cannot."""

    left_out: int = 0
    """Answers that are too long, so that they are only read."""
