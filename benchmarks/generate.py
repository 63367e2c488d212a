"""Times answers: ours beside transformers' `generate` and continuous batching.

    python -m benchmarks.generate --base builtin:nano --prompts 50

Short questions of the kind an exam asks, under a random adapter on every layer. Times
are of one run after a short warm-up; ratios are to the first line.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig

from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base, pick_device
from sleepcycle.model.encode import end_ids, pad_id, render_prompt
from sleepcycle.model.generate import GREEDY, generate
from sleepcycle.model.merged import merged
from sleepcycle.model.plain_generate import plain_generate
from sleepcycle.model.row_state import Choice
from sleepcycle.numerics.lowrank import LayerChanges, LowRank
from sleepcycle.settings.config import ModelSettings

PLAIN_ROWS = 64  # at once, for transformers' `generate`
SIZE = 0.05  # of the adapter, as a share of each weight's norm
PLACES = ("France", "Italy", "Spain", "Peru", "Japan", "Kenya", "Norway", "Cuba")
THINGS = ("river", "lamp", "boat", "moon", "bread", "king", "forest")

Answers = list[tuple[int, ...]]


@dataclass(frozen=True)
class Timed:
    """What one way took."""

    way: str
    seconds: float
    answers: Answers

    @property
    def tokens(self) -> int:
        """How many were said."""
        return sum(map(len, self.answers))


def questions(count: int) -> list[str]:
    """Return short questions, no two alike."""
    frames = ("What is the capital of {p}?", "Is there a {t} in {p}?", "{n} + {m} =")
    return [
        frames[n % 3].format(
            p=PLACES[n % len(PLACES)], t=THINGS[n % len(THINGS)], n=n, m=n // 3
        )
        + (f" ({n})" if n % 3 < 2 else "")
        for n in range(count)
    ]


def random_adapter(base: Base, rank: int) -> LayerChanges:
    """Return a change of each target layer, small beside its weight."""
    generator = torch.Generator().manual_seed(0)
    changes = {}
    for path, (out, into) in base.targets.shapes.items():
        up = torch.randn(out, rank, generator=generator)
        down = torch.randn(rank, into, generator=generator)
        weight = base.model.get_submodule(path).weight.float().norm().cpu()
        scale = (SIZE * weight / (up @ down).norm()).sqrt()
        changes[path] = LowRank(up=up * scale, down=down * scale)
    return changes


def ours(base: Base, prompts: Sequence[list[int]], new: int) -> Answers:
    """Answer as an exam does."""
    said = generate(base, prompts, max_new_tokens=new, sampling=GREEDY)
    return [one.ids for one in said]


def plain(base: Base, prompts: Sequence[list[int]], new: int) -> Answers:
    """Answer by transformers' `generate`, `PLAIN_ROWS` at once, in order of length."""
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    found: dict[int, tuple[int, ...]] = {}
    for start in range(0, len(order), PLAIN_ROWS):
        chosen = order[start : start + PLAIN_ROWS]
        choice = Choice(0.0, torch.zeros((len(chosen), new)), 1.0)
        rows = plain_generate(base, [prompts[i] for i in chosen], choice, seed=0)
        said = (cut(base, row.ids) for row in rows)
        found |= zip(chosen, said, strict=True)
    return [found[place] for place in range(len(prompts))]


def plain_merged(base: Base, prompts: Sequence[list[int]], new: int) -> Answers:
    """Answer by transformers' `generate`, the adapter merged."""
    with merged(base, len(prompts)):
        return plain(base, prompts, new)


def continuous(base: Base, prompts: Sequence[list[int]], new: int) -> Answers:
    """Answer by transformers' continuous batching, the adapter merged."""
    config = GenerationConfig(
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=sorted(end_ids(base)) or None,
        pad_token_id=pad_id(base),
    )
    with merged(base, len(prompts)):
        found = base.model.generate_batch(
            inputs=[list(prompt) for prompt in prompts], generation_config=config
        )
    # in the order of their numbers: `req_0`, `req_1`, ...
    rows = [found[name] for name in sorted(found, key=lambda n: int(n.split("_")[-1]))]
    return [cut(base, row.generated_tokens) for row in rows]


def cut(base: Base, ids: Sequence[int]) -> tuple[int, ...]:
    """Return tokens up to where the answer ends."""
    ends = end_ids(base)
    end = next((i for i, token in enumerate(ids) if token in ends), len(ids))
    return tuple(ids[:end])


def measure(base: Base, prompts: Sequence[list[int]], new: int) -> Iterator[Timed]:
    """Yield what each way took."""
    ways: dict[str, Callable[[Base, Sequence[list[int]], int], Answers]] = {
        "ours": ours,
        f"generate, {PLAIN_ROWS} at once": plain,
        f"generate, {PLAIN_ROWS} at once, merged": plain_merged,
    }
    if base.device.type == "cuda":
        ways["continuous batching, merged"] = continuous
    for name, way in ways.items():
        way(base, prompts[:4], 10)
        start = time.perf_counter()
        said = way(base, prompts, new)  # lists on the CPU, so all is done
        yield Timed(name, time.perf_counter() - start, said)


def main() -> None:
    """Time each way, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", default="builtin:nano")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--new", type=int, default=33, help="most new tokens")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    settings = ModelSettings(base=given.base, dtype=given.dtype)
    with tempfile.TemporaryDirectory() as cache:
        base = load_base(settings, device=pick_device(given.device), cache=Path(cache))
    prompts = [render_prompt(one, base) for one in questions(given.prompts)]
    with adapters.attached(base, "timed", random_adapter(base, given.rank)):
        first: Timed | None = None
        print("way | seconds | answers | tokens/s | ratio | answers that differ")
        for one in measure(base, prompts, given.new):
            first = first or one
            pairs = zip(one.answers, first.answers, strict=True)
            differ = sum(found != expected for found, expected in pairs)
            print(
                f"{one.way} | {one.seconds:.2f} | {len(one.answers)} | "
                f"{one.tokens / one.seconds:.0f} | {one.seconds / first.seconds:.2f} | "
                f"{differ}"
            )


if __name__ == "__main__":
    main()
