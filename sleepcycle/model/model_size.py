"""How large a model is: what its weights' shapes and its configuration say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from sleepcycle.model.base_files import base_config, locate, weight_shapes
from sleepcycle.settings.config import ModelSettings

ALL_LINEAR = ["all-linear"]
UNTRAINED = ("embed", "embd", "lm_head", "wte", "wpe", "experts.", "exps", "router")
"""Parts of the names of matrices that carry no adapter."""

LARGE = 50_000_000  # parameters from which a CPU's bfloat16 pays; a guess
HEAD = "output.weight"  # as GGUF calls it

SCORED = ("gpt_oss", "bloom")
"""Kinds whose attention writes down every score, as no kernel knows what they add."""

TANH_BY_HAND = ("gelu_new", "gelu_fast")
"""Activations that are put together of small steps, each of which is kept."""


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What is known of a model without its weights."""

    parameters: int
    matrices: int
    """Weights of the matrices that carry an adapter."""

    edges: int
    """Sum of (rows + columns) over them."""

    adapted: int
    """How many of them a layer has, on average, rounded up."""

    layers: int
    width: int
    inner: int
    """Width of the feed-forward part; of a mixture that of the experts that a token
    goes through, together."""

    inner_copies: int
    """How many tensors of that width a layer keeps for its backward pass."""

    queries: int
    """Heads times their size."""

    keys: int
    """The same of keys, of which values have as many."""

    norms: int
    """Widths that a layer's norms keep in float32, one a norm, added up."""

    heads: int
    vocabulary: int
    positions: int | None
    """Longest input in tokens; None where the model does not say."""

    scored: bool
    """Whether attention keeps its scores, which grow with the square of the length."""


def read_size(settings: ModelSettings) -> ModelSize:
    """Read how large a base is, from its configuration and its weights' headers.

    No weight is read, but a file that was cut short is found.

    Raises:
        ModelError: A file is missing, cut short or not what it should be.
    """
    place = locate(settings)
    return size_of(weight_shapes(place), base_config(place), settings.target_modules)


def size_of(
    shapes: Mapping[str, Sequence[int]],
    config: Mapping[str, Any],
    target_modules: Sequence[str] = ALL_LINEAR,
) -> ModelSize:
    """Return how large a model is.

    Args:
        shapes: Of its weights, by their names.
        config: Its configuration, as in `config.json`.
        target_modules: As in `model.target_modules`.
    """
    config = config.get("text_config") or config
    width = _first(config, "hidden_size", "n_embd", "d_model") or 0
    layers = _first(config, "num_hidden_layers", "n_layer", "num_layers") or 0
    heads = _first(config, "num_attention_heads", "n_head") or 0  # none: it has states
    head = _first(config, "head_dim") or width // max(1, heads)
    adapted = [
        shape for name, shape in shapes.items() if _adapted(name, shape, target_modules)
    ]
    gated = any("gate" in name and "router" not in name for name in shapes)
    return ModelSize(
        parameters=sum(map(prod, shapes.values())),
        matrices=sum(map(prod, adapted)),
        edges=sum(map(sum, adapted)),
        adapted=-(-len(adapted) // max(1, layers)),
        layers=layers,
        width=width,
        inner=_inner(config, width),
        inner_copies=_inner_copies(config, gated=gated),
        queries=heads * head,
        keys=_key_heads(config, heads) * head,
        norms=_norms(shapes, layers, heads, width),
        heads=heads,
        vocabulary=_first(config, "vocab_size") or 0,
        positions=_first(config, "max_position_embeddings", "n_positions"),
        scored=config.get("model_type") in SCORED
        or bool(config.get("attn_logit_softcapping")),
    )


def _adapted(name: str, shape: Sequence[int], target_modules: Sequence[str]) -> bool:
    """Return whether a weight is a matrix that carries an adapter."""
    other = name == HEAD or any(part in name for part in UNTRAINED)
    if len(shape) != 2 or other:
        return False
    leaf = name.removesuffix(".weight").rpartition(".")[2]
    return list(target_modules) == ALL_LINEAR or leaf in target_modules


def _inner(config: Mapping[str, Any], width: int) -> int:
    """Return the width of the feed-forward part that one token goes through."""
    experts = _first(config, "num_experts_per_tok", "experts_per_token")
    if experts:
        each = _first(config, "moe_intermediate_size", "intermediate_size") or 0
        return experts * each
    names = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")
    return _first(config, *names) or 4 * width


def _inner_copies(config: Mapping[str, Any], *, gated: bool) -> int:
    """Return how many tensors of the feed-forward part's width are kept.

    Gated: the gate, its activation, what it is multiplied with, and the product, which
    the last matrix reads. Else what goes into the activation and what comes out, and
    each step between them where it is put together by hand.
    """
    if gated:
        return 4
    act = config.get("activation_function") or config.get("hidden_act")
    by_hand = act in TANH_BY_HAND or config.get("model_type") == "bloom"
    return 5 if by_hand else 2


def _key_heads(config: Mapping[str, Any], heads: int) -> int:
    """Return how many heads keys have."""
    if config.get("multi_query") and not config.get("new_decoder_architecture"):
        return 1
    return _first(config, "num_key_value_heads", "num_kv_heads") or heads


def _norms(
    shapes: Mapping[str, Sequence[int]], layers: int, heads: int, width: int
) -> int:
    """Return the widths of a layer's norms together; one of heads counts for each."""
    gains = [
        shape[0]
        for name, shape in shapes.items()
        if len(shape) == 1 and name.endswith("weight") and shape[0] > 1
    ]
    whole = sum(gain for gain in gains if gain >= width)
    by_head = sum(gain * heads for gain in gains if gain < width)
    return (whole + by_head) // max(1, layers)


def _first(config: Mapping[str, Any], *names: str) -> int | None:
    """Return the first of these numbers that is there."""
    found = (config.get(name) for name in names)
    return next((number for number in found if isinstance(number, int)), None)
