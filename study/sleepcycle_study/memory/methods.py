"""The ways to live through the lessons that are compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

from sleepcycle.settings.base_hold import HELD_KL
from sleepcycle.settings.config import Settings, WakeSettings
from sleepcycle_study.memory import ewc, lamol, olora
from sleepcycle_study.memory.day import Learn, learn_fresh, learn_on

RANK = 16
REPLAY = 0.5  # of the wake, the package's default
DREAMING = 0.3  # prompt weight with which versions can dream their lessons at all
ASKING = 0.1  # prompt weight of which a dreamer has less to learn
HALF_MORE = 1.5  # as much as a wake and the REM that may follow it
DREAMT = 1.45  # the same, of which a twentieth is left to a night
SCALE = 2  # alpha over rank, as in the package's defaults
HELD = 1 / 4  # of a batch, the base's own turns; the package's default
PROBES = 32  # dreams of the base that REM is stopped by, and its nights judged
EWC = 1e3  # tenfold stops learning after two lessons
OURS = "store"
"""The arm that the others are compared with: fold and REM, from stored examples. By
default a real base's nights fold alone; nearest to that is `folded, bank 1/4`."""

TOGETHER = "joint"
"""The arm that is taught all lessons at once."""


class Schedule(StrEnum):
    """When lessons are taught."""

    IN_TURN = "in turn"
    AT_ONCE = "at once"
    NEVER = "never"


@dataclass(frozen=True)
class Method:
    """One way to live through the lessons."""

    learn: Learn = learn_fresh
    schedule: Schedule = Schedule.IN_TURN
    replay_share: float = 0.0
    more: float = 1.0
    """How many times the examples of a day are shown."""

    prompt_weight: float = 0.0
    stages: tuple[str, ...] = ()
    """Of a night; none for no nights."""

    memory: tuple[str, ...] = ("store",)
    rank: int = RANK
    """What nights fold to."""

    masked: bool = False
    """What the first fold cut off is never used again."""

    wake: Mapping[str, object] = field(default_factory=dict)
    """Other settings of the wake than the defaults; so with the four below."""

    svd: Mapping[str, object] = field(default_factory=dict)
    rem: Mapping[str, object] = field(default_factory=dict)
    bank: Mapping[str, object] = field(default_factory=dict)
    gate: Mapping[str, object] = field(default_factory=dict)


def _held(
    method: Method, share: float = HELD, weight: float | None = None, **bank: float
) -> Method:
    """Return a way to live with the base's own turns beside the lessons, by day.

    Args:
        method: How else to live.
        share: Their part of a batch.
        weight: What their mean loss counts for; None leaves the default.
        bank: Other settings of the bank.
    """
    wake: dict[str, object] = {"general_share": share}
    if weight is not None:
        wake["general_weight"] = weight
    return replace(method, wake={**method.wake, **wake}, bank=bank)


def _ours(
    memory: tuple[str, ...] = ("store",),
    prompt_weight: float = 0.0,
    replay_share: float = REPLAY,
    wake: Mapping[str, object] | None = None,
    svd: Mapping[str, object] | None = None,
    **rem: object,
) -> Method:
    """Return a cycle with both stages of a night, and some settings changed."""
    return Method(
        replay_share=replay_share,
        prompt_weight=prompt_weight,
        stages=("svd", "rem"),
        memory=memory,
        wake=wake or {},
        svd=svd or {},
        rem=rem,
    )


