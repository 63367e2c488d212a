"""How much memory a wake, a night and asking need, by arithmetic alone.

The formulas and where they come from stand in docs/explanation/math.md; the constants
below are all there is to calibrate, by `python -m benchmarks.memory`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sleepcycle.model.model_size import ModelSize
from sleepcycle.settings.config import Settings

RUNTIME_BYTES = 490_000_000  # Python with torch and transformers, nothing loaded
CONTEXT_BYTES = 500_000_000  # of a GPU: CUDA's own, beside what torch asks for
BATCH_TOKENS = (4096, 8192)  # at once on a CPU, and on a GPU
LOGITS_BYTES = (64 * 2**20, 256 * 2**20)  # of float32 at once, on a CPU and a GPU
LOGITS_COPIES = 4  # of those: themselves, their float32, their softmax, their gradient
LEARNED = 20  # bytes a weight: itself, its gradient, two moments, the best one kept
FROZEN = 4  # bytes a weight of an adapter that does not learn
NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)  # QLoRA (arXiv:2305.14314) §3, double quant
DREAMS = 64  # that are generated at once, where memory has room
ANSWER = 64  # tokens of an answer
HEAP = 1.3  # glibc's heap over what is in it: freed blocks of up to 32 MiB stay there
POOL = 1.1  # the same of torch's pool on a GPU
SPARE = 0.9  # of the memory that is there, the rest being others'
MERGED_SHARE = 0.5  # of the free memory that a second copy of weights may take


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that one kind of work needs, by what they are for."""

    runtime: int
    weights: int
    adapters: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All together."""
        return self.runtime + self.weights + self.adapters + self.passing

    @property
    def passing(self) -> int:
        """What is yet to come where the base and its adapters are there."""
        return self.activations + self.logits


@dataclass(frozen=True, slots=True)
class WorkPlan:
    """What of the settings decides how much memory there must be."""

    number_bytes: int
    """Of a number of the base's type."""

    quantized: bool
    """Whether the matrices that carry adapters are held in 4 bits."""

    checkpointed: bool
    """Whether layers are computed again in the backward pass."""

    tokens: int
    """Most that are learned at once."""

    read_tokens: int
    """Most that are read at once where nothing is learned, as a score reads."""

    length: int
    """Longest sequence."""

    dreamt: int
    """Tokens of a dream, its prompt included."""

    day_rank: int
    live_rank: int
    on_gpu: bool
    merged: bool = True
    """Whether the adapter is merged into a copy of the weights while texts are written,
    which is done where there is room."""


def plan_of(
    settings: Settings, size: ModelSize, *, on_gpu: bool, auto_bytes: int = 4
) -> WorkPlan:
    """Return the part of the settings that decides on memory.

    `auto` of `model.gradient_checkpointing` counts as off: whether it is chosen hangs
    on what is needed without.

    Args:
        settings: Of the home.
        size: Of its base.
        on_gpu: Whether a GPU does the work.
        auto_bytes: Of a number where `model.dtype` is `auto`.
    """
    length = min(settings.model.max_length, size.positions or 2**31)
    most = settings.model.batch_tokens or BATCH_TOKENS[on_gpu]
    return WorkPlan(
        number_bytes={"auto": auto_bytes, "float32": 4}.get(settings.model.dtype, 2),
        quantized=settings.model.quantization == "nf4",
        checkpointed=settings.model.gradient_checkpointing == "on",
        tokens=max(length, min(most, _rows(settings) * length)),
        read_tokens=max(length, most),
        length=length,
        dreamt=min(length, 2 * settings.sleep.rem.dream_tokens),
        day_rank=settings.wake.rank,
        live_rank=settings.sleep.svd.rank,
        on_gpu=on_gpu,
    )


def wake_need(size: ModelSize, plan: WorkPlan) -> MemoryNeed:
    """Return what a wake needs: the day learns over the frozen live adapter.

    Held-out examples are scored on the way.
    """
    return _training(size, plan, learning=plan.day_rank, frozen=plan.live_rank)


