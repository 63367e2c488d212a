"""Bases: found on this machine alone, frozen, and known by their bytes."""

import hashlib
import json
import os
import shutil
import socket

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import build_hf_headers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from sleepcycle.errors import ConfigError, ModelError
from sleepcycle.model.base import find_targets, skeleton
from sleepcycle.model.base_files import identify, locate
from sleepcycle.settings.config import ModelSettings
from tests.model.conftest import NANO, logits_of

ATTENTION = {"q_proj": (32, 32), "k_proj": (16, 32), "v_proj": (16, 32)}
MLP = {"gate_proj": (48, 32), "up_proj": (48, 32), "down_proj": (32, 48)}
LLAMA_LAYERS = {
    f"model.layers.{layer}.{part}.{leaf}": shape
    for layer in range(2)
    for part, leaves in {
        "self_attn": ATTENTION | {"o_proj": (32, 32)},
        "mlp": MLP,
    }.items()
    for leaf, shape in leaves.items()
}
GPT2_LAYERS = {
    f"transformer.h.{layer}.{leaf}": shape
    for layer in range(2)
    for leaf, shape in {
        "attn.c_attn": (96, 32),
        "attn.c_proj": (32, 32),
        "mlp.c_fc": (128, 32),
        "mlp.c_proj": (32, 128),
    }.items()
}


@pytest.fixture
def asked(monkeypatch):
    """Machines that were asked for, while none can be reached.

    What huggingface_hub asks for once a process, whatever is loaded, is not counted.
    """
    hosts: list[object] = []

    def refuse(host, *rest, **options):
        hosts.append(host)
        raise socket.gaierror("there is no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", lambda self, to: refuse(to))
    build_hf_headers()
    hosts.clear()
    return hosts


@pytest.fixture
def copied(tiny_folder, tmp_path):
    """A copy of a random Llama's folder, to damage."""
    return shutil.copytree(tiny_folder("llama"), tmp_path / "copied")


def settings_of(folder, **options):
    return ModelSettings(base=str(folder), **options)


class TestLoad:
    def test_it_computes_as_transformers_does(self, base, folder):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

        assert torch.equal(logits_of(base.model), logits_of(model.eval()))

    def test_it_is_frozen(self, base):
        assert not base.model.training
        assert not any(weight.requires_grad for weight in base.model.parameters())

    def test_it_knows_its_width_and_its_length(self, llama):
        assert llama.width == 32
        assert llama.max_length == 128

    def test_a_shorter_length_may_be_asked_for(self, load):
        assert load("builtin:nano", max_length=100).max_length == 100
        assert load("builtin:nano", max_length=5000).max_length == 512

    def test_weights_are_held_as_asked(self, load):
        half = load("builtin:nano", dtype="bfloat16")

        assert {weight.dtype for weight in half.model.parameters()} == {torch.bfloat16}

    def test_chat_needs_a_template_and_leave(self, nano, plain_nano):
        assert nano.chat
        assert not plain_nano.chat

    @pytest.mark.shared
    def test_a_base_without_a_template_does_not_chat(self, shared_data, load):
        assert not load(shared_data / "models" / "stories260K").chat


class TestTargets:
    @pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma", "mistral"])
    def test_every_linear_layer_but_the_head(self, tiny_folder, load, kind):
        targets = load(tiny_folder(kind)).targets

        assert targets.shapes == LLAMA_LAYERS
        assert not targets.transposed

    def test_gpt2_keeps_its_weights_transposed(self, tiny_folder, load):
        targets = load(tiny_folder("gpt2")).targets

        assert targets.shapes == GPT2_LAYERS
        assert targets.transposed
        assert targets.leaves == ["c_attn", "c_fc", "c_proj"]

    def test_an_untied_head_is_left_out(self, llama):
        assert not llama.model.config.tie_word_embeddings
        assert "lm_head" not in llama.targets.shapes

    def test_leaf_names_choose(self, llama):
        targets = find_targets(llama.model, ["v_proj", "q_proj"])

        assert targets.leaves == ["q_proj", "v_proj"]
        assert targets.shapes == {
            path: shape
            for path, shape in LLAMA_LAYERS.items()
            if path.endswith((".q_proj", ".v_proj"))
        }

    def test_a_name_of_no_layer_is_refused(self, llama):
        with pytest.raises(
            ConfigError, match=r"expected some of down_proj, .*, got lm_head, qproj$"
        ):
            find_targets(llama.model, ["qproj", "q_proj", "lm_head"])


