"""The ways of learning that are timed: a wake's, and those of TRL's trainer.

Each trains the same LoRA on the same batches, examples in the order that they are given
in, with the same rates. TRL's are all that can be had without another learning:

- its loss is its own, which makes no logits where nothing is learned; Liger's kernels
  take norms, the MLP and the turning of positions, all that TRL 1.16 lets them take.
  Kernels of the hub, which it wants in their place, need the hub;
- padding-free, a batch lies in one row, and transformers makes the mask that keeps its
  examples apart, by `sdpa` or by flex attention, from their positions (a test holds the
  loss to the padded one). Packing would make other batches of other examples, and flash
  attention is no wheel that an index has;
- compiled ways may round lengths up, so that few shapes are compiled; by CUDA graphs
  (`reduce-overhead`) to one.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.learning_work import Work
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.fit import fit
from sleepcycle.model.monitor import FitPlan
from sleepcycle.records.progress import Progress

RANK = 16
RATE = 1e-3
EVEN = 128  # tokens that lengths are rounded up to
WORKERS = 1  # on a GPU, that lay out TRL's next batch meanwhile
GRAPH = 512  # the same for CUDA graphs, each shape of which is costly


@dataclass(frozen=True)
class Way:
    """How to learn."""

    dtype: str = "float32"
    quantization: str = "none"
    trl: Mapping[str, Any] | None = None
    """What its configuration is told beyond the work; None for ours."""

    compile: str = "off"
    """Whether a wake compiles the base's layers, as `model.compile`."""

    attention: str = ""
    """What TRL's model computes attention by; empty for what transformers takes."""


def _trl(attention: str = "", **options: Any) -> Way:  # noqa: ANN401
    """Return a way of TRL over a base in bfloat16, by autocast over float32 masters."""
    return Way("bfloat16", trl={"bf16": True, **options}, attention=attention)


_FREE: dict[str, Any] = {"padding_free": True}
_LIGER: dict[str, Any] = {"use_liger_kernel": True}
_EVEN: dict[str, Any] = {"torch_compile": True, "pad_to_multiple_of": EVEN}

WAYS: dict[str, Way] = {
    "ours": Way(),
    "ours, bf16": Way("bfloat16"),
    "ours, bf16, compiled": Way("bfloat16", compile="on"),
    "ours, nf4": Way("bfloat16", "nf4"),
    "trl": Way(trl={}),
    "trl, bf16": _trl(),
    "trl, bf16, liger": _trl(**_LIGER),
    "trl, bf16, padding-free": _trl(**_FREE),
    "trl, bf16, padding-free, liger": _trl(**_FREE, **_LIGER),
    "trl, bf16, padding-free, flex": _trl("flex_attention", **_FREE),
    "trl, bf16, compiled": _trl(torch_compile=True),
    "trl, bf16, compiled, even": _trl(**_EVEN),
    "trl, bf16, compiled, even, liger": _trl(**_EVEN, **_LIGER),
    "trl, bf16, graphs": _trl(
        torch_compile=True,
        torch_compile_mode="reduce-overhead",
        pad_to_multiple_of=GRAPH,
    ),
    "trl, nf4": Way("bfloat16", "nf4", trl={"bf16": True}),
}
"""Every way by its name; those of TRL begin with `trl`."""


@dataclass
class Clock:
    """When each step ended, and its loss."""

    device: torch.device
    times: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def tick(self, *, settled: bool) -> None:
        """Take the end of a step; `settled` waits until the device has done all of it.

        A wake notes a step when its loss has been read, which the device has computed
        by then. TRL notes it when it has asked for everything, so the device is waited
        for at both ends of what is timed, and nowhere between, where it costs time.
        """
        if settled and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.times.append(time.perf_counter())


Batches = Sequence[Sequence[Encoded]]


def learn(way: Way, base: Base, batches: Batches, work: Work) -> Clock:
    """Learn each batch in a step, gradient checkpointing as the work says."""
    if way.trl is None:
        return _learn_ours(base, batches)
    if way.attention:
        base.model.set_attn_implementation(way.attention)
    return _learn_trl(base, batches, work, way.trl)


