"""How much memory learning and asking take, beside what was estimated.

    python -m benchmarks.memory [NAME …] [--device cuda]

Each case is a model of random weights in a process of its own, which learns three steps
of rows of one length, or answers one prompt of that length. On a CPU the process's
largest resident set counts, on a GPU what torch had allocated at most. Where estimate
and measure are apart by more than a fifth, the constants at the top of
`sleepcycle/model/memory_need.py` are to be mended: first `HEAP` (`POOL` on a GPU), if
all large cases are off alike; then `layer_bytes`, by the kind that is off.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    Qwen3Config,
)

from sleepcycle.files.paths import PACKAGE
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, find_targets
from sleepcycle.model.encode import Encoded
from sleepcycle.model.fit import fit
from sleepcycle.model.generate import answer
from sleepcycle.model.memory_need import (
    CONTEXT_BYTES,
    MemoryNeed,
    WorkPlan,
    asking_need,
    wake_need,
)
from sleepcycle.model.model_size import size_of
from sleepcycle.model.monitor import FitPlan
from sleepcycle.records.progress import ignore_progress
from sleepcycle.records.version import BaseIdentity

MB = 1_000_000
STEPS = 3
NEW = 8  # tokens of an answer
HEADS_8: dict[str, Any] = {"num_attention_heads": 8, "num_hidden_layers": 8}

CONFIGS: dict[str, Callable[[], Any]] = {
    "nano": lambda: LlamaConfig(
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=5,
        num_attention_heads=5,
        vocab_size=768,
    ),
    "smollm2": lambda: LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
        tie_word_embeddings=True,
    ),
    "llama": lambda: LlamaConfig(
        hidden_size=512, intermediate_size=1408, vocab_size=16000, **HEADS_8
    ),
    "qwen3": lambda: Qwen3Config(
        hidden_size=512,
        intermediate_size=1536,
        num_key_value_heads=4,
        head_dim=64,
        vocab_size=32000,
        tie_word_embeddings=True,
        **HEADS_8,
    ),
    "gpt2": lambda: GPT2Config(n_embd=768, n_layer=6, n_head=12, vocab_size=50257),
    "neox": lambda: GPTNeoXConfig(
        hidden_size=512, intermediate_size=2048, vocab_size=50000, **HEADS_8
    ),
    "gemma2": lambda: Gemma2Config(
        hidden_size=512,
        intermediate_size=2048,
        num_key_value_heads=4,
        head_dim=64,
        vocab_size=32000,
        **HEADS_8,
    ),
}


@dataclass(frozen=True)
class Case:
    """One measurement."""

    model: str
    dtype: str
    rows: int
    length: int
    asks: bool = False

    @property
    def name(self) -> str:
        """Return what chooses it on the command line."""
        work = "ask" if self.asks else "wake"
        return f"{work}-{self.model}-{self.dtype}-{self.rows}x{self.length}"


CASES = (
    Case("nano", "float32", 8, 256),
    Case("nano", "float32", 8, 64),
    Case("llama", "float32", 4, 256),
    Case("llama", "bfloat16", 4, 256),
    Case("qwen3", "float32", 4, 256),
    Case("gpt2", "float32", 4, 256),
    Case("neox", "float32", 4, 256),
    Case("gemma2", "float32", 4, 256),
    Case("smollm2", "float32", 8, 128),
    Case("smollm2", "bfloat16", 8, 128),
    Case("smollm2", "float32", 8, 217),
    Case("llama", "float32", 1, 512, asks=True),
    Case("smollm2", "float32", 1, 512, asks=True),
)


def measure(case: Case, device: str) -> tuple[int, MemoryNeed]:
    """Do the work of one case; return the peak in bytes, and what was estimated."""
    base = make_base(case, device)
    shapes = {name: weight.shape for name, weight in base.model.named_parameters()}
    size = size_of(shapes, base.model.config.to_dict())
    plan = plan_of_case(case, device)
    start_counting(device)
    work = ask if case.asks else learn
    work(base, case)
    need = asking_need(size, plan) if case.asks else wake_need(size, plan)
    return peak(device), need


def plan_of_case(case: Case, device: str) -> WorkPlan:
    """Return a case as the estimate sees it."""
    return WorkPlan(
        number_bytes=torch.empty(0, dtype=getattr(torch, case.dtype)).itemsize,
        quantized=False,
        checkpointed=False,
        tokens=case.rows * case.length,
        read_tokens=case.rows * case.length,
        length=case.length,
        dreamt=128,
        day_rank=16,
        live_rank=0,
        on_gpu=device == "cuda",
        merged=False,
    )


def make_base(case: Case, device: str) -> Base:
    """Make a base of random weights, with the tokenizer of `builtin:nano`."""
    dtype = getattr(torch, case.dtype)
    model = AutoModelForCausalLM.from_config(CONFIGS[case.model](), dtype=dtype)
    model.requires_grad_(False)
    model.eval()
    positions = model.config.max_position_embeddings
    return Base(
        model=model.to(device),
        tokenizer=AutoTokenizer.from_pretrained(PACKAGE / "nano"),
        identity=BaseIdentity(case.model, None, ""),
        targets=find_targets(model, ["all-linear"]),
        width=model.config.hidden_size,
        max_length=positions,
        positions=positions,
        checkpointing="off",
        compiling="off",
        batch_tokens=case.rows * case.length,
        text_overlap=0,
        chat=False,
        device=torch.device(device),
        cache=Path(tempfile.gettempdir()),
    )


def learn(base: Base, case: Case) -> None:
    """Learn a few steps, half of each row."""
    half = case.length // 2
    weights = (0.0,) * half + (1.0,) * (case.length - half)
    row = Encoded(tuple(range(3, 3 + case.length)), weights)
    config = adapters.day_config(rank=16, alpha=32, dropout=0)
    adapters.new_day(base, "day", config, seed=0, start=None)
    adapters.activate(base, ["day"])
    plan = FitPlan(
        adapter="day",
        lr=1e-4,
        steps=STEPS,
        warmup_steps=0,
        weight_decay=0,
        max_grad_norm=1,
        max_loss=1e9,
        check_every=1,
        patience=0,
        seed=0,
    )
    fit(base, plan, [[row] * case.rows] * STEPS, on_progress=ignore_progress)


def ask(base: Base, case: Case) -> None:
    """Answer one prompt."""
    answer(base, [list(range(3, 3 + case.length))], max_new_tokens=NEW)


def start_counting(device: str) -> None:
    """Forget the largest so far."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: VmHWM begins anew