def night_need(size: ModelSize, plan: WorkPlan) -> MemoryNeed:
    """Return what a night needs: the most of folding, relearning and dreaming.

    REM, counted also where the night has none, learns in the rank of the fold, while
    what live and the day have learned lies beside it. Dreams are generated many at
    once; the fold itself takes a layer at once.
    """
    beside = 2 * plan.live_rank + plan.day_rank
    rem = _training(size, plan, learning=plan.live_rank, frozen=beside)
    dreams = _generating(size, plan, texts=DREAMS, length=plan.dreamt)
    return max(rem, dreams, key=lambda need: need.total)


def asking_need(size: ModelSize, plan: WorkPlan) -> MemoryNeed:
    """Return what one question needs, as long as a prompt may be."""
    return _generating(size, plan, texts=1, length=plan.length + ANSWER)


def weights_bytes(size: ModelSize, plan: WorkPlan) -> int:
    """Return the size of the base's weights in memory."""
    plain = size.parameters * plan.number_bytes
    if not plan.quantized:
        return plain
    saved = plan.number_bytes - NF4_BITS / 8
    return plain - int(size.matrices * saved)


def merged_bytes(size: ModelSize, plan: WorkPlan) -> int:
    """Return the size of a copy of the matrices that carry adapters; none in 4 bits."""
    return 0 if plan.quantized else size.matrices * plan.number_bytes


def cache_bytes(size: ModelSize, number_bytes: int) -> int:
    """Return what a token's keys and values take in all layers."""
    return 2 * size.keys * size.layers * number_bytes


def layer_bytes(size: ModelSize, plan: WorkPlan) -> int:
    """Return what a layer keeps of one token for the backward pass.

    In the base's type: what each norm gives, queries, keys and values, what attention
    gives before and after its heads are put together, the feed-forward part's, and the
    inner activations of each adapter. In float32: what each norm reads, since norms
    compute in it; with a float32 base that is the residual stream itself.
    """
    attention = 3 * size.queries + 2 * size.keys
    inner = size.inner_copies * size.inner
    adapters = size.adapted * plan.day_rank
    held = size.norms + attention + inner + adapters
    scores = 3 * size.heads * plan.length if size.scored else 0
    return (held + scores) * plan.number_bytes + 4 * size.norms


def reading_bytes(size: ModelSize, plan: WorkPlan) -> int:
    """Return what a token takes that passes through a layer and leaves nothing there.

    The feed-forward part's tensors, attention's, the residual stream and what is made
    of it; scores and their softmax where attention writes them down.
    """
    scores = 2 * size.heads * plan.length if size.scored else 0
    held = 2 * size.inner + 2 * size.queries + 4 * size.width
    return (held + scores) * plan.number_bytes


def fits(need: MemoryNeed, there: int) -> bool:
    """Return whether memory of `there` bytes is enough, with something to spare."""
    return need.total <= SPARE * there


def has_room(need: MemoryNeed, free: int) -> bool:
    """Return whether the same holds of what is yet to come, where all is loaded."""
    return need.passing <= SPARE * free


def checkpoints(setting: str, size: ModelSize, plan: WorkPlan, there: int) -> bool:
    """Return whether layers are computed again in the backward pass.

    What is scored has no backward pass, and is not counted.

    Args:
        setting: `model.gradient_checkpointing`.
        size: Of the base.
        plan: Of the work.
        there: Memory for all of it, the weights included, in bytes.
    """
    if setting != "auto":
        return setting == "on"
    plain = replace(plan, checkpointed=False, read_tokens=0)
    return not fits(wake_need(size, plain), there)


