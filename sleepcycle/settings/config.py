"""Every setting: its default, its range, and what it is for.

`config.toml` at the top of the repository is the reference, held equal to these
models by a test; `configfile` reads the file and the environment.
"""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from sleepcycle.settings.captureconfig import CaptureSettings
from sleepcycle.settings.choices import Reduction, Weekday
from sleepcycle.settings.nightconfig import (
    DownscaleSettings,
    GateSettings,
    RemSettings,
    SleepSettings,
    SvdSettings,
)
from sleepcycle.settings.publishconfig import PublishSettings
from sleepcycle.settings.section import (
    OpenShare,
    Rank,
    Section,
    Share,
    Window,
    once,
)
from sleepcycle.settings.serveconfig import ServeSettings

__all__ = [
    "BankSettings",
    "CaptureSettings",
    "DownscaleSettings",
    "EngineSettings",
    "FeedSettings",
    "GateSettings",
    "LogSettings",
    "ModelSettings",
    "PublishSettings",
    "RemSettings",
    "ServeSettings",
    "Settings",
    "SleepSettings",
    "StoreSettings",
    "SvdSettings",
    "WakeSettings",
]

PREFIX = "SLEEPCYCLE__"
Depth = Annotated[int, Field(ge=1, le=500)]  # Python's parser recurses: 1000 is its end


class ModelSettings(Section):
    """The frozen base model, and where adapters sit on it."""

    base: str = "builtin:nano"
    """`builtin:nano`, `builtin:smollm2`, a path to a folder or a GGUF file,
    `ollama:llama3.2`, or a hub id that is already in the local cache."""

    revision: str = ""
    """Commit or tag of a hub id; empty for the one in the cache."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """How the base is held in memory and computes; `auto` is bfloat16 on a GPU, and
    for 50 million parameters or more on a CPU, that has it, else float32. Adapters are
    kept in float32 always."""

    gradient_checkpointing: Literal["auto", "on", "off"] = "auto"
    """Whether a step computes layers twice instead of keeping all that they made: less
    memory, a third more time. `auto` does so where memory is too small."""

    compile: Literal["auto", "on", "off"] = "auto"
    """Whether training on a GPU in bfloat16 compiles the base's layers: a third faster,
    after half a minute. `auto` does so for runs of more than about 90 seconds."""

    quantization: Literal["none", "nf4"] = "none"
    """`nf4` holds the base's linear layers in 4 bits, with the extra `4bit`: an eighth
    of float32's memory for a slightly worse base. It is a part of what the base is."""

    target_modules: list[str] = ["all-linear"]
    """Leaf names of the layers that learn, or `["all-linear"]` for all but the head."""

    max_length: PositiveInt = 1024
    """Longest sequence in tokens: longer text is split, a longer prompt loses its
    middle, and what has a longer answer is set aside."""

    batch_tokens: NonNegativeInt = 0
    """Most tokens that pass through the base at once where it learns or is scored; a
    larger batch does so in parts. 0 is 4096, and 8192 on a GPU; a guess."""

    text_overlap: NonNegativeInt = 64
    """Tokens of the part before that each further part of a long text begins with, as
    context; at most a quarter of a part. A guess."""

    chat: Literal["auto", "never"] = "auto"
    """`auto` makes a prompt a user turn where the base has a chat template."""

    chat_template: str = ""
    """A Jinja file that takes the place of the base's chat template, from the folder of
    this file; "" for the base's own."""


class StoreSettings(Section):
    """The SQLite store."""

    busy_timeout_s: PositiveFloat = 60.0
    """How long to wait for another process that is writing, in seconds."""


class FeedSettings(Section):
    """What comes in."""

    held_out_share: OpenShare = 0.05
    """Part of all examples never trained on, chosen by content hash, in [0, 1)."""

    max_row_bytes: PositiveInt = 1_000_000
    """Longest row; a longer one is quarantined as `E_TOO_BIG` without being read."""

    max_depth: Depth = 64
    """Deepest nesting of a row's JSON, at most 500; a deeper one is quarantined as
    `E_DEPTH`."""

    max_bad_ratio: Share = 0.2
    """Part of the rows that may be bad before the whole batch is refused, in [0, 1]."""

    inbox_quiet_s: PositiveFloat = 2.0
    """A file in the inbox is fed once it has not changed for so long, in seconds."""

    inbox_unfinished_s: PositiveFloat = 300.0
    """The same for a file whose end is missing, as that of an upload that stalls: no
    newline at its end, an array not closed, a compressed stream cut off."""

    inbox_rescan_s: PositiveFloat = 30.0
    """How often the inbox is looked through, should the system not tell of a file."""

    preview_bytes: PositiveInt = 100_000
    """How much of a bad row is kept for `batches quarantine --export`; a guess, which
    holds all but very long chats."""


class BankSettings(Section):
    """Turns that the bare base asks and answers itself, made once and held on to."""

    turns: NonNegativeInt = 1024
    """Most turns that are made to be learned, by days and nights; a day or a night
    makes no more than four times as many as it learns."""

    max_tokens: PositiveInt = 64
    """Longest prompt, and longest answer or text, of which what is longer is cut; a
    guess."""

    temperature: PositiveFloat = 0.7
    """Of prompts and texts; answers are the likeliest."""

    top_k: PositiveInt = 64
    """Likeliest tokens of the base that are kept at each place; the rest is kept as
    one."""

    question_words: list[Annotated[str, StringConstraints(min_length=1)]] = [
        "What",
        "Which",
        "Who",
        "How many",
        "How",
        "Where",
        "When",
        "Is",
    ]
    """Words that every second turn is begun with, those of them that the base might
    begin with itself: short questions are hardly asked from nothing. `[]` for none."""

    near_share: Share = 0.75
    """Most of a day's turns, in [0, 1], that begin as its own examples do and are made
    anew, so that what is learned does not spread to all that begins alike."""