COMPARED = {
    "base": Method(schedule=Schedule.NEVER),
    TOGETHER: Method(learn_on, Schedule.AT_ONCE),
    "joint, half more": Method(learn_on, Schedule.AT_ONCE, more=HALF_MORE),
    "sequential": Method(learn_on),
    "sequential + svd 8": Method(learn_on, stages=("svd",), rank=8),
    "sequential + svd 8, masks": Method(learn_on, stages=("svd",), rank=8, masked=True),
    "replay 1 %": Method(learn_on, replay_share=0.01),
    "replay 10 %": Method(learn_on, replay_share=0.1),
    "replay 50 %": Method(learn_on, replay_share=0.5),
    "replay 50 %, half more": Method(learn_on, replay_share=0.5, more=HALF_MORE),
    "O-LoRA": Method(olora.learn),
    "EWC": Method(partial(ewc.learn, strength=EWC)),
    "LAMOL": Method(
        lamol.learn, replay_share=lamol.SHARE, prompt_weight=lamol.PROMPT_WEIGHT
    ),
    OURS: _ours(),
    "archive": _ours(("archive",)),
    "last": _ours(("last",), DREAMING),
    "store + archive": _ours(("store", "archive")),
    "store, no svd": Method(replay_share=REPLAY, stages=("rem",)),
    "store, no rem": Method(replay_share=REPLAY, stages=("svd",)),
    "store, rem first": Method(replay_share=REPLAY, stages=("rem", "svd")),
    "store, rank 8": _ours(svd={"rank": 8}),
}
"""The ways of the field, and the package's with one of its parts changed."""

MENDED = {"mend": True, "probe_dreams": PROBES, "max_asked": 64}
"""Of a gate that weakens what it refuses, asking as much as the service's does."""

VARIANTS = {
    "store, mended": replace(COMPARED[OURS], gate=MENDED),
    "store, no rem, mended": replace(COMPARED["store, no rem"], gate=MENDED),
    "store, no wake replay": _ours(replay_share=0.0),
    "store, replay 10 %": _ours(replay_share=0.1),
    "store, replay 30 %": _ours(replay_share=0.3),
    "store, activations": _ours(svd={"weighting": "activations"}),
    "store, half from teachers": _ours(gold_share=0.5),
    "store, all from teachers": _ours(gold_share=0.0),
    "store, surprise": _ours(surprise_share=0.5),
    "store, 16 a step": _ours(wake={"batch_size": 16}, batch_size=16),
    "store, today a half": _ours(today_share=0.5),
    "store, by token": _ours(wake={"loss_reduction": "token"}),
    "store, by example": _ours(wake={"loss_reduction": "example"}),
    "store, no rem, half more, by token": Method(
        replay_share=REPLAY,
        stages=("svd",),
        more=HALF_MORE,
        wake={"loss_reduction": "token"},
    ),
    "store, no rem, half more, by example": Method(
        replay_share=REPLAY,
        stages=("svd",),
        more=HALF_MORE,
        wake={"loss_reduction": "example"},
    ),
    "store, no general": _ours(general_share=0.0),
    "store, as much as the day": _ours(max_share_of_wake=1.0),
    "archive, no dreamer": _ours(("archive",), DREAMING, dreamer_share=0.0),
    "archive, longer dreamer": _ours(("archive",), dreamer_share=0.85),
    "archive, shorter dreamer": _ours(("archive",), dreamer_share=0.5),
    "archive, prompts weigh": _ours(("archive",), ASKING),
    "archive, prompts heavier": _ours(("archive",), DREAMING),
    "archive, twice the dreams": _ours(("archive",), dreams=400),
    "archive, warmer": _ours(("archive",), temperature=1.0),
    "archive, unsure too": _ours(("archive",), confidence=0.0),
    "archive, surer": _ours(("archive",), confidence=0.9),
    "archive, all from teachers": _ours(("archive",), gold_share=0.0),
    "archive, as much as the day": _ours(("archive",), max_share_of_wake=1.0),
    "EWC, a tenth": Method(partial(ewc.learn, strength=EWC / 10)),
    "EWC, tenfold": Method(partial(ewc.learn, strength=10 * EWC)),
}
"""Other settings that were tried."""

TWO_BY_TWO = {
    "replay 50 %, half more": COMPARED["replay 50 %, half more"],
    "replay 50 %, rem": Method(learn_on, replay_share=REPLAY, stages=("rem",)),
    "store, no rem, half more": Method(
        replay_share=REPLAY, stages=("svd",), more=HALF_MORE
    ),
    OURS: COMPARED[OURS],
}
"""One adapter that goes on, or a fresh one that is folded, with half as much again
learned by day or by night."""

