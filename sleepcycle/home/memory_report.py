"""What a home's settings need of this machine's memory, and what would fit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sleepcycle.errors import ModelError
from sleepcycle.model.device_memory import DeviceMemory, memory_for
from sleepcycle.model.memory_need import (
    MERGED_SHARE,
    WorkPlan,
    asking_need,
    checkpoints,
    fits,
    merged_bytes,
    night_need,
    plan_of,
    wake_need,
    weights_bytes,
    what_fits,
)
from sleepcycle.model.model_size import LARGE, ModelSize, read_size
from sleepcycle.settings.config import Settings

GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """Bytes that each kind of work needs at most, and those that are there."""

    weights_bytes: int
    """Of the base alone."""

    wake_bytes: int
    night_bytes: int
    asking_bytes: int
    free_bytes: int
    total_bytes: int
    on_gpu: bool
    checkpointed: bool
    """Whether layers will be computed again in the backward pass, to save memory."""

    fits: bool
    """Whether a wake and a night have room in what is free."""

    change: Mapping[str, str] | None
    """Settings by which they would; empty where they do, None where nothing helps."""


def report_memory(settings: Settings, *, free_bytes: int | None = None) -> MemoryReport:
    """Estimate what a home needs, from its base's configuration and headers alone.

    Args:
        settings: Of the home.
        free_bytes: The machine's, where it is known already.

    Raises:
        ModelError: The base is not here, or its files cannot be read.
    """
    size = read_size(settings.model)
    there = memory_for(settings.engine.device, free_bytes)
    return report_of(size, settings, there)


def report_of(size: ModelSize, settings: Settings, there: DeviceMemory) -> MemoryReport:
    """Put together what a base of this size needs and what is there."""
    plan = _plan(size, settings, there)
    setting = settings.model.gradient_checkpointing
    chosen = checkpoints(setting, size, plan, there.free_bytes)
    beside = there.free_bytes - weights_bytes(size, plan)
    has_room = merged_bytes(size, plan) <= MERGED_SHARE * beside
    plan = replace(plan, checkpointed=chosen, merged=has_room)
    wake, night = wake_need(size, plan), night_need(size, plan)
    enough = all(fits(need, there.free_bytes) for need in (wake, night))
    return MemoryReport(
        weights_bytes=weights_bytes(size, plan),
        wake_bytes=wake.total,
        night_bytes=night.total,
        asking_bytes=asking_need(size, plan).total,
        free_bytes=there.free_bytes,
        total_bytes=there.total_bytes,
        on_gpu=there.on_gpu,
        checkpointed=plan.checkpointed,
        fits=enough,
        change=what_fits(size, plan, there.free_bytes),
    )


def in_words(report: MemoryReport) -> str:
    """Return what is needed, and what there is, in one clause."""
    spared = ", computing layers twice" if report.checkpointed else ""
    where = "of the GPU's" if report.on_gpu else "of memory"
    return (
        f"a wake needs up to {report.wake_bytes / GB:.1f} GB{spared}, a night "
        f"{report.night_bytes / GB:.1f} GB, asking {report.asking_bytes / GB:.1f} GB; "
        f"{report.free_bytes / GB:.1f} GB {where} are free"
    )


def advice(report: MemoryReport) -> str:
    """Return what to set so that a wake and a night fit; empty where they do."""
    if report.fits:
        return ""
    if not report.change:
        return "no setting makes them fit: take a smaller base, or free memory"
    lines = " and ".join(f"{name} = {value}" for name, value in report.change.items())
    return f"set {lines}"


def expect_weights_fit(
    base: str, size: ModelSize, settings: Settings, there: DeviceMemory
) -> None:
    """Refuse a base whose weights alone are larger than all memory.

    Raises:
        ModelError: They are.
    """
    plan = _plan(size, settings, there)
    need = weights_bytes(size, plan)
    if need > there.total_bytes:
        raise ModelError(
            f"expected the weights of {base} to fit into {there.total_bytes / GB:.1f} "
            f"GB of memory, got {need / GB:.1f} GB; "
            f"{_smaller_weights(size, plan, there.total_bytes)}"
        )


def _plan(size: ModelSize, settings: Settings, there: DeviceMemory) -> WorkPlan:
    """Return what of the settings decides on memory here."""
    halved = there.on_gpu
    if size.parameters >= LARGE and not there.on_gpu and settings.model.dtype == "auto":
        from sleepcycle.model.precision import has_bfloat16  # loads torch

        halved = has_bfloat16("cpu")
    auto_bytes = 2 if halved else 4
    return plan_of(settings, size, on_gpu=there.on_gpu, auto_bytes=auto_bytes)


def _smaller_weights(size: ModelSize, plan: WorkPlan, there: int) -> str:
    """Return what to do about weights that do not fit into memory of `there` bytes."""
    half = replace(plan, number_bytes=2)
    tried = {
        'model.dtype = "bfloat16"': half,
        'model.quantization = "nf4"': replace(half, quantized=True),
    }
    need = 0
    for name, one in tried.items():
        need = weights_bytes(size, one)
        if need <= there:
            return f"with {name} they take {need / GB:.1f} GB"
    return f"take a smaller base, since even in 4 bits they take {need / GB:.1f} GB"
