"""Base models: found, loaded, frozen, and known by their bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.utils.transformers_weight_conversion import (
    convert_peft_config_for_transformers,
)
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.models.falcon.modeling_falcon import FalconLinear
from transformers.pytorch_utils import Conv1D
from transformers.utils.logging import disable_progress_bar

from sleepcycle.errors import ConfigError, ExampleError, ModelError
from sleepcycle.model.base_files import (
    check_files,
    expect_bitsandbytes,
    identify,
    locate,
    not_loaded,
)
from sleepcycle.model.chat_template import template_of
from sleepcycle.model.four_bit import expect_packable, packing, settle
from sleepcycle.model.loading import (
    UNREADABLE,
    load_config,
    load_tokenizer,
    load_weights,
)
from sleepcycle.model.memory_need import BATCH_TOKENS
from sleepcycle.model.model_size import ALL_LINEAR
from sleepcycle.model.precision import pick_dtype
from sleepcycle.model.template_limit import expect_end
from sleepcycle.model.unpacked import unpack
from sleepcycle.records.content import Conversation, Message, Role
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import ModelSettings

HELLO = Conversation((Message(Role.USER, "Hello"),))
BARRED = {
    "mamba": {"out_proj", "dt_proj"},
    "falcon_mamba": {"out_proj", "dt_proj"},
    "jamba": {"dt_proj"},
    "mamba2": {"out_proj"},
    "falcon_h1": {"out_proj"},
    "nemotron_h": {"out_proj"},
}
"""Layers, by kind, whose weight alone is read, and no adapter beside it."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The layers of a model that adapters sit on."""

    shapes: Mapping[str, tuple[int, int]]
    """(out, in) of each, by its path."""

    transposed: bool
    """Whether the model keeps weights as (in, out), as GPT-2 does."""

    @property
    def leaves(self) -> list[str]:
        """The last names of their paths, such as `q_proj`, each once."""
        return sorted({path.rpartition(".")[2] for path in self.shapes})


@dataclass(frozen=True, eq=False)
class TextBase:
    """What turns text into tokens: a base without its weights."""

    tokenizer: Any
    max_length: int
    """Longest sequence in tokens."""

    text_overlap: int
    """Tokens that a part of a long text repeats of the part before."""

    chat: bool
    """Whether a prompt is a user turn of the tokenizer's chat template."""


@dataclass(frozen=True, eq=False)
class Base(TextBase):
    """A frozen model with its tokenizer."""

    model: Any
    """The causal language model; PEFT's once an adapter is attached."""

    identity: BaseIdentity
    targets: Targets
    width: int
    """Hidden size."""

    positions: int
    """Tokens that the model has places for, prompt and answer together."""

    batch_tokens: int
    """Most tokens that pass through it at once, unless one sequence has more."""

    checkpointing: str
    """`on`, `off` or `auto`, as in `model.gradient_checkpointing`."""

    compiling: str
    """`on`, `off` or `auto`, as in `model.compile`."""

    device: torch.device
    cache: Path
    """Folder for what was computed from the base and can be computed again."""


def load_base(settings: ModelSettings, *, device: str, cache: Path) -> Base:
    """Load a model and its tokenizer from this machine, and freeze it.

    Args:
        settings: Which model, and how.
        device: What `pick_device` returned.
        cache: Folder where the hash of its files is remembered, and what is computed
            from it.

    Raises:
        ModelError: It is not here, or not a causal language model, or
            its chat template never ends.
        ConfigError: A target module does not exist in it, or it cannot compute layers
            twice, as is set.
    """
    expect_bitsandbytes(settings)
    check_files(settings)
    place = locate(settings)
    disable_progress_bar()
    try:
        dtype = pick_dtype(settings.dtype, str(device), place)
    except ModelError as error:
        raise not_loaded(settings.base, str(error)) from error
    how = packing(settings.quantization, dtype, device)
    try:
        identity = identify(settings, cache)
        place = unpack(place, identity.sha256, dtype, cache, wanted=bool(how))
        if how:
            _without_weights(place, settings.quantization)  # or raises
        model = load_weights(place, dtype, **how)
        tokenizer = load_tokenizer(place)
    except (*UNREADABLE, ModelError) as error:
        raise not_loaded(settings.base, str(error)) from error
    expect_checkpointing(model, settings)
    if settings.chat_template:
        use_template(tokenizer, settings.chat_template)
    elif settings.chat == "auto":
        expect_end(tokenizer, settings.base)
    if how:
        settle(model)
    model.requires_grad_(False)
    model.eval()
    positions = _positions(model.config)
    return Base(
        model=model.to(device),
        tokenizer=tokenizer,
        identity=identity,
        targets=find_targets(model, settings.target_modules),
        width=model.config.get_text_config().hidden_size,
        max_length=min(settings.max_length, positions),
        positions=positions,
        batch_tokens=settings.batch_tokens or BATCH_TOKENS["cuda" in str(device)],
        checkpointing=settings.gradient_checkpointing,
        compiling=settings.compile,
        text_overlap=settings.text_overlap,
        chat=settings.chat == "auto" and bool(tokenizer.chat_template),
        device=torch.device(device),
        cache=cache,
    )


def load_text_base(settings: ModelSettings) -> TextBase:
    """Load a base's tokenizer, and what bounds its sequences, but no weights.

    Raises:
        ModelError: It is not here, or its tokenizer or configuration cannot be read.
        ConfigError: `model.chat_template` is none.
    """
    place = locate(settings)
    try:
        config = load_config(place)
        tokenizer = load_tokenizer(place)
    except UNREADABLE as error:
        raise not_loaded(settings.base, str(error)) from error
    if settings.chat_template:
        use_template(tokenizer, settings.chat_template)
    return TextBase(
        tokenizer=tokenizer,
        max_length=min(settings.max_length, _positions(config)),
        text_overlap=settings.text_overlap,
        chat=settings.chat == "auto" and bool(tokenizer.chat_template),
    )


