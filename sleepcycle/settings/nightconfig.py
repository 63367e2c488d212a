"""Settings of a night: how it folds, relearns and is judged."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from sleepcycle.settings.choices import (
    Compression,
    Downscaling,
    Memory,
    RankPolicy,
    Stage,
    Weighting,
)
from sleepcycle.settings.section import (
    LocalTime,
    OpenShare,
    Rank,
    Section,
    Share,
    Zone,
    once,
)


class SvdSettings(Section):
    """How deep sleep folds live and day into one adapter of bounded rank."""

    policy: RankPolicy = RankPolicy.FIXED
    """`fixed` keeps `rank` directions a layer, `energy` as few as keep `energy`,
    `budget` the strongest of all layers within what `fixed` would cost."""

    rank: Rank = 16
    """Directions kept (`fixed`), and the most kept (`energy`), at most 256."""

    energy: Share = 0.99
    """Share of a layer's squared norm that `energy` keeps, in [0, 1]."""

    min_rank: Rank = 1
    """Fewest directions that `energy` leaves a layer that learned anything, at most
    `rank`."""

    max_rank: Rank = 32
    """Most directions that `budget` gives one layer, or a gentler night any."""

    weighting: Weighting = Weighting.PLAIN
    """`plain` keeps the strongest directions, `activations` those that write most."""

    @field_validator("min_rank")
    @classmethod
    def _at_most_rank(cls, value: int, info: ValidationInfo) -> int:
        """Refuse a fewest that is more than the most."""
        most = info.data.get("rank", value)
        if value > most:
            raise ValueError(f"expected at most rank, which is {most}")
        return value


class RemSettings(Section):
    """How a night that has REM relearns what the day or the fold has blurred."""

    memory: Annotated[list[Memory], AfterValidator(once)] = [Memory.STORE]
    """Where the past comes from: `store` is old examples, `archive` what each wake
    version dreamt of its own lesson, `last` dreams of the last good version."""

    today_share: Share = 1 / 3
    """Part of the night for today; the rest is the past's, in [0, 1]."""

    general_share: OpenShare = 0.1
    """Part of the night for dreams of the bare base, so that it is not lost."""

    max_share_of_wake: NonNegativeFloat = 0.5
    """Most compute of a night's learning, dreams and teachers, over that of the day; 0
    for no REM. A short day's night costs more where it dreams for the archive: what a
    dreamer takes at least (`dreamer_share`), which may be several times so short a
    day."""

    max_steps: PositiveInt = 2000
    """Most steps of one night."""

    batch_size: PositiveInt = 8
    """Examples a step."""

    lr: PositiveFloat | Literal["auto"] = "auto"
    """Peak learning rate; `auto` is half of a wake's."""

    warmup_steps: NonNegativeInt = 5
    """Steps until the learning rate reaches its peak."""

    top_k: PositiveInt = 64
    """Likeliest tokens of a teacher that are kept; the rest is kept as one."""

    gold_share: Share = 1.0
    """Part of the loss that is the answer as it was stored or dreamt, in [0, 1]; the
    rest is its teacher's opinion. At 1 none is asked, which leaves time for steps."""

    surprise_share: Share = 0.0
    """Part of stored examples drawn by how badly they are known, in [0, 1]."""

    on_policy: bool = False
    """Let the last good version answer stored prompts anew; the stored answer stays
    where its own is not close to it."""

    dreams: PositiveInt = 200
    """Most dreams begun by one version, as long as they bring anything new; what is
    filtered out is not replaced."""

    dreamer_share: OpenShare = 0.7
    """Part of the night for which a copy of today's version learns to write today's
    prompts as well, before and while it dreams for the archive, in [0, 1); it is not
    kept. It takes 80 steps at least, or 60 rounds of a handful of examples, beyond the
    night's share where a day is short; 0 for no such copy."""

    confidence: Share = 0.5
    """Least probability that a dreamer gives to each token of an answer, in [0, 1];
    dreams of which it is less sure are left out."""

    temperature: PositiveFloat = 0.7
    """Of dreamt prompts and texts; answers are the likeliest."""

    dream_tokens: PositiveInt = 64
    """Longest dreamt prompt, and longest dreamt answer or text."""

    archive_versions: PositiveInt = 2
    """Most wake versions that dream of their lessons in one night: today's, and past
    ones that have not dreamt yet."""

    max_examples: PositiveInt = 2_000
    """Most stored examples of today, and of the past, that a night looks at."""

    check_every: PositiveInt = 20
    """Steps between two looks at the held-out loss."""

    patience: NonNegativeInt = 4
    """Looks without a better held-out loss before REM stops; 0 never stops."""


