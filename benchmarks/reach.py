"""How fast wakes, exams and lives are on real models: parts of one table, on a GPU.

    python -m benchmarks.reach --parts smollm2-8 qwen-1.5b --rows gsm8k.jsonl.gz
        --tokenizer SMOLLM2 --out reach.jsonl

Each part runs alone too (`--list` says what they are, and about how long each takes on
an H200), since a machine may be lent for minutes: every line is printed and written as
soon as it is known, `--seconds` ends what would take longer, and `--show` prints the
tables of what several runs wrote. `--tiny` tries all of it on any machine, on a small
base. What is timed, and how, stands in `wake` and `generate`.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.learning_ways import WAYS
from benchmarks.learning_work import Work
from benchmarks.shapes import made, scratch_folder
from benchmarks.wake import QUIET, Found, one_way, table_of

LIMIT_S = 170.0
LARGEST = "qwen2.5-7b"
EAGER = (
    "ours", "ours, bf16", "ours, bf16, compiled", "trl", "trl, bf16",
    "trl, bf16, liger",
    "trl, bf16, padding-free", "trl, bf16, padding-free, liger",
)  # fmt: skip
COMPILED = (
    "trl, bf16, compiled, even", "trl, bf16, compiled, even, liger",
    "trl, bf16, graphs", "trl, bf16, compiled", "trl, bf16, padding-free, flex",
)  # fmt: skip
LARGE = (
    "ours, bf16, compiled", "ours, bf16", "trl, bf16", "trl, bf16, liger",
    "trl, bf16, compiled",
)  # fmt: skip

LEARNING = Work(
    rows="", examples=8, length=0, steps=40, warm=15, device="cuda",
    checkpointing="off", memory=0.0,
)  # fmt: skip

ARM = "store, no rem, half more"
TINY_LIVES = ("--lives=1", "--jobs=1", "--lessons=2", "--examples=16", "--questions=2")

Line = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """What is run at once."""

    title: str
    """Parts of one title are one table."""

    minutes: float
    """That it takes on an H200, about."""

    base: str
    ways: tuple[str, ...] = ()
    """None is an exam, or lives."""

    work: Work = LEARNING
    prompts: int = 0
    lives: tuple[str, ...] = ()
    """What the memory benchmark is told."""

    limit_s: float = LIMIT_S
    """That one way may take."""


def _smollm2(examples: int, minutes: float, ways: tuple[str, ...]) -> Part:
    """Return a part that learns rows as long as they are."""
    work = replace(LEARNING, examples=examples)
    title = f"SmolLM2-135M, {examples} rows a step"
    return Part(title, minutes, "smollm2-135m", ways, work)


def _even(
    title: str,
    minutes: float,
    base: str,
    ways: Sequence[str],
    **how: Any,  # noqa: ANN401
) -> Part:
    """Return a part that learns rows of one length."""
    return Part(title, minutes, base, tuple(ways), replace(LEARNING, **how))


PARTS: dict[str, Part] = {
    "smollm2-8": _smollm2(8, 5, EAGER),
    "smollm2-8-compiled": _smollm2(8, 8, COMPILED),
    "smollm2-32": _smollm2(32, 5, EAGER),
    "smollm2-32-compiled": _smollm2(32, 6, COMPILED[:3]),
    "smollm2-64": _smollm2(64, 3, EAGER[:3] + EAGER[4:6]),
    "memory": _even(
        "SmolLM2-135M, 8 rows of 512 tokens a step", 3, "smollm2-135m", EAGER[:6],
        length=512, steps=40, warm=12,
    ),
    "qwen-1.5b": _even(
        "Qwen2.5-1.5B, 16 rows of 512 tokens a step", 5, "qwen2.5-1.5b", LARGE,
        examples=16, length=512, steps=40, warm=12,
    ),
    "qwen-7b": _even(
        "Qwen2.5-7B, 8 rows of 512 tokens a step", 8, LARGEST, LARGE,
        length=512, steps=30, warm=8,
    ),
    "qwen-7b-nf4": _even(
        "Qwen2.5-7B in 4 bits, 1 row of 2,048 tokens a step, within 12 GB", 5, LARGEST,
        ("ours, nf4", "trl, nf4"), examples=1, length=2048, steps=10, warm=4,
        checkpointing="on", memory=12.0,
    ),
    "exam": Part("SmolLM2-135M, 300 questions", 2, "smollm2-135m", prompts=300),
    "lives": Part(
        "SmolLM2-135M, 8 lives of the chat stream side by side", 6, "smollm2-135m",
        lives=("--stream=chat", "--lives=8", "--jobs=8", f"--arms={ARM}"),
    ),
}  # fmt: skip


def main() -> None:
    """Run the parts, a line each as it is known, and print their tables."""
    given = _arguments()
    if given.list:
        for name, part in PARTS.items():
            print(f"{name}: {part.title}; {part.minutes:g} minutes")
        return
    if given.show:
        lines = [json.loads(one) for path in given.show for one in path.open()]
        _print_tables(lines)
        return
    lines = []
    given.out.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + given.seconds
    largest = LARGEST if any("7b" in name for name in given.parts) else ""
    with (
        scratch_folder(given.scratch, largest) as scratch,
        given.out.open("a", encoding="utf-8") as out,
    ):
        for name in given.parts:
            part = as_wanted(PARTS[name], given)
            for line in run_part(part, given.tokenizer, scratch, end):
                lines.append({"part": name, **line})
                text = json.dumps(lines[-1])
                print(text, flush=True)
                print(text, file=out, flush=True)
    _print_tables(lines)


def _arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), help="of a part's")
    parser.add_argument("--rows", default="", help="questions and answers, as GSM8K's")
    parser.add_argument(
        "--smollm2", default="smollm2-135m", help="the real base, if there is one"
    )
    parser.add_argument("--tokenizer", default="", help="of shapes; nano's if none")
    parser.add_argument("--scratch", default="", help="where shapes lie, and stay")
    parser.add_argument("--data", default="", help="folder of the lives' lessons")
    parser.add_argument("--out", type=Path, default=Path("reach.jsonl"))
    parser.add_argument("--seconds", type=float, default=3600.0, help="at most in all")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds a way")
    parser.add_argument("--tiny", action="store_true", help="try it, on any machine")
    parser.add_argument("--list", action="store_true", help="say what parts there are")
    parser.add_argument("--show", nargs="+", type=Path, help="print what was written")
    return parser.parse_args()


def as_wanted(part: Part, given: argparse.Namespace) -> Part:
    """Return a part with what the command line says of it."""
    work = replace(part.work, rows="" if part.work.length else given.rows)
    base = given.smollm2 if part.base == "smollm2-135m" else part.base
    ways = tuple(way for way in part.ways if not given.ways or way in given.ways)
    part = replace(part, base=base, work=work, ways=ways, limit_s=given.limit)
    if part.lives and given.data:
        part = replace(part, lives=(*part.lives, f"--data={given.data}"))
    if not given.tiny:
        return part
    device = "cuda" if torch.cuda.is_available() else "cpu"
    small = replace(
        part.work, examples=min(2, work.examples), length=work.length // 16, steps=3,
        warm=1, device=device,
    )  # fmt: skip
    lives = (*part.lives, *TINY_LIVES) if part.lives else ()
    few = part.prompts // 30
    return replace(part, base="tiny", work=small, prompts=few, lives=lives)


def run_part(part: Part, tokenizer: str, scratch: Path, end: float) -> Iterator[Line]:
    """Yield a line for each way of a part.

    Args:
        part: What is run.
        tokenizer: Of a shape.
        scratch: Where bases lie.
        end: By the clock; what would begin later says that there is no time.
    """
    folder = made(part.base, tokenizer, scratch)
    if part.prompts:
        for line in _exam(part, folder, scratch, end):
            yield {"title": part.title, **line}
    if part.lives:
        yield {"title": part.title, **_live(part, folder, scratch, end)}
    for way in part.ways:
        left = end - time.monotonic()
        found = Found(way, failed="no time left")
        if left > 0:
            found = one_way(way, folder, part.work, scratch, min(left, part.limit_s))
        yield {"title": part.title, **asdict(found)}


def _exam(part: Part, folder: str, scratch: Path, end: float) -> Iterator[Line]:
    """Yield a line for each way of answering, in each type."""
    for dtype in ("bfloat16", "float32"):
        command = [
            sys.executable, "-m", "benchmarks.generate", f"--base={folder}", "--json",
            f"--prompts={part.prompts}", f"--scratch={scratch}", f"--dtype={dtype}",
            f"--device={part.work.device}",
        ]  # fmt: skip
        for text in _lines_of(command, end):
            line = json.loads(text)
            yield {**line, "way": f"{line['way']}, {dtype}"}


def _live(part: Part, folder: str, scratch: Path, end: float) -> Line:
    """Return how long lives took, from the start of their process to its end."""
    command = [
        sys.executable, "-m", "sleepcycle_study.memory", f"--base={folder}",
        f"--out={scratch}/lives.jsonl", f"--device={part.work.device}", *part.lives,
    ]  # fmt: skip
    (scratch / "lives.jsonl").unlink(missing_ok=True)  # what is in it is not lived
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, env={**os.environ, **QUIET}, stdout=sys.stderr, check=False,
            timeout=max(0.0, end - start),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"way": ARM, "failed": f"took longer than {end - start:.0f} s"}
    if done.returncode:
        return {"way": ARM, "failed": f"ended with {done.returncode}"}
    return {"way": ARM, "seconds": round(time.monotonic() - start, 1)}


def _lines_of(command: Sequence[str], end: float) -> Iterator[str]:
    """Yield the JSON that a process prints, as it comes; kill it at the end."""
    environment = {**os.environ, **QUIET}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        ending = threading.Timer(max(0.0, end - time.monotonic()), process.kill)
        ending.start()
        yield from (line for line in process.stdout or () if line.startswith("{"))
        ending.cancel()
    if process.returncode:
        yield json.dumps({"way": "-", "failed": f"ended with {process.returncode}"})


def _print_tables(lines: Sequence[Line]) -> None:
    """Print all tables."""
    console = Console(width=160)
    for title, table in tables_of(lines):
        console.print(f"\n{title}\n", highlight=False)
        console.print(table)


def tables_of(lines: Sequence[Line]) -> Iterator[tuple[str, Table]]:
    """Yield a table for each title, of the last line of each way."""
    names = {field.name for field in fields(Found)}
    for title in dict.fromkeys(line["title"] for line in lines):
        last = {line["way"]: line for line in lines if line["title"] == title}
        rows = list(last.values())
        if any("seconds" in row for row in rows):
            yield title, _answers_of(rows)
        else:
            kept = ({k: v for k, v in row.items() if k in names} for row in rows)
            yield title, table_of([Found(**one) for one in kept])


def _answers_of(lines: Sequence[Line]) -> Table:
    """Return what an exam took."""
    names = ("seconds", "answers", "tokens/s", "ratio", "answers that differ")
    table = Table("way", *names, box=box.MARKDOWN)
    for line in lines:
        row = [str(line.get(name, "")) for name in names]
        if "failed" in line:
            row = ["failed", *row[1:-1], line["failed"][:60]]
        table.add_row(line["way"], *row)
    return table


if __name__ == "__main__":
    main()
