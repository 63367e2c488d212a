"""A version's change as a LoRA in GGUF, which llama.cpp and what is built on it read.

It is what llama.cpp's own converter makes of the portable form, tensor for tensor.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sleepcycle.errors import AdapterError
from sleepcycle.model.base_files import base_config
from sleepcycle.numerics.lowrank import LayerChanges, LowRank

ARCHITECTURES = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3": "gemma3",
    "gemma3_text": "gemma3",
}
"""By `model_type`, what llama.cpp calls the kinds whose adapters are written."""

PERMUTED = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
"""Layers of Llama whose rows llama.cpp keeps in another order, and their heads."""


def write_gguf_adapter(changes: LayerChanges, place: Path, file: Path) -> None:
    """Write changes as one GGUF file.

    Args:
        changes: As they are sealed: of one rank and scale 1, for every target.
        place: The base that they belong to, of which the configuration is read.
        file: Where to.

    Raises:
        AdapterError: The base is of a kind that is not written, an adapted layer has
            no name in GGUF, or the package `gguf` is not here.
    """
    config = base_config(place)
    architecture = expect_architecture(config)
    factors = named_factors(changes, config)
    from gguf import GGUFType, GGUFWriter, Keys

    writer = GGUFWriter(file, architecture)
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    # llama.cpp multiplies by alpha / rank, and what is sealed has its scale in it
    [rank] = {change.rank for change in changes.values()}
    writer.add_float32(Keys.Adapter.LORA_ALPHA, float(rank))
    for name, change in factors.items():
        writer.add_tensor(f"{name}.weight.lora_a", change.down.numpy())
        writer.add_tensor(f"{name}.weight.lora_b", change.up.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def expect_architecture(config: dict[str, Any]) -> str:
    """Return what llama.cpp calls a base's kind, where its adapters are written.

    Raises:
        AdapterError: They are not, or the package `gguf` is not here.
    """
    kind = str(config.get("model_type", ""))
    if kind not in ARCHITECTURES:
        known = ", ".join(sorted(set(ARCHITECTURES.values())))
        raise AdapterError(
            f"expected a base of the kind {known} for a LoRA in GGUF, got {kind or '?'}"
            "; export the whole model: --format merged, and convert it with llama.cpp"
        )
    if find_spec("gguf") is None:
        raise AdapterError(
            "expected the package gguf, which writes a LoRA in GGUF, found none; "
            "install it: pip install 'sleepcycle[gguf]'"
        )
    return ARCHITECTURES[kind]


def named_factors(changes: LayerChanges, config: dict[str, Any]) -> dict[str, LowRank]:
    """Return changes by the names of their layers in GGUF, with rows in its order.

    Args:
        changes: By the layer's path in transformers.
        config: What the base says of itself; its kind is one that is written.

    Raises:
        AdapterError: A layer has no name there.
    """
    from gguf import MODEL_ARCH, get_tensor_name_map

    architecture = ARCHITECTURES[config["model_type"]]
    names = get_tensor_name_map(
        MODEL_ARCH[architecture.upper()], int(config["num_hidden_layers"])
    )
    found = {}
    for path, change in changes.items():
        name = names.get_name(path.replace("language_model.", ""))
        if name is None:
            raise AdapterError(
                f"expected layers that llama.cpp can adapt in {architecture}, got "
                f"{path}; export the whole model: --format merged"
            )
        up = _ordered(change, path, config) if architecture == "llama" else change.up
        found[name] = LowRank(up.contiguous(), change.down)
    return found


def _ordered(change: LowRank, path: str, config: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return a factor's rows in the order in which llama.cpp keeps Llama's.

    Transformers turns the first half of a head's rows against the second, llama.cpp
    neighbours against each other.
    """
    said = PERMUTED.get(path.rpartition(".")[2])
    if said is None:
        return change.up
    heads = int(config.get(said) or config["num_attention_heads"])
    rows, rank = change.up.shape
    halves = change.up.reshape(heads, 2, rows // heads // 2, rank)
    return halves.swapaxes(1, 2).reshape(rows, rank)
