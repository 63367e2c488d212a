"""Times answers: ours beside transformers' `generate` and continuous batching.

    python -m benchmarks.generate --base builtin:nano --prompts 50

Short questions of the kind an exam asks, under a random adapter on every layer. A base
may be a shape (`shapes`), whose random weights end few answers before the longest.
Times are of one run after a short one with other questions; ratios are to the first
line. Continuous batching is timed with its start, as one exam would have it, and
started beforehand, by as many other questions, as a server would.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from transformers import GenerationConfig

from benchmarks.shapes import made, scratch_folder
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

WARM = 10  # questions, and tokens of an answer, before a way is timed
FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, ImportError)

Answers = list[tuple[int, ...]]


@dataclass(frozen=True)
class Asked:
    """What is asked."""

    prompts: Sequence[list[int]]
    others: Sequence[list[int]]
    """As many other ones, to warm up with."""


Way = Callable[[Base, Sequence[list[int]], int], Answers]


@dataclass(frozen=True)
class Timed:
    """What one way took."""

    way: str
    seconds: float
    answers: Answers
    failed: str = ""
    """Why it could not."""

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
    with merged(base, len(prompts)):
        return _batch(base, prompts, new)


def _batch(
    base: Base,
    prompts: Sequence[list[int]],
    new: int,
    **how: Any,  # noqa: ANN401
) -> Answers:
    """Answer by continuous batching with whatever the weights are.

    Raises:
        RuntimeError: Not all were answered.
    """
    config = GenerationConfig(
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=sorted(end_ids(base)) or None,
        pad_token_id=pad_id(base),
    )
    found = base.model.generate_batch(
        inputs=[list(prompt) for prompt in prompts], generation_config=config, **how
    )
    if len(found) != len(prompts):
        raise RuntimeError(f"answered {len(found)} of {len(prompts)}")
    # in the order of their numbers: `req_0`, `req_1`, ...
    rows = [found[name] for name in sorted(found, key=lambda n: int(n.split("_")[-1]))]
    return [cut(base, row.generated_tokens) for row in rows]


def started(base: Base, asked: Asked, new: int) -> tuple[float, Answers]:
    """Answer by continuous batching that has answered other questions before.

    Returns:
        Seconds, and the answers.
    """
    with merged(base, len(asked.prompts)):
        try:
            _batch(base, asked.others, new, persistent_manager=True)
            start = time.perf_counter()
            said = _batch(base, asked.prompts, new, persistent_manager=True)
            return time.perf_counter() - start, said
        finally:
            base.model.destroy_cached_continuous_batching_manager()


def cut(base: Base, ids: Sequence[int]) -> tuple[int, ...]:
    """Return tokens up to where the answer ends."""
    ends = end_ids(base)
    end = next((i for i, token in enumerate(ids) if token in ends), len(ids))
    return tuple(ids[:end])


def measure(base: Base, asked: Asked, new: int, *, batching: bool) -> Iterator[Timed]:
    """Yield what each way took.

    Args:
        base: The base.
        asked: What is asked.
        new: Most new tokens of an answer.
        batching: Whether continuous batching is among the ways.
    """
    ways: dict[str, Way] = {
        "ours": ours,
        f"generate, {PLAIN_ROWS} at once": plain,
        f"generate, {PLAIN_ROWS} at once, merged": plain_merged,
    }
    if batching:
        ways["continuous batching, merged"] = continuous
    for name, way in ways.items():
        yield _timed(name, partial(_once, way, base, asked, new))
    if batching:
        name = "continuous batching, merged, started before"
        yield _timed(name, partial(started, base, asked, new))


def _once(way: Way, base: Base, asked: Asked, new: int) -> tuple[float, Answers]:
    """Answer after a few other questions; return seconds and answers."""
    way(base, asked.others[:WARM], WARM)
    start = time.perf_counter()
    said = way(base, asked.prompts, new)  # lists on the CPU, so all is done
    return time.perf_counter() - start, said


def _timed(name: str, run: Callable[[], tuple[float, Answers]]) -> Timed:
    """Return what a way took, or why it could not."""
    try:
        return Timed(name, *run())
    except FAILURES as error:
        return Timed(name, 0.0, [], f"{type(error).__name__}: {error}".split("\n")[0])


def row_of(one: Timed, first: Timed) -> dict[str, Any]:
    """Return a line of the table."""
    if one.failed:
        return {"way": one.way, "failed": one.failed}
    pairs = zip(one.answers, first.answers, strict=True)
    return {
        "way": one.way,
        "seconds": round(one.seconds, 3),
        "answers": len(one.answers),
        "tokens/s": round(one.tokens / one.seconds),
        "ratio": round(one.seconds / first.seconds, 3),
        "answers that differ": sum(found != expected for found, expected in pairs),
    }


def main() -> None:
    """Time each way, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", default="builtin:nano")
    parser.add_argument("--tokenizer", default="", help="of a shape; nano's if none")
    parser.add_argument("--scratch", default="", help="where shapes lie, and stay")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--new", type=int, default=33, help="most new tokens")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true", help="a line each")
    given = parser.parse_args()
    with scratch_folder(given.scratch, given.base) as scratch:
        folder = made(given.base, given.tokenizer, scratch)
        settings = ModelSettings(base=folder, dtype=given.dtype)
        device = pick_device(given.device)
        base = load_base(settings, device=device, cache=scratch / "cache")
    prompts = [render_prompt(one, base) for one in questions(2 * given.prompts)]
    asked = Asked(prompts[: given.prompts], prompts[given.prompts :])
    with adapters.attached(base, "timed", random_adapter(base, given.rank)):
        first: Timed | None = None
        for one in measure(base, asked, given.new, batching=device == "cuda"):
            first = first or one
            row = row_of(one, first)
            line = json.dumps(row) if given.json else _words(row)
            print(line, flush=True)


def _words(row: dict[str, Any]) -> str:
    """Return a line for people."""
    return " | ".join(f"{name}: {value}" for name, value in row.items())


if __name__ == "__main__":
    main()