class TestSkeleton:
    def test_it_is_what_the_whole_model_has(self, base, folder):
        found = skeleton(settings_of(folder))

        assert found.shapes == base.targets.shapes
        assert list(found.shapes) == list(base.targets.shapes)
        assert found.transposed == base.targets.transposed

    def test_it_reads_no_weights(self, copied):
        (copied / "model.safetensors").unlink()

        assert skeleton(settings_of(copied)).shapes == LLAMA_LAYERS

    def test_leaf_names_choose(self, tiny_folder):
        found = skeleton(settings_of(tiny_folder("llama"), target_modules=["o_proj"]))

        assert found.leaves == ["o_proj"]


class TestIdentify:
    def test_it_is_the_hash_of_all_that_decides(self, copied, tmp_path):
        """
        The chat template and the tokenizer decide what is learned as much as weights.
        """
        expected = hashlib.sha256()
        for name in (
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "model.safetensors",
        ):
            expected.update(hashlib.sha256((copied / name).read_bytes()).digest())

        found = identify(settings_of(copied), tmp_path / "cache")

        assert found.sha256 == expected.hexdigest()
        assert found.id == str(copied)
        assert found.revision is None

    def test_the_hash_is_remembered(self, copied, tmp_path):
        """
        What is remembered is taken, so what stands in the memory comes back.
        """
        identify(settings_of(copied), tmp_path)
        memory = tmp_path / "base.json"
        known = json.loads(memory.read_text())
        memory.write_text(json.dumps(known | {"sha256": "remembered"}))

        assert identify(settings_of(copied), tmp_path).sha256 == "remembered"

    def test_a_changed_file_is_noticed(self, copied, tmp_path):
        before = identify(settings_of(copied), tmp_path)
        weights = copied / "model.safetensors"
        changed = bytearray(weights.read_bytes())
        changed[-1] ^= 1
        weights.write_bytes(changed)
        later = weights.stat().st_mtime_ns + 1_000_000
        os.utime(weights, ns=(later, later))

        after = identify(settings_of(copied), tmp_path)

        assert after.sha256 != before.sha256

    def test_a_new_weight_file_is_noticed(self, copied, tmp_path):
        before = identify(settings_of(copied), tmp_path)
        save_file({"more": torch.ones(1)}, copied / "more.safetensors")

        assert identify(settings_of(copied), tmp_path).sha256 != before.sha256

    def test_another_model_is_not_taken_for_it(self, copied, tiny_folder, tmp_path):
        one = identify(settings_of(copied), tmp_path)
        other = identify(settings_of(tiny_folder("gpt2")), tmp_path)

        assert one.sha256 != other.sha256

    def test_a_copy_elsewhere_is_the_same(self, copied, tiny_folder, tmp_path):
        one = identify(settings_of(copied), tmp_path)
        other = identify(settings_of(tiny_folder("llama")), tmp_path)

        assert one.sha256 == other.sha256

    def test_a_model_that_is_not_here_is_refused(self, tmp_path):
        with pytest.raises(ModelError, match=r"nobody/nothing .* in the local cache$"):
            identify(settings_of("nobody/nothing"), tmp_path)


class TestUnhashed:
    """
    A home's base that was changed later is refused before any of it is opened.
    """

    @pytest.fixture(params=["load", "identify", "skeleton"])
    def ask(self, request, load, tmp_path):
        """Each way to a base."""
        return {
            "load": load,
            "identify": lambda folder: identify(settings_of(folder), tmp_path),
            "skeleton": lambda folder: skeleton(settings_of(folder)),
        }[request.param]

    def test_a_shard_in_pickle(self, copied, ask):
        torch.save({"w": torch.ones(1)}, copied / "more.bin")
        index = {"metadata": {}, "weight_map": {"w": "more.bin"}}
        (copied / "model.safetensors.index.json").write_text(json.dumps(index))

        with pytest.raises(
            ModelError, match=r"of its own folder alone, got 'more\.bin'"
        ):
            ask(copied)

    def test_an_adapter_that_names_another_base(self, copied, tiny_folder, ask):
        named = {"base_model_name_or_path": str(tiny_folder("gpt2"))}
        (copied / "adapter_config.json").write_text(json.dumps(named))

        with pytest.raises(ModelError, match=r"adapter_config\.json in .*, an adapter"):
            ask(copied)


