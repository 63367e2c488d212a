"""Consolidation of a Qwen2.5-1.5B adapter, beside PEFT's dense SVD merge.

python -m benchmarks.consolidate [--sample 1536x1536 256x1536 8960x1536 1536x8960]

PEFT merges one layer of each sampled shape; its whole time is extrapolated.
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import peft
import torch
from torch import Tensor, nn

from benchmarks.measure import PeakMemory, Times, repeat
from sleepcycle.learning.fold import FoldResult, fold_adapter
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.settings.config import SleepSettings, SvdSettings

Shape = tuple[int, int]
"""(out, in) of a layer's weight."""

QWEN: Mapping[str, Shape] = {
    "self_attn.q_proj": (1536, 1536),
    "self_attn.k_proj": (256, 1536),
    "self_attn.v_proj": (256, 1536),
    "self_attn.o_proj": (1536, 1536),
    "mlp.gate_proj": (8960, 1536),
    "mlp.up_proj": (8960, 1536),
    "mlp.down_proj": (1536, 8960),
}
QWEN_BLOCKS = 28

RANK = 8
"""Of the live adapter, of the day adapter, and of what both are folded into."""


@dataclass(frozen=True)
class Fold:
    """What folding the whole adapter took."""

    result: FoldResult
    times: Times
    first_growth_mb: float
    """Megabytes that the first fold, before the timed ones, made the process grow."""


@dataclass(frozen=True)
class Sample:
    """One layer of a shape, folded by PEFT too, and held to the best there is."""

    shape: Shape
    layers: int
    """Layers of this shape in the whole adapter."""

    peft_s: float
    """PEFT as it comes, with full SVD matrices."""

    peft_thin_s: float
    """PEFT told to leave out the columns that it cuts off anyway."""

    peft_growth_mb: float
    optimal: float
    """Error of the optimal truncation, over the norm of the change."""

    ours: float
    """Distance of our fold from the optimal truncation, over the same norm."""

    peft: float
    """Distance of PEFT's fold from it, over the same norm."""


def random_adapter(shapes: Mapping[str, Shape], blocks: int) -> dict[str, LowRank]:
    """Return live and day side by side: 2 * RANK normal directions in every layer."""
    rng = torch.Generator().manual_seed(0)
    return {
        f"model.layers.{block}.{name}": LowRank(
            torch.randn(out, 2 * RANK, generator=rng),
            torch.randn(2 * RANK, size, generator=rng),
        )
        for block in range(blocks)
        for name, (out, size) in shapes.items()
    }


def fold(adapter: Mapping[str, LowRank], repeats: int) -> Fold:
    """Fold the whole adapter, once to see the memory, then for the time."""
    settings = SleepSettings(svd=SvdSettings(rank=RANK))
    with PeakMemory() as memory:
        result = fold_adapter(adapter, settings)
    times = repeat(lambda: fold_adapter(adapter, settings), repeats)
    return Fold(result, times, memory.growth_mb)


def peft_fold(change: LowRank, *, full: bool) -> tuple[LowRank, float, float]:
    """Let PEFT fold one layer; return the fold, seconds, and megabytes grown."""
    out, size = change.shape
    config = peft.LoraConfig(r=RANK, lora_alpha=RANK, target_modules=["layer"])
    module = nn.ModuleDict({"layer": nn.Linear(size, out, bias=False)})
    model = peft.get_peft_model(module, config, adapter_name="live")
    model.add_adapter("day", config)
    layer = model.base_model.model["layer"]
    for name, part in (("live", slice(RANK)), ("day", slice(RANK, None))):
        layer.lora_B[name].weight.data = change.up[:, part].clone()
        layer.lora_A[name].weight.data = change.down[part].clone()

    def merge() -> None:
        model.add_weighted_adapter(
            ["live", "day"],
            [1.0, 1.0],
            "folded",
            combination_type="svd",
            svd_rank=RANK,
            svd_full_matrices=full,
        )

    with PeakMemory() as memory:
        times = repeat(merge, 1)
    up, down = (side["folded"].weight.data for side in (layer.lora_B, layer.lora_A))
    return LowRank(up, down), times.best_s, memory.growth_mb


