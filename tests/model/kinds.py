"""Tiny random models of the kinds that people bring."""

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
)

VOCABULARY = 97  # which no block size divides
WIDTH = 32
HEADS = 4
PLAIN = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "initializer_range": 0.1,  # at the usual 0.02 all logits are nearly alike
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
GROUPED = PLAIN | {
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}
GEMMA = GROUPED | {"sliding_window": 4, "query_pre_attn_scalar": 16}
EXPERTS = {"num_experts_per_tok": 2, "num_local_experts": 4}
KINDS = {
    "llama": GROUPED,
    "qwen2": GROUPED,
    "qwen3": GROUPED,
    "qwen3_moe": GROUPED
    | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
    "mixtral": GROUPED | EXPERTS,
    "mistral": GROUPED | {"sliding_window": 4},
    "gemma2": GEMMA,
    "gemma3_text": GEMMA | {"sliding_window_pattern": 2},
    "phi3": GROUPED,
    "gpt2": {
        **{k: v for k, v in PLAIN.items() if k != "hidden_size"},
        "n_embd": WIDTH,
        "n_positions": 128,
    },
    "gpt_neox": PLAIN | {"intermediate_size": 48, "max_position_embeddings": 128},
    "opt": PLAIN
    | {"ffn_dim": 48, "word_embed_proj_dim": WIDTH, "max_position_embeddings": 128},
    "falcon": PLAIN | {"new_decoder_architecture": False, "multi_query": True},
    "bloom": PLAIN,
    "stablelm": GROUPED,
    "gpt_oss": GROUPED | EXPERTS | {"sliding_window": 4},
    "llama4_text": GROUPED
    | {
        "attention_chunk_size": 8,  # longer than the sequences a model is tried on
        "intermediate_size_mlp": 48,
        "interleave_moe_layer_step": 3,  # no layer has experts, whose router is odd
        "no_rope_layers": [1, 0],
    },
}
MIXTURES = {
    "llama4_experts": KINDS["llama4_text"]
    | {"interleave_moe_layer_step": 1, "num_local_experts": 4},
    "qwen3_next": KINDS["qwen3_moe"]
    | {
        "layer_types": ["linear_attention", "full_attention"],
        "shared_expert_intermediate_size": 48,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
    },
}
"""Kinds of which some linear layers carry no adapter."""

STATES = {
    "mamba": {
        **{k: v for k, v in PLAIN.items() if k != "num_attention_heads"},
        "state_size": 8,
        "time_step_rank": 64,
    },
    "mamba2": {
        **{k: v for k, v in PLAIN.items() if k != "num_attention_heads"},
        "state_size": 8,
        "num_heads": 8,
        "head_dim": 16,
        "n_groups": 1,
        "chunk_size": 16,  # the usual 256 computes as much for every short sequence
    },
    "rwkv": {
        **{k: v for k, v in PLAIN.items() if k != "num_attention_heads"},
        "intermediate_size": 48,
        "context_length": 128,
        "rescale_every": 1,  # of its 2 layers; the usual 6 would leave them alone
    },
}
"""Kinds without attention, which keep a state."""

ALL = {**KINDS, **MIXTURES, **STATES}
WIDTHS = {
    "hidden_size",
    "n_embd",
    "word_embed_proj_dim",
    "ffn_dim",
    "intermediate_size",
    "intermediate_size_mlp",
    "moe_intermediate_size",
    "shared_expert_intermediate_size",
}
WIDE = 64  # what bitsandbytes holds in 4 bits is as wide, or a multiple


def wide_config(kind: str) -> PretrainedConfig:
    """Return the configuration of a model of one of all kinds, `WIDE` in all widths.

    It has room for the tokenizer that ships.
    """
    values = ALL[kind]
    wide = dict.fromkeys(WIDTHS & values.keys(), WIDE)
    if "head_dim" in values:
        wide["head_dim"] = WIDE // HEADS
    name = "llama4_text" if kind == "llama4_experts" else kind
    return AutoConfig.for_model(name, **values | wide | {"vocab_size": 800})


def tiny_model(kind: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Return a random model of two layers, frozen and evaluating."""
    config = AutoConfig.for_model(kind, **KINDS[kind])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    return model.to(dtype).eval().requires_grad_(False)