class DownscaleSettings(Section):
    """How deep sleep weakens what the day has left."""

    kind: Downscaling = Downscaling.NONE
    """`uniform` weakens the folded change evenly, `intruders` before the fold only the
    strong directions that are like none of the base's; `none` leaves all as it is."""

    factor: Share = 0.9
    """What is left of the strength of what is weakened, in [0, 1]; a guess."""

    directions: PositiveInt = 64
    """Strongest directions of each of the base's layers that may not be weakened; a
    guess. More take longer, once for each base, and more room in the cache."""

    max_cosine: Share = 0.5
    """A direction intrudes if its cosine with each of those is below this, in
    [0, 1]; the default is PEFT's."""


class SleepSettings(Section):
    """What happens in a night, and when the service sleeps."""

    at: LocalTime = "03:00"
    """When the night begins, by the clock of `timezone`."""

    timezone: Zone = ""
    """Time zone such as "Europe/Rome"; "" is the system's."""

    catch_up: bool = True
    """Sleep once, as soon as the service runs again, for nights that it missed."""

    stages: Annotated[list[Stage], AfterValidator(once)] | Literal["auto"] = "auto"
    """Stages of a night, in their order; either may be left out. `auto` is the fold
    alone where days hold on to the base (`wake.general_share`); fold and REM where they
    do not, or `sleep.rem.memory` has dreams to be made (`archive`, `last`)."""

    compression: Compression = Compression.SVD
    """`svd`; `magnitude` (the baseline that zeroes small weights); `none`."""

    prune_share: OpenShare = 0.3
    """Part of the weights that `magnitude` sets to zero, in [0, 1)."""

    downscale: DownscaleSettings = DownscaleSettings()
    svd: SvdSettings = SvdSettings()
    rem: RemSettings = RemSettings()


class GateSettings(Section):
    """What a candidate must hold to before it goes live."""

    max_rise: NonNegativeFloat = 0.5  # nats per token
    """Most that the held-out loss of known batches may rise."""

    max_general_rise: NonNegativeFloat = 1.0  # nats per token
    """Most that the loss on the bare base's own dreams may rise above live's."""

    max_general_kl: NonNegativeFloat | Literal["auto"] = "auto"  # nats per token
    """Most KL divergence of a candidate from the bare base, on the base's own turns,
    unless live is as far already. It bounds what many nights add up to. `auto` is 0.13
    where days hold on to the base (`wake.general_share`), and 2 where they do not."""

    max_exact_drop: Share = 0.25
    """Most that the share of known prompts answered by the letter may drop, in
    [0, 1]; not looked at where fewer than 16 were asked."""

    max_agreement_loss: Share | Literal["auto"] = "auto"
    """A candidate that no longer answers this share of the base's own turns, held out
    from learning, as the base did is refused, in [0, 1], unless it answers as many as
    live; not looked at where fewer than 16 were asked. `auto` is 0.65 where days hold
    on to the base, and 1 where they do not."""

    anchors: str = ""
    """File of questions whose answers must stay right, learned by wakes and by nights
    with REM, and asked before and after a night: lines that begin with `Q:` and `A:`,
    or JSONL of `prompt` and `completion`; a path from the home, "" for none."""

    max_anchor_loss: Share = 0.1
    """A candidate that has lost this share of the anchors that the bare base or live
    answers right is refused, in [0, 1], unless it answers as many as live."""

    mend: bool = True
    """Weaken a refused candidate towards live until it meets the gate, if it can."""

    probe_dreams: NonNegativeInt = 64
    """Dreams of the bare base that general ability is measured on; 0 for none."""

    max_held_out: PositiveInt = 256
    """Most held-out examples of today's, and of known batches, that are measured on."""

    max_asked: NonNegativeInt = 64
    """Most prompts of today's, of known batches, of the base's turns and of anchors
    that each side answers; 0 for none. Answers are written token by token, so they cost
    the most."""

    gentler_after: NonNegativeInt = 2
    """Nights rejected on the same live version and open day until one is planned with
    twice the REM and twice the rank where it has them, up to `sleep.svd.max_rank`; 0
    for never."""
