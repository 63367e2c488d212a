"""LAMOL: before each lesson the last model writes samples of the earlier ones.

Sun et al. (2020), arXiv:1909.03329. Samples are dreamt as the package dreams, and are
replayed as its wake replays stored examples; no example is stored.
"""

from sleepcycle.learning import wake
from sleepcycle.learning.dreams import DreamPlan, dream
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.example import Example
from sleepcycle.settings.config import RemSettings, Settings
from sleepcycle_study.memory.day import Lifetime, Today, wake_up

SHARE = 0.2  # pseudo samples over new examples, the paper's best gamma
PROMPT_WEIGHT = 0.25  # the paper's weight of learning to write whole samples
BEGUN = 2  # dreams begun for each that is wanted, since many are filtered out


def learn(base: Base, life: Lifetime, today: Today, settings: Settings) -> LayerChanges:
    """Learn with one adapter that goes on, and replay what it dreams."""
    replay = _dreamt(base, life, today, settings.sleep.rem)
    return wake_up(base, wake.WakeStart({}, life.live), replay, settings, today, life)


def _dreamt(
    base: Base, life: Lifetime, today: Today, settings: RemSettings
) -> list[Example]:
    """Let what was learned so far dream; the bare base knows no lesson."""
    if not life.live:
        return []
    wanted = round(SHARE * len(today.new))
    plan = DreamPlan(
        count=BEGUN * wanted,
        temperature=settings.temperature,
        max_tokens=settings.dream_tokens,
        seed=today.seed,
    )
    with adapters.attached(base, wake.LIVE, life.live):
        found = dream(base, plan, set())
    life.cost.read += found.tokens
    return [Example(-i, -1, c) for i, c in enumerate(found.contents[:wanted], 1)]