def use_template(tokenizer: Any, name: str) -> None:  # noqa: ANN401
    """Let a Jinja file take the place of a tokenizer's chat template.

    Raises:
        ConfigError: The file cannot be read, or renders no user's turn.
    """
    try:
        tokenizer.chat_template = Path(name).expanduser().read_text(encoding="utf-8")
        expect_end(tokenizer, name)
        template_of(tokenizer).prompt(HELLO)
    except (OSError, UnicodeDecodeError, ExampleError) as error:
        raise ConfigError(
            f"expected a chat template in Jinja in model.chat_template, got {name}: "
            f"{error}"
        ) from error


def skeleton(settings: ModelSettings) -> Targets:
    """Return the layers that adapters sit on, from a model's configuration alone.

    Raises:
        ModelError: The configuration is not here, or of no causal language model.
    """
    return find_targets(hollow(settings), settings.target_modules)


def hollow(settings: ModelSettings) -> nn.Module:
    """Return a model without weights, made from its configuration alone.

    Raises:
        ModelError: The configuration is not here, or of no causal language model.
    """
    try:
        return _without_weights(locate(settings), settings.quantization)
    except (*UNREADABLE, ModelError) as error:
        raise not_loaded(settings.base, str(error)) from error


def _without_weights(place: Path, quantization: str) -> nn.Module:
    """Return a located model without weights; refuse one that cannot be held so."""
    config = load_config(place)
    _expect_decoder(config)
    with torch.device("meta"):
        model: nn.Module = AutoModelForCausalLM.from_config(config)
    if quantization != "none":
        expect_packable(model)
    return model


def _expect_decoder(config: Any) -> None:  # noqa: ANN401 - any model's configuration
    """Refuse what does more than go on from a text, though a part of it would.

    Raises:
        ModelError: It is an encoder with a decoder, or sees or hears.
    """
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"an encoder with a decoder ({kind}), which answers a text and does not go "
            "on from it"
        )
    senses = {"vision_config": "sees pictures", "audio_config": "hears"}
    for name, does in senses.items():
        if getattr(config, name, None) is not None:
            raise ModelError(
                f"a model that also {does} ({kind}), where one of text alone is wanted"
            )


def expect_checkpointing(model: Any, settings: ModelSettings) -> None:  # noqa: ANN401
    """Refuse a model that cannot compute layers twice where that is set.

    Raises:
        ConfigError: It cannot.
    """
    if settings.gradient_checkpointing == "on" and not (
        model.supports_gradient_checkpointing
    ):
        raise ConfigError(
            'expected model.gradient_checkpointing to be "auto" or "off" for '
            f'{settings.base}, got "on", and models of its kind '
            f"({model.config.model_type}) cannot compute layers twice; set it to "
            '"auto"'
        )


def use_threads(count: int) -> None:
    """Let this process compute with so many threads; 0 leaves the choice to torch."""
    if count:
        torch.set_num_threads(count)


def pick_device(name: str) -> str:
    """Return the device that a setting means; `auto` takes the best there is.

    Raises:
        ConfigError: It is not on this machine.
    """
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            f"expected engine.device to be on this machine, got {name!r} and there is "
            'no CUDA device; use "auto" or "cpu"'
        )
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def find_targets(model: nn.Module, names: list[str]) -> Targets:
    """Find the layers that adapters sit on.

    Where PEFT takes a layer's name for that of experts, as it does of those beside
    them, no adapter sits on it: PEFT would put it elsewhere. Nor where it refuses one.

    Args:
        model: A causal language model.
        names: Leaf names, or `["all-linear"]` for every linear layer but the head.

    Raises:
        ConfigError: A name is of no linear layer of the model.
    """
    head = model.get_output_embeddings()  # type: ignore[operator]
    layers = {
        path: shape
        for path, module in model.named_modules()
        if module is not head and (shape := _linear_shape(module))
    }
    kept = LoraConfig(target_modules=set(layers))
    convert_peft_config_for_transformers(kept, model, None)
    config: Any = model.config
    barred = BARRED.get(config.model_type, set())
    layers = {
        path: shape
        for path, shape in layers.items()
        if path in (kept.target_modules or ()) and path.rpartition(".")[2] not in barred
    }
    found = Targets(layers, any(isinstance(m, Conv1D) for m in model.modules()))
    if names == ALL_LINEAR:
        return found
    if unknown := set(names) - set(found.leaves):
        raise ConfigError(
            f"model.target_modules: expected some of {', '.join(found.leaves)}, "
            f"got {', '.join(sorted(unknown))}"
        )
    chosen = {p: s for p, s in layers.items() if p.rpartition(".")[2] in names}
    return Targets(chosen, found.transposed)


def _linear_shape(module: nn.Module) -> tuple[int, int] | None:
    """Return (out, in) of a linear layer, None for any other.

    A model's own kind of one computes something else: routers return several tensors,
    and others read their input in groups. Falcon's does not.
    """
    own = type(module).__module__.startswith("transformers.models.")
    if isinstance(module, nn.Linear) and (not own or type(module) is FalconLinear):
        return module.out_features, module.in_features
    if isinstance(module, Conv1D):  # GPT-2 keeps its weights transposed
        return module.weight.shape[1], module.weight.shape[0]
    return None


def _positions(config: Any) -> int:  # noqa: ANN401 - any model's configuration
    """Return how many positions a model knows; more than any where it has no bound."""
    known = getattr(config.get_text_config(), "max_position_embeddings", None)
    return known if known and known > 0 else 2**31