def what_fits(size: ModelSize, plan: WorkPlan, there: int) -> dict[str, str] | None:
    """Return the settings to change so that a wake and a night fit; None if none do.

    What costs least is tried first, and kept while more is tried: checkpointing, which
    costs a third of the time; one sequence at once; a base in bfloat16; in 4 bits.
    """
    changed: dict[str, str] = {}
    for settings, tried in _smaller(replace(plan, merged=False)):
        changed |= settings
        needs = (wake_need(size, tried), night_need(size, tried))
        if all(fits(need, there) for need in needs):
            return changed
    return None


def _smaller(plan: WorkPlan) -> Iterator[tuple[dict[str, str], WorkPlan]]:
    """Yield what to set, and the plan with that and all before it."""
    yield {}, plan
    plan = replace(plan, checkpointed=True)
    yield {"model.gradient_checkpointing": '"on"'}, plan
    if max(plan.tokens, plan.read_tokens) > plan.length:
        plan = replace(plan, tokens=plan.length, read_tokens=plan.length)
        yield {"model.batch_tokens": str(plan.length)}, plan
    if plan.number_bytes > 2:
        plan = replace(plan, number_bytes=2)
        yield {"model.dtype": '"bfloat16"'}, plan
    if not plan.quantized:
        plan = replace(plan, quantized=True)
        yield {"model.quantization": '"nf4"'}, plan


def _training(
    size: ModelSize, plan: WorkPlan, *, learning: int, frozen: int
) -> MemoryNeed:
    """Return what training needs, with adapters of these ranks, and scores on the way.

    Of a token that is read without gradients one layer's tensors alone are there.
    """
    scored = plan.read_tokens * reading_bytes(size, plan)
    return MemoryNeed(
        runtime=_runtime(plan),
        weights=weights_bytes(size, plan),
        adapters=size.edges * (learning * LEARNED + frozen * FROZEN),
        activations=int(_slack(plan) * max(activation_bytes(size, plan), scored)),
        logits=_logits(size, plan),
    )


def activation_bytes(size: ModelSize, plan: WorkPlan) -> int:
    """Return what a forward pass keeps, and the backward pass of one layer adds.

    With checkpointing each layer keeps what it reads, and one layer at once the rest.
    """
    layer = layer_bytes(size, plan)
    stream = size.width * plan.number_bytes
    backward = (3 * size.inner + 2 * size.width) * plan.number_bytes
    kept = size.layers * stream + layer if plan.checkpointed else size.layers * layer
    ends = 4 * size.width + 2 * stream  # the last norm, its input, the hidden gradient
    return plan.tokens * (kept + backward + ends)


def _logits(size: ModelSize, plan: WorkPlan) -> int:
    """Return what the logits of learned tokens take, a slice of them at once."""
    whole = max(plan.tokens, plan.read_tokens) * size.vocabulary * 4
    return LOGITS_COPIES * min(LOGITS_BYTES[plan.on_gpu], whole)


def _generating(
    size: ModelSize, plan: WorkPlan, *, texts: int, length: int
) -> MemoryNeed:
    """Return what it takes to write so many texts at once, of so many tokens each.

    Keys and values of every token are kept, in each layer.
    """
    merged = merged_bytes(size, plan) if plan.merged else 0
    cache = cache_bytes(size, plan.number_bytes)
    passing = reading_bytes(size, plan)
    return MemoryNeed(
        runtime=_runtime(plan),
        weights=weights_bytes(size, plan) + merged,
        adapters=size.edges * plan.live_rank * FROZEN,
        activations=int(_slack(plan) * texts * length * (cache + passing)),
        logits=LOGITS_COPIES * texts * size.vocabulary * 4,
    )


def _runtime(plan: WorkPlan) -> int:
    """Return what is taken before anything is loaded, where the work is done."""
    return CONTEXT_BYTES if plan.on_gpu else RUNTIME_BYTES


def _slack(plan: WorkPlan) -> float:
    """Return what an allocator holds over what is in use."""
    return POOL if plan.on_gpu else HEAP


def _rows(settings: Settings) -> int:
    """Return how many sequences a batch of a wake or of REM has at most."""
    return max(settings.wake.batch_size, settings.sleep.rem.batch_size)
