"""Checkpoints of training: all it takes to go on at a step as if it never stopped.

Tensors lie in safetensors and the rest in JSON, below a manifest; nothing is pickled.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import AdamW

from sleepcycle.errors import DiskError
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.runfolder import STATE, RunFolder
from sleepcycle.files.sealed import seal
from sleepcycle.model.student import Student
from sleepcycle.records.codec import from_json, to_json

TENSORS = "state.safetensors"
STAGE = "stage"  # of a checkpoint that is not whole yet
EARLIER = {
    "weight": "weights",
    "best": "best",
    "exp_avg": "exp_avg",
    "exp_avg_sq": "exp_avg_sq",
}
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # as AdamW calls them


@dataclass(frozen=True)
class Seen:
    """What a run has seen up to a step, as `state.json` holds it."""

    step: int
    """Steps that are done."""

    steps: int
    """Steps that were planned."""

    finished: bool
    """Whether training is over, at the last step or early."""

    plan: Mapping[str, object]
    """The `FitPlan`; a checkpoint of another one is of no use."""

    losses: tuple[float, ...]
    tokens: tuple[int, ...]
    looks: tuple[tuple[int, float], ...]
    """Step and held-out loss of each look."""

    best: tuple[float, int] | None
    """Held-out loss and step of the weights that are kept so far."""

    seconds: float
    """Of training alone, the parts before earlier checkpoints included."""

    micro_batches: int
    confidence: tuple[tuple[int, float], ...] = ()
    """Step, and least probability of a token to be learned, of each look at it."""


@dataclass(frozen=True, eq=False)
class State:
    """One moment of training."""

    seen: Seen
    tensors: Mapping[str, Tensor]
    """Weights, moments, best weights and states of random generators, on the CPU."""


class Checkpoints(Protocol):
    """Where training keeps its state, so that it can be broken off and go on."""

    def load(self) -> State | None:
        """Return where to go on; None to begin anew."""

    def due(self, step: int) -> bool:
        """Return whether the state after this step shall be kept."""

    def save(self, state: State) -> None:
        """Keep a state; raise `Paused` where training shall end here for now."""


class FolderCheckpoints:
    """Keeps the newest state of a run in its folder."""

    def __init__(self, run: RunFolder, every: int) -> None:
        self._run = run
        self._every = every

    def load(self) -> State | None:
        """Return the newest state that is whole; a damaged one is never read."""
        folder = self._run.checkpoint()
        if folder is None:
            return None
        seen = from_json((folder / STATE).read_text(encoding="utf-8"), Seen)
        return State(seen, _joined(load_file(folder / TENSORS)))

    def due(self, step: int) -> bool:
        """Return whether a step is one of those after which the state is kept."""
        return step % self._every == 0

    def save(self, state: State) -> None:
        """Keep a state; the one before stays until this one is whole.

        Raises:
            DiskError: The disk could not keep it.
        """
        place = self._run.checkpoints
        stage = place / STAGE
        disk.remove(stage)
        disk.make(stage)
        _write(stage / TENSORS, state.tensors)
        disk.write(stage / STATE, to_json(state.seen))
        failpoint("checkpoint.written")
        whole = seal(stage, place, f"{state.seen.step:06d}")
        failpoint("checkpoint.renamed")
        disk.remove(*(other for other in place.iterdir() if other != whole))


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors; raise a `DiskError` with the system's number where that fails."""
    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:
        failed = DiskError(f"expected to write {path}, got: {error}; free some space")
        number = re.search(r"os error (\d+)", str(error))
        failed.errno = int(number[1]) if number else None
        raise failed from error


def _joined(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state's tensors, with those of earlier releases as they are now.

    Until 0.2 each factor had its own, by number: `weight.0`, `exp_avg.0`, `best.0`.
    """
    if "weight.0" not in tensors:
        return dict(tensors)
    count = sum(name.startswith("weight.") for name in tensors)
    joined = {name: one for name, one in tensors.items() if name.startswith("random.")}
    for old, new in EARLIER.items():
        if f"{old}.0" in tensors:
            parts = [tensors[f"{old}.{i}"].flatten() for i in range(count)]
            joined[new] = torch.cat(parts)
    if "step.0" in tensors:
        joined["step"] = tensors["step.0"]
    return joined


def gather(
    student: Student, optimizer: AdamW, best: Tensor | None
) -> dict[str, Tensor]:
    """Copy all tensors that make up the state of training.

    Args:
        student: What is trained.
        optimizer: What trains it.
        best: The weights that are kept so far; None where there are none.
    """
    found = {"weights": student.weights, **optimizer.state.get(student.weights, {})}
    if best is not None:
        found["best"] = best
    found |= {f"random.{kind}": state for kind, state in _random(student.device)}
    return {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in found.items()
    }


def put_back(
    student: Student, optimizer: AdamW, tensors: Mapping[str, Tensor]
) -> Tensor | None:
    """Put weights, optimizer and random generators back to those of a state.

    Returns:
        The best weights of the state, where it has any.
    """
    student.put_back(tensors["weights"])
    if "step" in tensors:
        optimizer.state[student.weights] = {
            name: tensors[name].to(student.device, copy=True) for name in MOMENTS
        }
    torch.set_rng_state(tensors["random.cpu"])
    kind = student.device.type
    if f"random.{kind}" in tensors and kind != "cpu":
        torch.get_device_module(kind).set_rng_state(tensors[f"random.{kind}"])
    best = tensors.get("best")
    return None if best is None else best.to(student.device)


def _random(device: torch.device) -> list[tuple[str, Tensor]]:
    """Return the states of the random generators that training draws from."""
    states = [("cpu", torch.get_rng_state())]
    if device.type != "cpu":
        module = torch.get_device_module(device.type)
        states.append((device.type, module.get_rng_state()))
    return states
