"""What can be done with a version's weights: compare, merge, take in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sleepcycle.home.ollama_bundle import write_bundle
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, skeleton
from sleepcycle.model.base_files import identify, locate
from sleepcycle.model.foreign import expect_own_base, merge_into, read_foreign
from sleepcycle.model.gguf_adapter import write_gguf_adapter
from sleepcycle.model.portable import load_sealed, write_portable
from sleepcycle.model.score import compare as compare_losses
from sleepcycle.model.score import encode_held_out
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.numerics.subspace import Difference, compare
from sleepcycle.records.example import Example
from sleepcycle.records.verdict import Loss
from sleepcycle.records.version import BaseIdentity, MadeFor
from sleepcycle.settings.config import ModelSettings


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two versions differ."""

    layers: dict[str, Difference]
    held_out: Loss | None
    """Loss on held-out examples: `live` of the first, `candidate` of the second."""


def compare_versions(
    base: Base, folders: tuple[Path | None, Path | None], examples: Sequence[Example]
) -> Comparison:
    """Compare the changes of two versions, never their A and B.

    Args:
        base: The bare base.
        folders: The two sealed folders; None for the bare base.
        examples: Held-out examples to score both on.
    """
    first, second = (load_sealed(folder) for folder in folders)
    live = {"first": first} if first else {}
    candidate = {"second": second} if second else {}
    with adapters.on_base(base, live | candidate):
        layers = {
            path: compare(
                first.get(path) or LowRank.zero(shape),
                second.get(path) or LowRank.zero(shape),
            )
            for path, shape in base.targets.shapes.items()
        }
        encoded = encode_held_out(base, examples)
        held_out = compare_losses(base, encoded, list(live), list(candidate))
    return Comparison(layers, held_out)


def export_merged(base: Base, folder: Path | None, target: Path) -> None:
    """Write the whole model with a version's change added to the base's weights."""
    merge_into(base, load_sealed(folder), target)


def export_gguf(settings: ModelSettings, folder: Path, file: Path) -> None:
    """Write a version's adapter as llama.cpp reads it, without the base's weights."""
    write_gguf_adapter(load_sealed(folder), locate(settings), file)


def export_ollama(settings: ModelSettings, folder: Path, target: Path) -> None:
    """Write what `ollama create` makes a model of a version of."""
    write_bundle(settings, load_sealed(folder), target)


def convert_adapter(
    settings: ModelSettings,
    cache: Path,
    expected: BaseIdentity,
    source: Path,
    stage: Path,
    *,
    force: bool = False,
) -> tuple[BaseIdentity, int, MadeFor]:
    """Read a PEFT LoRA made elsewhere, and write it in our portable form.

    The base's weights are not loaded: its configuration says what must fit.

    Args:
        settings: Which model the adapter is for.
        cache: Where the hash of its files is remembered.
        expected: The model that the home's versions belong to.
        source: The adapter.
        stage: Where the portable form goes.
        force: Take it also if it was made for another base, and fits by its shapes.

    Returns:
        The base that the adapter was checked against, the portable rank, and the base
        that it was made for.

    Raises:
        AdapterError: It is not a plain LoRA in safetensors, its values are not
            finite, it does not fit the base, or it was made for another one.
        ModelError: The base is not the expected one.
    """
    changes = read_foreign(source)
    base = identify(settings, cache)
    base.expect(expected)
    targets = skeleton(settings)
    adapters.check_fits(changes, targets)
    made_for = expect_own_base(source, base, force=force)
    return base, write_portable(stage, changes, base, targets), made_for
