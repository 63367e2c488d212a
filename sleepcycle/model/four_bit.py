"""Weights held in 4 bits by bitsandbytes: loaded so, and made ordinary again."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from sleepcycle.errors import ModelError

BLOCK = 64  # values that share a scale
READ_ALONE = {"mamba": "dt_proj"}
"""Layers, by kind, whose weight is read as numbers and not by way of the layer."""


def packing(quantization: str, dtype: torch.dtype, device: str) -> dict[str, Any]:
    """Return what `from_pretrained` is to be told to hold weights as a setting says.

    Every linear layer but the head is rounded to 4 bits, as NF4 with the scales rounded
    too (Dettmers et al., 2023, arXiv:2305.14314), while it is loaded.

    Args:
        quantization: `model.quantization`.
        dtype: What is computed in, and what all other weights are held in.
        device: Where the model goes at once: its whole size is never there.
    """
    if quantization != "nf4":
        return {}
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": config, "device_map": {"": device}}


def settle(model: Any) -> None:  # noqa: ANN401 - any of transformers
    """Let the weights of a model in 4 bits stay as they were loaded.

    On a CPU with bfloat16 the library repacks a layer when it first computes without
    gradients, rounds its scales once more, and fails where a width is no multiple of
    64: what a model learns would hang on what it was asked before.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def expect_packable(model: nn.Module) -> None:
    """Refuse a model that the library gets wrong in 4 bits, without a word of it.

    Raises:
        ModelError: It keeps weights as (in, out), of which square ones are taken for
            their transposes, or in linear layers of its own kind, which are left as
            they are, or reads one as numbers, or a row is not so wide as to be cut into
            whole blocks, which the library then reads shifted on a CPU (0.50.2).
    """
    if any(isinstance(module, Conv1D) for module in model.modules()):
        raise ModelError(
            'weights kept as (in, out), which model.quantization = "nf4" cannot hold; '
            'set it to "none"'
        )
    kind = cast("Any", model).config.model_type
    if kind in READ_ALONE:
        raise ModelError(
            f"a model ({kind}) that reads the weight of {READ_ALONE[kind]} itself, "
            'which model.quantization = "nf4" cannot hold; set it to "none"'
        )
    head = model.get_output_embeddings()  # type: ignore[operator]
    linear = {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    }
    if not any(type(module) is nn.Linear for module in linear.values()):
        kinds = sorted({type(module).__name__ for module in linear.values()})
        raise ModelError(
            f"linear layers of its own kind ({', '.join(kinds)}), none of which "
            'model.quantization = "nf4" would hold in 4 bits; set it to "none"'
        )
    for path, module in linear.items():
        if module.in_features % BLOCK:
            raise ModelError(
                f"{path} of width {module.in_features}, where model.quantization = "
                f'"nf4" wants a multiple of {BLOCK}; set it to "none"'
            )


def dense_weight(module: nn.Module) -> Tensor:
    """Return a layer's weight as an ordinary tensor, also where it is held in 4 bits.

    Returns:
        As the layer keeps it: (out, in), and (in, out) in GPT-2. In 4 bits it is
        unpacked anew at each call, to the type that the layer computes in.
    """
    weight = cast("Tensor", module.weight).detach()
    state = getattr(module.weight, "quant_state", None)
    if state is None:
        return weight
    from bitsandbytes.functional import dequantize_4bit

    unpacked: Tensor = dequantize_4bit(weight, state)
    return unpacked


def make_dense(model: Any) -> None:  # noqa: ANN401 - any of transformers
    """Give a model ordinary layers where it has some in 4 bits, in place.

    It computes the same as before, and can be written and changed as any other.
    """
    packed = [
        (path, module)
        for path, module in model.named_modules()
        if getattr(getattr(module, "weight", None), "quant_state", None) is not None
    ]
    for path, module in packed:
        weight = dense_weight(module)
        plain = nn.Linear(module.in_features, module.out_features, device="meta")
        plain.weight = nn.Parameter(weight, requires_grad=False)
        plain.bias = module.bias
        model.set_submodule(path, plain)
    if packed:
        del model.config.quantization_config
        model.hf_quantizer = None
        model.is_quantized = model.is_loaded_in_4bit = False