def sample(shape: Shape, adapter: Mapping[str, LowRank], ours: Fold) -> Sample:
    """Fold the first layer of a shape by PEFT, and by the book in float64."""
    name = next(name for name, change in adapter.items() if change.shape == shape)
    change = adapter[name]
    theirs, full_s, growth_mb = peft_fold(change, full=True)
    _, thin_s, _ = peft_fold(change, full=False)
    whole = dense(change)
    left, sigma, right = torch.linalg.svd(whole, full_matrices=False)
    best = (left[:, :RANK] * sigma[:RANK]) @ right[:RANK]

    def relative(difference: Tensor) -> float:
        return float(difference.norm() / whole.norm())

    return Sample(
        shape=shape,
        layers=Counter(change.shape for change in adapter.values())[shape],
        peft_s=full_s,
        peft_thin_s=thin_s,
        peft_growth_mb=growth_mb,
        optimal=relative(whole - best),
        ours=relative(dense(ours.result.change[name]) - best),
        peft=relative(dense(theirs) - best),
    )


def dense(change: LowRank) -> Tensor:
    """Return the product in float64."""
    return change.up.double() @ change.down.double()  # (out, in)


def title(shape: Shape) -> str:
    """Write a shape as out x in."""
    return "x".join(map(str, shape))


def print_samples(samples: list[Sample]) -> None:
    """Print one row a shape."""
    print("PEFT seconds are of one layer, with full and with thin SVD matrices.")
    print("Errors are shares of the change's norm; ours and PEFT's are distances")
    print("from the optimal truncation, found by a dense SVD in float64.")
    print(
        f"{'shape':>10} {'layers':>6} {'full s':>8} {'thin s':>8} {'PEFT MB':>8} "
        f"{'optimal error':>13} {'ours':>8} {'PEFT':>8}"
    )
    for row in samples:
        print(
            f"{title(row.shape):>10} {row.layers:>6} {row.peft_s:>8.3f} "
            f"{row.peft_thin_s:>8.3f} {row.peft_growth_mb:>+8.0f} "
            f"{row.optimal:>13.4f} {row.ours:>8.1e} {row.peft:>8.1e}"
        )


def print_ratios(samples: list[Sample], ours: Fold) -> None:
    """Print PEFT's whole time, extrapolated, over ours."""
    layers = sum(row.layers for row in samples)
    total = len(ours.result.layers)
    for kind, whole_s in (
        ("full", sum(row.peft_s * row.layers for row in samples)),
        ("thin", sum(row.peft_thin_s * row.layers for row in samples)),
    ):
        print(
            f"PEFT, {kind}: {whole_s:,.0f} s for {layers} of {total} layers, "
            f"EXTRAPOLATED from {len(samples)} sampled layers; "
            f"{'' if layers == total else 'at least '}"
            f"{whole_s / ours.times.median_s:,.0f} times our median for {total}"
        )


def main() -> None:
    """Print the figures."""
    shapes = {title(shape): shape for shape in QWEN.values()}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", nargs="+", choices=shapes, default=list(shapes))
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    adapter = random_adapter(QWEN, QWEN_BLOCKS)
    print(f"{len(adapter)} layers, rank {2 * RANK} to {RANK}, float32")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    ours = fold(adapter, arguments.repeats)
    print(
        f"ours, all layers: best {ours.times.best_s:.3f} s, median "
        f"{ours.times.median_s:.3f} s of {arguments.repeats}; "
        f"memory +{ours.first_growth_mb:.0f} MB"
    )
    samples = [sample(shapes[name], adapter, ours) for name in arguments.sample]
    print_samples(samples)
    print_ratios(samples, ours)


if __name__ == "__main__":
    main()