def test_shards_are_read_as_one_model(tiny_folder, load, tmp_path):
    whole = load(tiny_folder("llama"))
    whole.model.save_pretrained(tmp_path / "shards", max_shard_size="60KB")
    whole.tokenizer.save_pretrained(tmp_path / "shards")

    found = load(tmp_path / "shards")

    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], weight)


class TestRefused:
    @pytest.mark.parametrize("name", ["nobody/nothing", "/no/such/folder"])
    @pytest.mark.parametrize("what", ["load", "skeleton"])
    def test_a_model_that_is_not_here(self, load, asked, name, what):
        ask = load if what == "load" else lambda n: skeleton(settings_of(n))
        with pytest.raises(
            ModelError,
            match=rf"expected {name} to be .* name a folder .* in the local cache$",
        ):
            ask(name)

        assert asked == []

    def test_a_builtin_that_does_not_exist(self):
        with pytest.raises(
            ModelError, match=r"no builtin:mega; those there are: builtin:nano"
        ):
            locate(ModelSettings(base="builtin:mega"))

    def test_a_tensor_that_is_missing(self, copied, load):
        """
        Else it would be filled at random, and nobody told.
        """
        file = copied / "model.safetensors"
        weights = load_file(file)
        del weights["model.layers.0.mlp.up_proj.weight"]
        save_file(weights, file, metadata={"format": "pt"})

        with pytest.raises(ModelError, match=r"no weights for .*mlp\.up_proj\.weight"):
            load(copied)

    def test_weights_as_pickle(self, copied, load):
        weights = load_file(copied / "model.safetensors")
        torch.save(weights, copied / "pytorch_model.bin")
        (copied / "model.safetensors").unlink()

        with pytest.raises(ModelError, match="in safetensors or GGUF, on this machine"):
            load(copied)

    def test_weights_cut_short(self, copied, load):
        weights = copied / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])

        with pytest.raises(ModelError, match="in safetensors or GGUF, on this machine"):
            load(copied)

    def test_weights_of_another_shape(self, copied, load):
        weights = load_file(copied / "model.safetensors")
        name = "model.layers.0.mlp.up_proj.weight"
        save_file(
            weights | {name: weights[name][:20].contiguous()},
            copied / "model.safetensors",
            metadata={"format": "pt"},
        )

        with pytest.raises(ModelError, match="to be a causal language model"):
            load(copied)

    def test_no_tokenizer(self, copied, load):
        for file in copied.glob("*token*"):
            file.unlink()

        with pytest.raises(ModelError, match="with its tokenizer"):
            load(copied)

    def test_what_is_no_language_model(self, copied, load):
        (copied / "config.json").write_text(json.dumps({"model_type": "vit"}))

        with pytest.raises(ModelError, match="to be a causal language model"):
            load(copied)

    def test_a_target_that_does_not_exist(self, tiny_folder, load):
        with pytest.raises(ConfigError, match="got c_attn"):
            load(tiny_folder("llama"), target_modules=["c_attn"])


class TestOffline:
    def test_the_builtin_base_needs_no_network(self, asked, load):
        base = load("builtin:nano")

        assert asked == []
        assert locate(ModelSettings()) == NANO
        assert base.identity.id == "builtin:nano"
        assert len(base.targets.shapes) == 5 * 7

    def test_a_hub_id_is_taken_from_the_local_cache(
        self, asked, load, copied, tmp_path, monkeypatch
    ):
        """
        The cache is laid out as huggingface_hub lays it out.
        """
        repository = tmp_path / "hub" / "models--some--model"
        commit = "a" * 40
        shutil.copytree(copied, repository / "blobs")
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        for blob in (repository / "blobs").iterdir():
            (snapshot / blob.name).symlink_to(f"../../blobs/{blob.name}")
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(commit)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

        base = load("some/model")

        assert asked == []
        assert base.identity.id == "some/model"
        assert base.identity.sha256 == load(copied).identity.sha256
        assert torch.equal(logits_of(base.model), logits_of(load(copied).model))