def _learn_ours(base: Base, batches: Batches) -> Clock:
    """Learn as a wake does."""
    clock = Clock(base.device)

    def note(progress: Progress) -> None:
        clock.tick(settled=False)
        clock.losses.append(progress.loss or 0.0)

    config = adapters.day_config(RANK, 2.0 * RANK, 0.0)
    adapters.new_day(base, "day", config, seed=0)
    adapters.activate(base, ["day"])
    plan = FitPlan(
        adapter="day", lr=RATE, steps=len(batches), warmup_steps=5, weight_decay=0.0,
        max_grad_norm=1.0, max_loss=100.0, check_every=10**6, patience=0, seed=0,
    )  # fmt: skip
    fit(base, plan, batches, on_progress=note)
    return clock


def _learn_trl(
    base: Base, batches: Batches, work: Work, options: Mapping[str, Any]
) -> Clock:
    """Learn the same by TRL's trainer.

    Raises:
        ValueError: It did not see the tokens that it was given.
    """
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTTrainer  # type: ignore[attr-defined]

    clock = Clock(base.device)

    ends = {work.warm, work.steps - 1}

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *given: Any, **_: object) -> None:  # noqa: ANN401
            state = given[1]
            clock.tick(settled=state.global_step in ends)

    with tempfile.TemporaryDirectory() as place:
        trainer = SFTTrainer(
            model=base.model,
            processing_class=base.tokenizer,
            train_dataset=_dataset(batches),
            args=_configuration(place, len(batches), work, options),
            peft_config=_lora(),
            callbacks=[Watch()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    _expect_same(trainer, base, batches)
    history = trainer.state.log_history
    clock.losses = [one["loss"] for one in history if "loss" in one]
    return clock


def _configuration(
    place: str, steps: int, work: Work, options: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - TRL's
    """Return how TRL is to train."""
    from trl import SFTConfig  # type: ignore[attr-defined]

    return SFTConfig(
        output_dir=place, max_steps=steps, learning_rate=RATE,
        per_device_train_batch_size=work.examples, report_to="none",
        save_strategy="no", logging_steps=1, disable_tqdm=True,
        completion_only_loss=True, max_length=None, shuffle_dataset=False,
        gradient_checkpointing=work.checkpointing == "on",
        train_sampling_strategy="sequential", warmup_steps=5,
        use_cpu=work.device == "cpu",
        dataloader_num_workers=0 if work.device == "cpu" else WORKERS,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.1},
        **{"bf16": False, **options},
    )  # fmt: skip


def _lora() -> Any:  # noqa: ANN401 - PEFT's
    """Return the adapter that a wake trains, for PEFT."""
    from peft import LoraConfig

    return LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")


def _dataset(batches: Batches) -> Any:  # noqa: ANN401 - of `datasets`
    """Return the examples of all batches in their order, as TRL takes tokens."""
    from datasets import Dataset  # type: ignore[import-untyped]

    rows = [
        {
            "input_ids": list(one.ids),
            "completion_mask": [int(weight > 0) for weight in one.weights],
        }
        for batch in batches
        for one in batch
    ]
    return Dataset.from_list(rows)


def _expect_same(trainer: Any, base: Base, batches: Batches) -> None:  # noqa: ANN401
    """Refuse what trained other weights, or on other tokens, than a wake does."""
    weights = sum(w.numel() for w in trainer.model.parameters() if w.requires_grad)
    expected = sum(RANK * (out + into) for out, into in base.targets.shapes.values())
    if weights != expected:
        raise ValueError(f"expected {expected} weights to learn, got {weights}")
    tokens = sum(len(one.ids) for batch in batches for one in batch)
    seen = [one["num_tokens"] for one in trainer.state.log_history if "loss" in one][-1]
    if seen != tokens:
        raise ValueError(f"expected {tokens} tokens to be learned, got {seen}")
