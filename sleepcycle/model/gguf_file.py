"""A base that is one GGUF file, as Ollama, LM Studio and llama.cpp keep models."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sleepcycle.errors import ModelError
from sleepcycle.files.sealed import sha256
from sleepcycle.model.gguf_header import GgufHeader, elements, read_header

CONFIG_KEYS = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "intermediate_size": "feed_forward_length",
    "moe_intermediate_size": "expert_feed_forward_length",
    "max_position_embeddings": "context_length",
    "vocab_size": "vocab_size",
    "num_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "attn_logit_softcapping": "attn_logit_softcapping",
}
"""What a `config.json` calls what a GGUF says of its model."""

TOKENS = "tokenizer.ggml.tokens"


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A model in one GGUF file: configuration, tokenizer, template and weights."""

    path: Path

    def hashed(self) -> list[Path]:
        """Return the files that decide what a text becomes."""
        return [self.path]

    def digest(self) -> str:
        """Return the SHA-256 of the file, which also names a blob of Ollama."""
        return sha256(self.path)

    def quantization(self) -> str:
        """Return how most weights are packed, such as `Q4_K_M`.

        Raises:
            ModelError: The header cannot be read, or the package `gguf` is not here.
        """
        header = self._header()
        from gguf import GGMLQuantizationType, LlamaFileType

        named = header.values.get("general.file_type")
        try:
            name = str(LlamaFileType(int(named if named is not None else -1)).name)
        except ValueError:  # not said, or newer than the package
            kinds = Counter(one.kind for one in header.tensors.values())
            return str(GGMLQuantizationType(kinds.most_common(1)[0][0]).name)
        return name.removeprefix("MOSTLY_").removeprefix("ALL_")

    def template_marks(self) -> Iterator[bytes]:
        """Yield what changes when another chat template may stand in the file."""
        stat = self.path.stat()
        yield f"{self.path} {stat.st_size} {stat.st_mtime_ns}".encode()

    def check(self) -> None:
        """Refuse a file that is cut short, or holds no model that can be loaded.

        No weight is read, but the header is.

        Raises:
            ModelError: As said.
        """
        header = self._header()
        _expect_model(header)
        if TOKENS not in header.values:
            raise ModelError(f"no tokenizer in {self.path}")
        self._expect_whole(header)

    def shapes(self) -> dict[str, list[int]]:
        """Return the shape of each weight by its name, from the header.

        Raises:
            ModelError: The file is cut short, or not what it should be.
        """
        header = self._header()
        self._expect_whole(header)
        return {name: one.shape for name, one in header.tensors.items()}

    def config(self) -> dict[str, Any]:
        """Return what the header says, under the names of `config.json`."""
        header = self._header()
        found = {name: header.of_model(key) for name, key in CONFIG_KEYS.items()}
        found["vocab_size"] = found["vocab_size"] or header.values.get(TOKENS)
        found["model_type"] = header.architecture.replace("-", "_")
        return {name: value for name, value in found.items() if value}

    def _expect_whole(self, header: GgufHeader) -> None:
        """Refuse a file that ends before its last weight does."""
        wanted = header.data_start + max(_ends(header), default=0)
        size = self.path.stat().st_size
        if size < wanted:
            raise ModelError(
                f"{size:,} bytes of {self.path}, whose header speaks of {wanted:,}; "
                "it was cut short"
            )

    def _header(self) -> GgufHeader:
        """Read the header, where the package is here that loads what comes after it."""
        if find_spec("gguf") is None:
            raise ModelError(
                "a GGUF file, and the package that reads it is not here: pip install "
                "'sleepcycle[gguf]'"
            )
        return read_header(self.path)


def _expect_model(header: GgufHeader) -> None:
    """Refuse what is no whole model: an adapter, a projector, one part of several."""
    kind = header.values.get("general.type", "model")
    if kind == "adapter":
        raise ModelError("an adapter in GGUF, where the base that it is for is wanted")
    if is_projector(header):
        raise ModelError(
            "the part of a model that reads pictures, without the one that reads text"
        )
    parts = header.values.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise ModelError(
            f"one of {parts} parts of a model; join them with: llama-gguf-split "
            "--merge FIRST_PART WHOLE.gguf"
        )
    if not header.tensors:
        raise ModelError("a GGUF file without weights")


def is_projector(header: GgufHeader) -> bool:
    """Return whether a file only holds what turns pictures into tokens."""
    named = header.values.get("general.type")
    return named == "mmproj" or header.architecture == "clip"


def _ends(header: GgufHeader) -> Iterator[int]:
    """Yield where each tensor ends, in bytes from where the data begins."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    for name, tensor in header.tensors.items():
        try:
            block, size_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.kind)]
        except (ValueError, KeyError) as error:
            raise ModelError(
                f"{name} packed in a way that the package gguf does not know "
                f"({tensor.kind})"
            ) from error
        yield tensor.offset + elements(tensor) // block * size_bytes