class WakeSettings(Section):
    """How a day is learned, and when the service learns."""

    window: Window = ""
    """When the service may learn, such as "08:00-22:30" by `sleep.timezone`; one that
    ends before it begins goes over midnight, and "" is always."""

    days: Annotated[list[Weekday], AfterValidator(once)] = list(Weekday)
    """Days on which a window begins."""

    min_pending: PositiveInt = 32
    """Fewest pending examples for which the service wakes; a guess."""

    max_duration_s: NonNegativeFloat = 0.0
    """Longest wake of the service, in seconds; it goes on in the next window. 0 for no
    bound but the window."""

    checkpoint_every: PositiveInt = 50
    """Steps between two checkpoints, from which a wake goes on that was broken off."""

    curriculum: str = ""
    """A curriculum, whose phases wakes learn one after another: the path of its TOML,
    from the folder of this file, or the name of one that is built in; "" is none."""

    rank: Rank = 16
    """Rank of the day adapter, at most 256."""

    alpha: PositiveFloat = 32.0
    """The day adapter's change is scaled by alpha / rank while it trains."""

    dropout: OpenShare = 0.0
    """Dropout on the day adapter's input, in [0, 1)."""

    lr: PositiveFloat | Literal["auto"] = "auto"
    """Peak learning rate; `auto` takes it from the base's width
    (docs/explanation/math.md)."""

    lr_scale: PositiveFloat = 1.0
    """What `lr` is multiplied by; a phase without a rate of its own scales it more."""

    batch_size: PositiveInt = 8
    """Examples a step, replayed ones included."""

    epochs: PositiveFloat = 3.0
    """How often each new example is seen."""

    min_steps: PositiveInt = 40
    """Fewest steps of one wake, so that a handful of examples is learned too; those
    beyond `epochs` end as soon as every one is, unless `patience` is 0."""

    max_steps: NonNegativeInt = 0
    """Most steps of one wake; 0 for no bound but `epochs`."""

    max_examples: PositiveInt = 100_000
    """Most pending examples that one wake claims; the rest wait for the next."""

    replay_share: OpenShare = 0.5
    """Part of each batch that replays what is known, in [0, 1): examples, or past
    nights' dreams where `sleep.rem.memory` has no `store`."""

    general_share: OpenShare | Literal["auto"] = "auto"
    """Part of each batch for the base's own turns, by its own opinion, so that it is
    not lost, in [0, 1). `auto` is a quarter, and none for a base of less than 50
    million parameters, which cannot hold on to itself and learn."""

    general_weight: PositiveFloat = 5.0
    """What the mean loss of those turns counts for, beside that of the examples."""

    prompt_weight: NonNegativeFloat = 0.0
    """Weight of a prompt token in the loss: 0 learns completions alone, 1 all of it."""

    loss_reduction: Reduction = Reduction.SQRT
    """What an example counts for in the loss, by day and in REM: `token` by its length,
    `sqrt` by the root of it, `example` each alike (docs/explanation/experiments.md)."""

    warmup_steps: NonNegativeInt = 10
    """Steps until the learning rate reaches its peak; it then falls to a tenth."""

    weight_decay: NonNegativeFloat = 0.0
    """AdamW's decoupled weight decay."""

    max_grad_norm: PositiveFloat = 1.0
    """Gradients longer than this are shortened to it."""

    max_loss: PositiveFloat = 30.0  # nats per learned token
    """A step with a larger loss stops the wake: it is exploding."""

    check_every: PositiveInt = 25
    """Steps between two looks at the held-out loss."""

    patience: NonNegativeInt = 4
    """Looks without a better held-out loss before the wake stops; 0 never stops."""

    seed: NonNegativeInt = 42
    """Seed of everything random in a run; the run's number is added to it."""


class EngineSettings(Section):
    """Where the worker computes."""

    threads: NonNegativeInt = 0
    """CPU threads of the worker; 0 leaves the choice to torch."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""

    heartbeat_timeout_s: PositiveFloat = 600.0
    """A worker silent for longer is ended and its run fails, in seconds."""

    backoff_s: PositiveFloat = 60.0
    """The service waits so long after a failed run, twice as long after each more, and
    an hour at most; in seconds."""

    reserve_mb: NonNegativeInt = 256
    """Free disk space that a run and what comes in over HTTP must leave, in megabytes,
    beside three times the adapter."""


class LogSettings(Section):
    """What is written down while running."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""

    json_lines: bool = False
    """Write each record as one line of JSON."""

    max_mb: PositiveInt = 10
    """Size at which the log file is turned over, in megabytes."""

    keep: PositiveInt = 5
    """How many turned-over log files are kept."""


class Settings(BaseSettings):
    """The whole configuration: environment over file over default."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
    )

    model: ModelSettings = ModelSettings()
    store: StoreSettings = StoreSettings()
    feed: FeedSettings = FeedSettings()
    bank: BankSettings = BankSettings()
    wake: WakeSettings = WakeSettings()
    sleep: SleepSettings = SleepSettings()
    gate: GateSettings = GateSettings()
    serve: ServeSettings = ServeSettings()
    capture: CaptureSettings = CaptureSettings()
    publish: PublishSettings = PublishSettings()
    engine: EngineSettings = EngineSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment over the file, which arrives as keyword arguments."""
        return env_settings, init_settings