def peak(device: str) -> int:
    """Return the most that was taken since, the context of a GPU included."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() + CONTEXT_BYTES
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("expected VmHWM in /proc/self/status, found none")


def row(case: Case, found: int, need: MemoryNeed) -> str:
    """Return one row of the table."""
    parts = (need.runtime, need.weights, need.adapters, need.activations, need.logits)
    cells = [*(f"{part / MB:,.0f}" for part in parts), f"{need.total / MB:,.0f}"]
    ratio = need.total / found
    return " | ".join(
        [f"| {case.name}", *cells, f"{found / MB:,.0f}", f"{ratio:.2f} |"]
    )


def main(words: Sequence[str] | None = None) -> None:
    """Measure all cases, or those that are named, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(words)
    cases = [case for case in CASES if case.name in (chosen.names or [case.name])]
    if chosen.here:
        for case in cases:
            print(row(case, *measure(case, chosen.device)))
        return
    heads = "case | runtime | weights | adapters | activations | logits | estimate, MB"
    print(f"| {heads} | measured, MB | ratio |")
    print("|---" * 9 + "|")
    for case in cases:
        command = [sys.executable, "-m", "benchmarks.memory", "--here", case.name]
        subprocess.run([*command, "--device", chosen.device], check=True)


if __name__ == "__main__":
    main()
