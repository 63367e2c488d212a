"""Training speed and memory of a wake beside TRL's trainer, on the same examples.

    python -m benchmarks.wake --base MODEL [--rows gsm8k.jsonl.gz] [--ways ours trl …]

Each way (`learning_ways`) runs in a process of its own, on the same tokenised examples,
with a LoRA of rank 16 on every linear layer but the head, so many examples a step, and
without gradient checkpointing unless `--checkpointing on` wants it of all. A way that
fails is shown with its reason. A base is a folder, or the shape of one with random
weights (`shapes`).

Tokens are those of the examples, without padding, in the seconds from the end of the
last warm step to the end of the last but one: behind the last nothing is computed,
behind all others the next step. Memory is the
most that tensors took from the loaded base on, weights included (`peak`), what torch
had asked the GPU for meanwhile (`held`), and the most while loading (`loading`); on a
CPU, by how much the process grew, weights left out. `of peak` is the share of the
device's peak in bfloat16, by its data sheet, that the same learning needs at least
(MFU): 4 M + 6 A operations a token, 4 H a learned one and 12 C for each pair of tokens
that see each other, where M weights of matrices are frozen, A learn, the head has H,
and C is layers times width; nothing that a way computes beyond that counts.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain
from pathlib import Path

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.learning_ways import RANK, WAYS, Batches, Clock, learn
from benchmarks.learning_work import Work, batches_of
from benchmarks.measure import PeakMemory
from benchmarks.shapes import made, scratch_folder
from sleepcycle.model.base import Base, load_base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.fit import learning_cost
from sleepcycle.model.gradients import NLL
from sleepcycle.model.peak_speed import peak_of
from sleepcycle.settings.config import ModelSettings

GB = 1e9
LIMIT_S = 300  # that a way may take, its start included
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
MOST_SHOWN = 3000  # characters of what a failed way printed
REASON = 50  # characters of it in the table
ERROR = re.compile(r"[\w.]*(Error|Exception|Unsupported)\b")


@dataclass(frozen=True)
class Found:
    """What one way did."""

    way: str
    failed: str = ""
    """Why it could not; all else is 0 then."""

    tokens_per_second: float = 0.0
    step_s: float = 0.0
    tokens_a_step: float = 0.0
    peak_gb: float = 0.0
    held_gb: float | None = None
    loading_gb: float | None = None
    """None where there is no GPU."""

    load_s: float = 0.0
    loss_first: float = 0.0
    loss_last: float = 0.0
    use_of_peak: float | None = None
    """None where the device's peak is not known."""


def main() -> None:
    """Run each way in a process of its own, and print a table."""
    given = _arguments()
    names = [field.name for field in fields(Work)]
    work = Work(**{name: getattr(given, name) for name in names})
    if given.one:
        one = _run(given.one, given.base, work, Path(given.scratch))
        print(json.dumps(asdict(one)))
        return
    found = []
    with scratch_folder(given.scratch, given.base) as scratch:
        folder = made(given.base, given.tokenizer, scratch)
        for way in given.ways:
            one = one_way(way, folder, work, scratch, given.limit)
            print(json.dumps(asdict(one)), file=sys.stderr, flush=True)
            found.append(one)
    Console(width=160).print(table_of(found))


def one_way(way: str, folder: str, work: Work, scratch: Path, limit_s: float) -> Found:
    """Return what a way did in a process of its own, or why it failed.

    Args:
        way: Its name.
        folder: The base.
        work: What is done.
        scratch: Where what is remembered of the base is kept.
        limit_s: Seconds that it may take.
    """
    options = {**asdict(work), "base": folder, "scratch": scratch, "one": way}
    command = [sys.executable, "-m", "benchmarks.wake"]
    command += [f"--{name}={value}" for name, value in options.items()]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=limit_s,
            env={**os.environ, **QUIET},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Found(way, failed=f"took longer than {limit_s:g} s")
    if done.returncode:
        sys.stderr.write(done.stderr[-MOST_SHOWN:])
        return Found(way, failed=_reason(done.stderr))
    return Found(**json.loads(done.stdout.strip().split("\n")[-1]))


def _reason(errors: str) -> str:
    """Return the line of what a process printed that says why it failed."""
    lines = errors.strip().split("\n")
    return next((one for one in reversed(lines) if ERROR.match(one)), lines[-1])


