"""Checks that a base can learn, made before it gets a home."""

from typing import Any

import torch
from torch import nn
from transformers.quantizers import AutoHfQuantizer

from sleepcycle.errors import ModelError
from sleepcycle.model.base import expect_checkpointing, find_targets, hollow
from sleepcycle.model.base_files import locate, not_loaded
from sleepcycle.model.loading import UNREADABLE, load_tokenizer
from sleepcycle.model.small_model import small_model
from sleepcycle.model.template_limit import expect_end
from sleepcycle.settings.config import ModelSettings

TOKENS = 8  # of the text of which the last one is changed
TINY = 1e-30  # below any logit but zero
TOLERANCE = 2e-5  # of the largest logit; sums in another order differ by 1e-6 of it


def check_loadable(settings: ModelSettings) -> str | None:
    """Refuse a base of which no model that learns can be made, or no tokenizer.

    Its weights are not looked at; `base_files.check_files` does that.

    Returns:
        What is to be known of the layers that adapters sit on, if anything.

    Raises:
        ModelError: Its files make no causal language model or no tokenizer, these do
            not fit together, its chat template never ends, or it is quantised by a
            library that is not here.
        ConfigError: A target module does not exist in it, or it cannot compute layers
            twice, as is set.
    """
    model = hollow(settings)
    expect_checkpointing(model, settings)
    targets = find_targets(model, settings.target_modules)
    try:
        _expect_library(model.config)
        _expect_unpacked(model.config, settings)
        tokenizer = _tokenizer(settings)
        _expect_narrow(tokenizer, model)
        _expect_causal(model.config)
    except UNREADABLE as error:
        raise not_loaded(settings.base, str(error)) from error
    if settings.chat == "auto" and not settings.chat_template:
        expect_end(tokenizer, settings.base)
    return _unreached(model, targets.leaves, settings.quantization)


def unreached(settings: ModelSettings) -> str | None:
    """Return which experts of a mixture adapters do not reach; None without any.

    Raises:
        ModelError: The configuration is not here, or of no causal language model.
        ConfigError: A target module does not exist in it.
    """
    model = hollow(settings)
    leaves = find_targets(model, settings.target_modules).leaves
    return _unreached(model, leaves, settings.quantization)


def _unreached(model: nn.Module, leaves: list[str], quantization: str) -> str | None:
    """Return which experts adapters do not reach that sit on layers of these names.

    Transformers packs experts into tensors of three dimensions, no linear layers.
    """
    packed = {
        f"{path.rpartition('.')[2]}.{name}"
        for path, module in model.named_modules()
        for name, weight in module.named_parameters(recurse=False)
        if "expert" in path and weight.ndim > 1 and not isinstance(module, nn.Linear)
    }
    if not packed:
        return None
    return (
        f"adapters sit on {', '.join(leaves)} only: the experts are packed tensors "
        f"({', '.join(sorted(packed))}), which they do not reach"
        + ", and which are not held in 4 bits"
        * (quantization != "none")
    )


def _tokenizer(settings: ModelSettings) -> Any:  # noqa: ANN401 - any tokenizer
    """Load the tokenizer of a base."""
    try:
        return load_tokenizer(locate(settings))
    except UNREADABLE as error:
        raise ModelError(f"a tokenizer that cannot be read: {error}") from error


def _expect_library(config: Any) -> None:  # noqa: ANN401 - any model's configuration
    """Refuse a quantised model whose library is not here."""
    found = getattr(config, "quantization_config", None) or getattr(
        config.get_text_config(), "quantization_config", None
    )
    if found is None:
        return
    try:
        quantizer = AutoHfQuantizer.from_config(found, pre_quantized=True)
        quantizer.validate_environment(device_map=None, weights_only=True)
    except UNREADABLE as error:
        method = found.get("quant_method") if isinstance(found, dict) else found
        raise ModelError(
            f"weights quantised as {method!r}, which cannot be read here: {error}"
        ) from error


def _expect_unpacked(config: Any, settings: ModelSettings) -> None:  # noqa: ANN401
    """Refuse to hold in 4 bits what is quantised already."""
    found = getattr(config, "quantization_config", None)
    if settings.quantization == "nf4" and found is not None:
        method = found.get("quant_method") if isinstance(found, dict) else found
        raise ModelError(
            f"weights quantised as {method!r} already, which model.quantization = "
            f'"{settings.quantization}" would be quantised twice by; set it to "none"'
        )


def _expect_narrow(tokenizer: Any, model: nn.Module) -> None:  # noqa: ANN401
    """Refuse a tokenizer that writes tokens which the model has no row for."""
    rows = model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
    token, highest = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if highest >= rows:
        raise ModelError(
            f"a tokenizer whose token {token!r} has the id {highest}, where the "
            f"model's embedding has {rows} rows"
        )


def _expect_causal(config: Any) -> None:  # noqa: ANN401 - any model's configuration
    """Refuse a model in which a token changes what is said before it.

    The weights do not decide that, so a small model of random ones is asked; where the
    configuration makes no small one, one of its own size.
    """
    if not _change_before_last(config) <= TOLERANCE:
        raise ModelError(
            "a model that looks ahead: its last token changes what it says of those "
            "before it, so it cannot learn to go on from a text"
        )


@torch.no_grad()
def _change_before_last(config: Any) -> float:  # noqa: ANN401
    """Return what another last token changes before it, of the largest logit."""
    model = small_model(config)
    ids = torch.arange(1, TOKENS + 1).repeat(2, 1)  # (2, TOKENS); 0 may be padding
    ids[1, -1] += 1
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    largest = logits.abs().max().clamp(min=TINY)  # a head may begin as zero
    return float((logits[0] - logits[1]).abs().max() / largest)
