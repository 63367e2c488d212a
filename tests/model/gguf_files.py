"""Writes small GGUF files, as llama.cpp's converter writes large ones."""

import json
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType, quantize

from sleepcycle.files.paths import PACKAGE

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
Q8 = GGMLQuantizationType.Q8_0
CHAT = (PACKAGE / "nano" / "chat_template.jinja").read_text()


def write_llama(file: Path, model: torch.nn.Module, *, packed: bool = True, **said):
    """Write a Llama with the tokenizer of `builtin:nano`; return the file.

    Args:
        file: Where to.
        model: Of transformers.
        packed: Whether matrices are packed as Q8_0, or float32.
        said: More that the header says, by key with `__` for a dot; or another
            `arch`.
    """
    writer = GGUFWriter(file, said.pop("arch", "llama"))
    kind = LlamaFileType.MOSTLY_Q8_0 if packed else LlamaFileType.ALL_F32
    writer.add_file_type(kind)
    _say_shape(writer, model.config)
    _say_tokens(writer)
    for key, value in said.items():
        name = key.replace("__", ".")
        if isinstance(value, int):
            writer.add_uint32(name, value)
        else:
            writer.add_string(name, value)
    for name, weight in model.state_dict().items():
        _add(writer, name, weight, model.config, packed=packed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _say_shape(writer, config) -> None:
    """Say how large the model is."""
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _say_tokens(writer) -> None:
    """Say which tokens there are, with the chat template."""
    model = json.loads((PACKAGE / "nano" / "tokenizer.json").read_text())
    words = sorted(model["model"]["vocab"], key=model["model"]["vocab"].get)
    special = {token["content"] for token in model["added_tokens"]}
    kinds = [TokenType.CONTROL if w in special else TokenType.NORMAL for w in words]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in model["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT)


def _add(writer, name, weight, config, *, packed) -> None:
    """Add one tensor, its queries and keys in llama.cpp's order."""
    if name in NAMES:
        target = NAMES[name]
    else:
        _, _, layer, rest = name.split(".", 3)
        target = f"blk.{layer}.{LAYER_NAMES[rest.removesuffix('.weight')]}.weight"
    if "q_proj" in name:
        weight = _paired(weight, config.num_attention_heads)
    if "k_proj" in name:
        weight = _paired(weight, config.num_key_value_heads)
    values = weight.float().numpy()
    if packed and values.ndim == 2:
        writer.add_tensor(
            target, quantize(np.ascontiguousarray(values), Q8), raw_dtype=Q8
        )
    else:
        writer.add_tensor(target, values)


def _paired(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Return rows of queries or keys as llama.cpp turns them: neighbours in pairs."""
    rows, columns = weight.shape
    return (
        weight.reshape(heads, 2, rows // heads // 2, columns)
        .transpose(1, 2)
        .reshape(rows, columns)
        .contiguous()
    )
