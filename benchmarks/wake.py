"""Training speed and memory of a wake beside TRL's trainer, on the same examples.

    python -m benchmarks.wake --base MODEL [--rows gsm8k.jsonl.gz] [--ways ours trl …]

Each way runs in a process of its own, on the same tokenised examples, with a LoRA of
rank 16 on every linear layer but the head, so many examples a step. Tokens are those of
the examples, without padding. A base is a folder, or the shape of one with random
weights: `qwen2.5-1.5b`, `qwen2.5-7b`, `smollm2-135m`.
"""

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer, LlamaConfig, PretrainedConfig, Qwen2Config

from benchmarks.measure import PeakMemory
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base
from sleepcycle.model.encode import Encoded, encode_all
from sleepcycle.model.fit import fit, learning_cost
from sleepcycle.model.gradients import NLL
from sleepcycle.model.monitor import FitPlan
from sleepcycle.model.peak_speed import peak_of
from sleepcycle.records.content import Completion
from sleepcycle.records.progress import Progress
from sleepcycle.settings.config import ModelSettings

RANK = 16
SHAPES: dict[str, PretrainedConfig] = {
    "smollm2-135m": LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536,
        num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
        max_position_embeddings=8192, tie_word_embeddings=True, rms_norm_eps=1e-5,
    ),
    "qwen2.5-1.5b": Qwen2Config(
        vocab_size=151936, hidden_size=1536, intermediate_size=8960,
        num_hidden_layers=28, num_attention_heads=12, num_key_value_heads=2,
        max_position_embeddings=32768, tie_word_embeddings=True,
    ),
    "qwen2.5-7b": Qwen2Config(
        vocab_size=152064, hidden_size=3584, intermediate_size=18944,
        num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4,
        max_position_embeddings=32768, tie_word_embeddings=False,
    ),
}  # fmt: skip
WAYS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours, bf16": {"dtype": "bfloat16"},
    "trl": {},
    "trl, bf16": {"dtype": "bfloat16", "bf16": True},
    "trl, bf16, compiled": {"dtype": "bfloat16", "bf16": True, "torch_compile": True},
}


@dataclass(frozen=True)
class Work:
    """What every way has to do."""

    base: str
    tokenizer: str
    rows: str
    """File of questions and answers, one JSON object a line; "" for made-up ones."""

    examples: int
    """A step."""

    length: int
    """Tokens of every example; 0 leaves them as long as they are."""

    steps: int
    warm: int
    """Steps before the clock starts."""

    device: str


@dataclass(frozen=True)
class Found:
    """What one way did."""

    way: str
    tokens_per_second: float
    step_s: float
    peak_gb: float
    loss_first: float
    loss_last: float
    use_of_peak: float | None
    """Share of the device's peak that the work needed, by its data sheet; None if that
    is unknown."""


def main() -> None:
    """Run each way in a process of its own, and print a table."""
    chosen = _arguments()
    work = Work(**{name: getattr(chosen, name) for name in Work.__annotations__})
    if chosen.one:
        print(json.dumps(asdict(_run(chosen.one, work))))
        return
    found = []
    for way in chosen.ways:
        command = [sys.executable, "-m", "benchmarks.wake", *sys.argv[1:], "--one", way]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().split("\n")[-1]
            print(f"{way}: failed: {reason}", file=sys.stderr, flush=True)
            continue
        line = done.stdout.strip().split("\n")[-1]
        print(line, file=sys.stderr, flush=True)
        found.append(Found(**json.loads(line)))
    Console(width=110).print(_table(found))


def _arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--tokenizer", default="", help="of a shape; nano's if none")
    parser.add_argument("--rows", default="")
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--length", type=int, default=0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warm", type=int, default=5, help="at least 1")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=device)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--one", choices=list(WAYS), help=argparse.SUPPRESS)
    return parser.parse_args()


def _table(found: Sequence[Found]) -> Table:
    """Return what was found, with ratios to the fastest of TRL's ways."""
    table = Table("way", "tokens/s", "ratio", "step, s", "peak, GB", "of peak", "loss")
    theirs = [one.tokens_per_second for one in found if one.way.startswith("trl")]
    for one in found:
        ratio = one.tokens_per_second / max(theirs) if theirs else float("nan")
        share = "-" if one.use_of_peak is None else f"{one.use_of_peak:.1%}"
        table.add_row(
            one.way, f"{one.tokens_per_second:,.0f}", f"{ratio:.2f}",
            f"{one.step_s:.4f}", f"{one.peak_gb:.2f}", share,
            f"{one.loss_first:.2f} to {one.loss_last:.2f}",
        )  # fmt: skip
    return table


def _run(way: str, work: Work) -> Found:
    """Do the work one way."""
    options = dict(WAYS[way])
    with tempfile.TemporaryDirectory() as place:
        base = load_base(
            ModelSettings(
                base=_folder(work, Path(place)),
                dtype=options.pop("dtype", "float32"),
            ),
            device=work.device,
            cache=Path(place),
        )
        batches = list(_batches(base, work))
        if work.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats()
        with PeakMemory() as memory:
            train = _train_trl if way.startswith("trl") else _train_ours
            times, losses = train(base, batches, work, options)
    seconds = times[-1] - times[max(1, work.warm) - 1]
    timed = batches[work.warm :]
    tokens = sum(len(one.ids) for batch in timed for one in batch)
    peak = memory.growth_mb / 1e3
    if work.device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated() / 1e9
    return Found(
        way=way,
        tokens_per_second=tokens / seconds,
        step_s=seconds / len(timed),
        peak_gb=peak,
        loss_first=losses[0],
        loss_last=losses[-1],
        use_of_peak=share_of_peak(
            base, list(chain.from_iterable(timed)), seconds, peak_of(base.device)
        ),
    )