PRIMARY = ("store, no rem, half more", "replay 50 %, half more")
"""What is compared first of all, the former less the latter: does a night that folds
keep more than the same learning on one adapter? Named before it was run, to be run with
`PAIRS` orders and seeds at least."""

PAIRS = 8

FOLDED = TWO_BY_TWO["store, no rem, half more"]
BANK = {
    "folded, bank 1/8": _held(FOLDED, 1 / 8),
    "folded, bank 1/4": _held(FOLDED),
    "folded, bank 1/2": _held(FOLDED, 1 / 2),
    "folded, bank, weight 1": _held(FOLDED, weight=1),
    "folded, bank, weight 20": _held(FOLDED, weight=20),
    "folded, bank, none near": _held(FOLDED, near_share=0.0),
    "folded, bank, all near": _held(FOLDED, near_share=1.0),
    "folded, bank, 256 turns": _held(FOLDED, turns=256),
    "folded, bank, mended": replace(_held(FOLDED), gate=MENDED),
    "folded, mended": replace(FOLDED, gate={**MENDED, "max_general_kl": HELD_KL}),
    "folded, bank, replay 30 %": _held(replace(FOLDED, replay_share=0.3)),
    "folded, bank, 4 a step": _held(replace(FOLDED, wake={"batch_size": 4})),
    "folded, bank, replay 30 %, weight 10": _held(
        replace(FOLDED, replay_share=0.3), weight=10
    ),
    "folded, bank, rank 32": replace(_held(FOLDED), rank=32),
    "folded, bank, rank 64": replace(_held(FOLDED), rank=64),
    "store, bank 1/4": _held(COMPARED[OURS]),
    "archive, bank 1/4": _held(COMPARED["archive"]),
    "archive, half more, bank 1/4": _held(
        replace(_ours(("archive",), max_share_of_wake=0.05, dreams=512), more=DREAMT)
    ),
    "replay 50 %, half more, bank 1/4": _held(COMPARED["replay 50 %, half more"]),
    "replay 30 %, half more, bank 1/4": _held(
        replace(COMPARED["replay 50 %, half more"], replay_share=0.3)
    ),
    "joint, half more, bank 1/4": _held(COMPARED["joint, half more"]),
}
"""The base's own turns beside the lessons, by day."""

METHODS = COMPARED | VARIANTS | TWO_BY_TWO | BANK
THROUGHOUT = (OURS, "archive", TOGETHER, "sequential")
"""Arms that are lived with every order and seed; others where both are the same."""


def settings(arm: Method, examples: int, dream_tokens: int, *, first: bool) -> Settings:
    """Return the settings of one day.

    A night without REM is judged by held-out examples alone: dreams of the base, which
    would change nothing of what it leaves, take longer to write than it does.

    Args:
        arm: The way to live.
        examples: How many the day shows, replayed ones included.
        dream_tokens: Longest dream.
        first: Whether nothing was folded before.
    """
    rank = arm.rank if arm.masked and not first else RANK
    wake = WakeSettings(
        rank=rank,
        alpha=SCALE * rank,
        replay_share=arm.replay_share,
        prompt_weight=arm.prompt_weight,
        patience=0,
        **{"general_share": 0.0, **arm.wake},
    )
    steps = examples // wake.batch_size
    rem = {"memory": list(arm.memory), "dream_tokens": dream_tokens, **arm.rem}
    gate = {
        "probe_dreams": PROBES if "rem" in arm.stages else 0,
        "max_asked": 0,
        "mend": False,
    }
    return Settings(
        wake=wake.model_copy(update={"min_steps": steps, "max_steps": steps}),
        bank=dict(arm.bank),
        sleep={
            "stages": list(arm.stages),
            "svd": {"rank": arm.rank, **arm.svd},
            "rem": rem,
        },
        gate=gate | dict(arm.gate),
    )
