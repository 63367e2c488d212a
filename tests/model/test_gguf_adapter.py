"""Adapters in GGUF: the names, the order and the scale that llama.cpp goes by."""

import sys

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from sleepcycle.errors import AdapterError
from sleepcycle.model.base import find_targets
from sleepcycle.model.gguf_adapter import write_gguf_adapter
from sleepcycle.model.portable import load_portable, write_portable
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.version import BaseIdentity
from tests.model.kinds import KINDS

gguf = pytest.importorskip("gguf", reason="needs the extra gguf")

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WRITTEN = ("llama", "qwen2", "qwen3", "gemma2", "gemma3_text")
RANK = 8


@pytest.fixture
def made(tmp_path, random_changes):
    """Return what makes the folder of a base of a kind, and a sealed change of it."""

    def make(kind):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            config = AutoConfig.for_model(kind, **KINDS[kind])
            model = AutoModelForCausalLM.from_config(config)
        model.save_pretrained(tmp_path / kind)
        targets = find_targets(model, ["all-linear"])
        identity = BaseIdentity(str(tmp_path / kind), None, "00")
        changes = random_changes(targets)
        write_portable(tmp_path / "adapter", changes, identity, targets)
        return tmp_path / kind, load_portable(tmp_path / "adapter")

    return make


@pytest.fixture
def written(made, tmp_path):
    """Return what writes such a change, and reads the file back."""

    def write(kind):
        base, changes = made(kind)
        write_gguf_adapter(changes, base, tmp_path / "adapter.gguf")
        return changes, gguf.GGUFReader(tmp_path / "adapter.gguf")

    return write


def name_of(path):
    """Return what llama.cpp calls a layer."""
    _, _, number, layer = path.split(".", 3)
    return f"blk.{number}.{NAMES[layer]}.weight"


def turned(dense, heads):
    """Return rows in llama.cpp's order: what is turned together stands together."""
    size = len(dense) // heads
    rows = [
        head * size + pair + half * size // 2
        for head in range(heads)
        for pair in range(size // 2)
        for half in (0, 1)
    ]
    return dense[rows]


@pytest.mark.parametrize("kind", WRITTEN)
def test_every_layer_has_its_two_factors(written, kind):
    changes, reader = written(kind)

    expected = {f"{name_of(p)}.lora_{x}": None for p in changes for x in "ab"}
    assert {tensor.name: None for tensor in reader.tensors} == expected
    assert {tensor.tensor_type.name for tensor in reader.tensors} == {"F32"}


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_factors_make_the_sealed_change(written, kind):
    changes, reader = written(kind)
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    scale = reader.get_field("adapter.lora.alpha").contents() / RANK
    heads = {"q_proj": 4, "k_proj": 2} if kind == "llama" else {}

    for path, change in changes.items():
        name, leaf = name_of(path), path.rpartition(".")[2]
        dense = scale * (found[f"{name}.lora_b"] @ found[f"{name}.lora_a"])
        sealed = (change.up @ change.down).numpy()
        expected = turned(sealed, heads[leaf]) if leaf in heads else sealed
        np.testing.assert_allclose(dense, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_header_says_what_it_is_and_of_no_place(written, kind, tmp_path):
    _, reader = written(kind)
    said = {
        key: field.contents()
        for key, field in reader.fields.items()
        if not key.startswith("GGUF.")
    }

    assert said == {
        "general.architecture": kind.removesuffix("_text"),
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(RANK),
    }
    assert str(tmp_path).encode() not in (tmp_path / "adapter.gguf").read_bytes()


@pytest.mark.parametrize("kind", ["mistral", "phi3", "gpt2"])
def test_another_kind_is_refused_by_its_name(made, kind, tmp_path):
    base, changes = made(kind)

    with pytest.raises(AdapterError, match=f"got {kind}; .* --format merged"):
        write_gguf_adapter(changes, base, tmp_path / "adapter.gguf")


def test_a_layer_that_llama_cpp_has_no_name_for_is_refused(made, tmp_path):
    base, changes = made("gemma2")
    odd = {"model.gate": LowRank(torch.ones(97, RANK), torch.ones(RANK, 32))}

    with pytest.raises(AdapterError, match=r"got model\.gate; .* --format merged"):
        write_gguf_adapter(changes | odd, base, tmp_path / "adapter.gguf")


def test_without_the_package_its_extra_is_named(made, tmp_path, monkeypatch):
    base, changes = made("llama")
    monkeypatch.setitem(sys.modules, "gguf", None)

    with pytest.raises(AdapterError, match=r"pip install 'sleepcycle\[gguf\]'"):
        write_gguf_adapter(changes, base, tmp_path / "adapter.gguf")