def share_of_peak(
    base: Base, examples: Sequence[Encoded], seconds: float, peak: float | None
) -> float | None:
    """Return the share of a device's peak that learning examples needed, as a run does.

    It counts the same operations for every way, whatever a way computes.

    Args:
        base: The base.
        examples: All that were learned.
        seconds: That it took.
        peak: Operations a second; None where it is not known.
    """
    if peak is None:
        return None
    trained = sum(RANK * (out + into) for out, into in base.targets.shapes.values())
    return NLL.work(examples, learning_cost(base, trained)).flop / seconds / peak


def _batches(base: Base, work: Work) -> Iterator[list[Encoded]]:
    """Yield the examples of each step."""
    contents = (Completion(*pair) for pair in _pairs(work.rows))
    count = work.steps * work.examples
    examples = encode_all(islice(contents, count), base, prompt_weight=0)
    if work.length:
        examples = _of_length(examples, work)
    examples = [examples[i % len(examples)] for i in range(count)]
    for first in range(0, count, work.examples):
        yield examples[first : first + work.examples]


def _of_length(examples: Sequence[Encoded], work: Work) -> list[Encoded]:
    """Return examples of one length, all of it learned, made of these."""
    ids = [token for one in examples for token in one.ids]
    count = min(work.steps * work.examples, len(ids) // work.length)
    cuts = (tuple(ids[i * work.length : (i + 1) * work.length]) for i in range(count))
    return [Encoded(cut, (0.0, *[1.0] * (work.length - 1))) for cut in cuts]


def _pairs(rows: str) -> Iterator[tuple[str, str]]:
    """Yield questions and answers."""
    if rows:
        opened = gzip.open if rows.endswith(".gz") else open
        with opened(rows, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield row["question"], row["answer"]
        return
    rng = random.Random(0)
    while True:
        yield _made_up(rng)


def _made_up(rng: random.Random) -> tuple[str, str]:
    """Return an invented word problem with its solution, about 200 tokens."""
    things = ("apples", "stamps", "candles", "marbles", "postcards", "bricks")
    thing, name = rng.choice(things), rng.choice(("Orla", "Mirko", "Tarn", "Ines"))
    count, steps, text = rng.randint(20, 90), [], ""
    for day in range(rng.randint(2, 6)):
        more = rng.randint(2, 19)
        text += f" On day {day + 1} {name} buys {more} more {thing} at the market."
        count += more
        steps.append(
            f"After day {day + 1} there are {count - more} + {more} = {count}."
        )
    first = f"{name} keeps a box of {thing}.{text} How many {thing} are in the box?"
    return first, "\n".join([*steps, f"#### {count}"])


def _folder(work: Work, place: Path) -> str:
    """Return a base's folder; one of a shape is made of random weights."""
    config = SHAPES.get(work.base)
    if config is None:
        return work.base
    from transformers import AutoModelForCausalLM

    from sleepcycle.model.base_files import locate

    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    folder = place / "base"
    model.save_pretrained(folder)
    tokens = work.tokenizer or locate(ModelSettings(base="builtin:nano"))
    AutoTokenizer.from_pretrained(tokens).save_pretrained(folder)
    return str(folder)


Trained = tuple[list[float], list[float]]
"""When each step ended, and its loss."""


def _train_ours(
    base: Base, batches: Sequence[Sequence[Encoded]], work: Work, options: object
) -> Trained:
    """Train as a wake does."""
    times: list[float] = []
    losses: list[float] = []

    def note(progress: Progress) -> None:
        times.append(time.perf_counter())
        losses.append(progress.loss or 0.0)

    config = adapters.day_config(RANK, 2.0 * RANK, 0.0)
    adapters.new_day(base, "day", config, seed=0)
    adapters.activate(base, ["day"])
    plan = FitPlan(
        adapter="day", lr=1e-3, steps=work.steps, warmup_steps=5, weight_decay=0.0,
        max_grad_norm=1.0, max_loss=100.0, check_every=10**6, patience=0, seed=0,
    )  # fmt: skip
    fit(base, plan, batches, on_progress=note)
    return times, losses


def _train_trl(
    base: Base,
    batches: Sequence[Sequence[Encoded]],
    work: Work,
    options: dict[str, Any],
) -> Trained:
    """Train the same by TRL's trainer."""
    from datasets import Dataset  # type: ignore[import-untyped]
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]

    times: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: object, **__: object) -> None:
            if base.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter())

    rows = [
        {
            "input_ids": list(one.ids),
            "completion_mask": [int(weight > 0) for weight in one.weights],
        }
        for batch in batches
        for one in batch
    ]
    with tempfile.TemporaryDirectory() as place:
        trainer = SFTTrainer(
            model=base.model,
            processing_class=base.tokenizer,
            train_dataset=Dataset.from_list(rows),
            args=SFTConfig(
                output_dir=place, max_steps=work.steps, learning_rate=1e-3,
                per_device_train_batch_size=work.examples, report_to="none",
                save_strategy="no", logging_steps=1, disable_tqdm=True,
                completion_only_loss=True, gradient_checkpointing=False,
                max_length=None, shuffle_dataset=False,
                train_sampling_strategy="sequential", warmup_steps=5,
                use_cpu=base.device.type == "cpu",
                lr_scheduler_type="cosine_with_min_lr",
                lr_scheduler_kwargs={"min_lr_rate": 0.1},
                **{"bf16": False, **options},
            ),
            peft_config=LoraConfig(
                r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"
            ),
            callbacks=[Clock()],
        )  # fmt: skip
        trainer.train()
    history = trainer.state.log_history
    return times, [one["loss"] for one in history if "loss" in one]


if __name__ == "__main__":
    main()