def _arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", required=True)
    parser.add_argument("--tokenizer", default="", help="of a shape; nano's if none")
    parser.add_argument("--scratch", default="", help="where shapes lie, and stay")
    parser.add_argument("--rows", default="")
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--length", type=int, default=0)
    parser.add_argument("--steps", type=int, default=30, help="2 more than warm ones")
    parser.add_argument("--warm", type=int, default=5, help="1 or more")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=device)
    parser.add_argument("--checkpointing", default="off", choices=("on", "off"))
    parser.add_argument("--memory", type=float, default=0.0, help="most GB of a GPU")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds a way")
    ways = [way for way in WAYS if "nf4" not in way]
    parser.add_argument("--ways", nargs="+", default=ways, choices=list(WAYS))
    parser.add_argument("--one", choices=list(WAYS), help=argparse.SUPPRESS)
    return parser.parse_args()


def table_of(found: Sequence[Found]) -> Table:
    """Return what was found, with ratios to the fastest of TRL's ways."""
    table = Table(
        "way", "tokens/s", "ratio", "step, s", "peak, GB", "held", "loading",
        "of peak", "loss", box=box.MARKDOWN,
    )  # fmt: skip
    theirs = [one.tokens_per_second for one in found if one.way.startswith("trl")]
    best = max(theirs, default=0.0)
    for one in found:
        if one.failed:
            table.add_row(one.way, "failed", *[""] * 6, one.failed[:REASON])
            continue
        ratio = f"{one.tokens_per_second / best:.2f}" if best else "-"
        table.add_row(
            one.way, f"{one.tokens_per_second:,.0f}", ratio, f"{one.step_s:.4f}",
            f"{one.peak_gb:.2f}", _or_dash(one.held_gb, ".2f"),
            _or_dash(one.loading_gb, ".2f"), _or_dash(one.use_of_peak, ".1%"),
            f"{one.loss_first:.3f} to {one.loss_last:.3f}",
        )  # fmt: skip
    return table


def _or_dash(value: float | None, form: str) -> str:
    """Return a number in a form, a dash if it is not known."""
    return "-" if value is None else format(value, form)


def _run(name: str, folder: str, work: Work, scratch: Path) -> Found:
    """Do the work one way."""
    way = WAYS[name]
    on_gpu = work.device.startswith("cuda")
    if on_gpu and work.memory:
        total = torch.cuda.get_device_properties(work.device).total_memory
        torch.cuda.set_per_process_memory_fraction(work.memory * GB / total)
    start = time.perf_counter()
    settings = ModelSettings(
        base=folder,
        dtype=way.dtype,
        quantization=way.quantization,
        compile=way.compile,
        gradient_checkpointing=work.checkpointing,
    )
    base = load_base(settings, device=work.device, cache=scratch / "cache")
    found = Found(name, load_s=time.perf_counter() - start)
    batches = batches_of(base, work)
    if on_gpu:
        found = replace(found, loading_gb=torch.cuda.max_memory_allocated() / GB)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with PeakMemory() as memory:
        clock = learn(way, base, batches, work)
    found = replace(found, peak_gb=memory.growth_mb / 1e3)
    if on_gpu:
        found = replace(
            found,
            peak_gb=torch.cuda.max_memory_allocated() / GB,
            held_gb=torch.cuda.max_memory_reserved() / GB,
        )
    return _timed(found, base, batches, clock, work.warm)


def _timed(
    found: Found, base: Base, batches: Batches, clock: Clock, warm: int
) -> Found:
    """Return what a way did, with its speed and its losses."""
    timed = batches[warm:-1]
    seconds = clock.times[-2] - clock.times[warm - 1]
    examples = list(chain.from_iterable(timed))
    tokens = sum(len(one.ids) for one in examples)
    return replace(
        found,
        tokens_per_second=tokens / seconds,
        step_s=seconds / len(timed),
        tokens_a_step=tokens / len(timed),
        loss_first=clock.losses[0],
        loss_last=clock.losses[-1],
        use_of_peak=share_of_peak(base, examples, seconds, peak_of(base.device)),
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


if __name__ == "__main__":
    main()
