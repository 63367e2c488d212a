"""What transformers makes of a located base: configuration, tokenizer, weights."""

import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from sleepcycle.errors import ModelError
from sleepcycle.model.gguf_file import TOKENS
from sleepcycle.model.gguf_header import read_header

LOCAL = {"local_files_only": True, "trust_remote_code": False}
"""Keeps loading on this machine, and foreign code out."""

UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)
"""What transformers raises at the files of a model that it cannot make."""


def load_config(place: Path) -> Any:  # noqa: ANN401 - any model's configuration
    """Read the configuration of a located base."""
    with _readable(place) as (folder, named):
        return AutoConfig.from_pretrained(folder, **named, **LOCAL)


def load_tokenizer(place: Path) -> Any:  # noqa: ANN401 - any tokenizer
    """Read the tokenizer of a located base, with its chat template."""
    with _readable(place) as (folder, named):
        tokenizer = AutoTokenizer.from_pretrained(folder, **named, **LOCAL)
    if place.is_file():
        _drop_invented(tokenizer, int(read_header(place).values.get(TOKENS, 0)))
    return tokenizer


def _drop_invented(tokenizer: Any, count: int) -> None:  # noqa: ANN401
    """Take back tokens that transformers adds to those that a GGUF file has.

    For every byte-level vocabulary without `<|endoftext|>`, such as that of Llama 3, it
    adds one, which the embedding has no row for.
    """
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    known = [token for token in written["added_tokens"] if token["id"] < count]
    if known == written["added_tokens"]:
        return
    written["added_tokens"] = known
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(written))


def load_weights(place: Path, dtype: torch.dtype, **how: Any) -> Any:  # noqa: ANN401
    """Read a whole model, whose weights then stay as they are.

    RWKV divides some in place, and what it computes later by as much, whenever it no
    longer trains: numbers in float16 would grow too large else. Adapters beside them
    would not be divided, nor can weights in 4 bits.

    Args:
        place: Where it is.
        dtype: What its weights are held in; those of GGUF are unpacked to it.
        how: More of what `from_pretrained` takes.

    Raises:
        ModelError: A weight is missing.
    """
    with _readable(place) as (folder, named), _quiet(bool(named)):
        if named:
            from transformers import GgufConfig

            unpacking = GgufConfig(dequantize=True)  # packed ones cannot learn
            named = {**named, "quantization_config": unpacking}
        model, loading = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **named,
            **how,
            **LOCAL,
        )
    if missing := sorted(loading["missing_keys"]):
        raise ModelError(f"no weights for {', '.join(missing[:3])}")
    if getattr(model.config, "rescale_every", 0):
        model.config.rescale_every = 0
    return model


@contextmanager
def _readable(place: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a folder, and what else `from_pretrained` is to be told to read a base.

    Of GGUF the folder is an empty one: files that lie beside it, of which the hash
    knows nothing, would be read as parts of its tokenizer.
    """
    if not place.is_file():
        yield place, {}
        return
    with tempfile.TemporaryDirectory(prefix="sleepcycle-") as nothing:
        yield Path(nothing), {"gguf_file": str(place.absolute())}


def _quiet(unpacks: bool) -> Any:  # noqa: ANN401 - any context
    """Return what keeps the bar that transformers draws while it unpacks from showing.

    It is the one bar that `disable_progress_bar` does not know.
    """
    return redirect_stderr(io.StringIO()) if unpacks else nullcontext()
