"""Bases that cannot be loaded: none gets a home, and nothing is left of the try."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from loguru import logger

from sleepcycle.errors import ConfigError, ModelError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.home.opening import create_home
from sleepcycle.model.model_folder import INDEX, TOKENIZERS, WEIGHTS

NANO = PACKAGE / "nano"
MODULES = """
import json, sys
from pathlib import Path
from sleepcycle.home.opening import create_home
create_home(Path(sys.argv[1]))
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture
def model(tmp_path):
    """Folder of a base that can be loaded."""
    shutil.copytree(NANO, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def place(tmp_path):
    """Where no home is yet, and none shall be."""
    return tmp_path / "home"


def refuse(place, base, reason):
    """Hold that a base is refused for a reason, and that nothing is made."""
    whole = f"expected {base} to be a causal language model .* got: .*{reason}"
    with pytest.raises(ModelError, match=re.compile(whole, re.DOTALL)) as found:
        create_home(place, base=str(base))

    assert "name a folder or a .gguf file that has one, or a hub id" in str(found.value)
    assert not place.exists()


def reconfigure(model, **changed):
    """Change a model's configuration."""
    file = model / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))


def test_a_model_in_shards_is_taken(place, model):
    index = {"metadata": {}, "weight_map": {"w": "model-1.safetensors"}}
    (model / WEIGHTS).rename(model / "model-1.safetensors")
    (model / INDEX).write_text(json.dumps(index))

    assert create_home(place, base=str(model))


class TestPlace:
    def test_a_file_that_is_no_gguf(self, place, tmp_path):
        file = tmp_path / "model.gguf"
        file.write_bytes(bytes(100))

        refuse(place, file, r"the file model\.gguf, which is no GGUF")

    def test_an_adapter(self, place, tmp_path):
        made_for = {"base_model_name_or_path": "owner/base"}
        (tmp_path / "adapter_config.json").write_text(json.dumps(made_for))

        refuse(place, tmp_path, "an adapter in .*, made for owner/base; name that base")

    def test_an_empty_folder(self, place, tmp_path):
        (tmp_path / "empty").mkdir()

        refuse(place, tmp_path / "empty", r"neither config\.json nor a \.gguf file in")

    def test_a_hub_id_that_is_not_cached(self, place, tmp_path, monkeypatch):
        cache = str(tmp_path / "hub")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", cache)

        refuse(place, "owner/mispelt", "neither file nor folder nor cached hub id")

    def test_one_of_ours_that_there_is_not(self, place):
        with pytest.raises(ModelError, match="there is no builtin:micro; those there"):
            create_home(place, base="builtin:micro")

        assert not place.exists()


class TestConfiguration:
    def test_one_that_is_no_json(self, place, model):
        (model / "config.json").write_text("{nope")

        refuse(place, model, "not a valid JSON file")

    def test_one_of_no_known_kind(self, place, model):
        reconfigure(model, model_type="nosuch")

        refuse(place, model, "model type `nosuch`")

    def test_one_of_no_language_model(self, place, model):
        (model / "config.json").write_text('{"model_type": "vit"}')

        refuse(place, model, "Unrecognized configuration class .*ViTConfig")

    def test_one_of_an_encoder_with_a_decoder(self, place, model):
        (model / "config.json").write_text('{"model_type": "t5"}')

        refuse(place, model, r"an encoder with a decoder \(t5\)")

    def test_one_that_sees(self, place, model):
        (model / "config.json").write_text('{"model_type": "gemma3"}')

        refuse(place, model, r"a model that also sees pictures \(gemma3\)")

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"hidden_size": "wide"}, "field 'hidden_size'"),
            ({"num_attention_heads": 0}, "modulo by zero"),
            ({"hidden_size": -5}, "negative dimension"),
            ({"hidden_act": "nosuch"}, "nosuch"),
        ],
        ids=str,
    )
    def test_one_whose_values_make_no_model(self, place, model, changed, reason):
        reconfigure(model, **changed)

        refuse(place, model, reason)


class TestTokenizer:
    def test_none_is_refused_where_an_empty_one_would_be_made(self, place, model):
        """
        GPT-2 and Qwen without their files get a tokenizer that knows no word.
        """
        reconfigure(model, model_type="gpt2")
        for pattern in (*TOKENIZERS, "tokenizer_config.json"):
            for file in model.glob(pattern):
                file.unlink()

        refuse(place, model, "no tokenizer in")

    @pytest.mark.parametrize("text", ["{nope", "{}", "[]"])
    def test_one_that_cannot_be_read(self, place, model, text):
        (model / "tokenizer.json").write_text(text)

        refuse(place, model, "a tokenizer that cannot be read")


class TestWeights:
    def test_none(self, place, model):
        (model / WEIGHTS).unlink()

        refuse(place, model, r"neither model\.safetensors nor .*\.index\.json in")

    def test_pickled_ones_alone(self, place, model):
        (model / WEIGHTS).rename(model / "pytorch_model.bin")

        refuse(place, model, r"neither model\.safetensors nor .*\.index\.json in")

    @pytest.mark.parametrize("lost", [1, 1_000_000, 3_428_000])
    def test_some_that_were_cut_short(self, place, model, lost):
        size = (model / WEIGHTS).stat().st_size
        os.truncate(model / WEIGHTS, size - lost)

        refuse(place, model, r"model\.safetensors to be safetensors, .* cut short")

    def test_a_pointer_in_their_stead(self, place, model):
        """
        As a checkout without Git LFS leaves it.
        """
        pointer = "version https://git-lfs.github.com/spec/v1\nsize 1\n"
        (model / WEIGHTS).write_text(pointer)

        refuse(place, model, "header too large")

    def test_a_shard_that_is_missing(self, place, model):
        index = {"weight_map": {"a": "model-2.safetensors"}}
        (model / INDEX).write_text(json.dumps(index))

        refuse(place, model, r"expected model-2\.safetensors in .* found none")

    @pytest.mark.parametrize("index", ["{nope", "[]", "{}"])
    def test_an_index_that_is_none(self, place, model, index):
        (model / INDEX).write_text(index)

        refuse(place, model, re.escape(INDEX))


class TestLearning:
    """
    Bases that load, and could not learn.
    """

    @pytest.mark.parametrize("kind", ["bert", "roberta", "gemma3_text"])
    def test_a_model_that_looks_ahead(self, place, model, kind):
        reconfigure(model, model_type=kind, use_bidirectional_attention=True)

        refuse(place, model, "a model that looks ahead: its last token changes")

    @pytest.mark.parametrize("kind", ["gpt2", "mistral", "gemma3_text", "mamba"])
    def test_one_of_another_kind_that_looks_back_is_taken(self, place, model, kind):
        reconfigure(model, model_type=kind)

        assert create_home(place, base=str(model))

    def test_one_that_cannot_compute_layers_twice_as_is_set(
        self, place, model, monkeypatch
    ):
        reconfigure(model, model_type="ctrl")
        monkeypatch.setenv("SLEEPCYCLE__MODEL__GRADIENT_CHECKPOINTING", "on")

        with pytest.raises(
            ConfigError,
            match=rf'expected model.gradient_checkpointing to be "auto" or "off" for '
            rf'{model}, got "on", .* \(ctrl\) cannot .*; set it to "auto"$',
        ):
            create_home(place, base=str(model))

        assert not place.exists()

    def test_a_tokenizer_that_is_wider_than_the_embedding(self, place, model):
        file = model / "tokenizer.json"
        tokenizer = json.loads(file.read_text())
        added = tokenizer["added_tokens"][0] | {"id": 768, "content": "<more>"}
        tokenizer["added_tokens"].append(added)
        file.write_text(json.dumps(tokenizer))

        refuse(place, model, "token '<more>' has the id 768, where .* has 768 rows")

    @pytest.mark.parametrize("method", ["awq", "gptq", "nosuch"])
    def test_weights_quantised_by_a_library_that_is_not_here(
        self, place, model, method
    ):
        quantised = {"quant_method": method, "bits": 4, "group_size": 128}
        reconfigure(model, quantization_config=quantised)

        refuse(place, model, f"weights quantised as '{method}', which cannot be read")


@pytest.fixture
def notes():
    """What is logged."""
    written = []
    sink = logger.add(lambda note: written.append(note.record["message"]))
    yield written
    logger.remove(sink)


class TestMixture:
    @pytest.mark.parametrize(
        ("kind", "leaves"),
        [
            ("mixtral", "k_proj, o_proj, q_proj, v_proj"),
            (
                "qwen2_moe",
                "down_proj, gate_proj, k_proj, o_proj, q_proj, shared_expert_gate, "
                "up_proj, v_proj",
            ),
        ],
    )
    def test_what_adapters_do_not_reach_is_said(
        self, place, model, notes, kind, leaves
    ):
        """
        The second has experts that all tokens share, which are linear layers.
        """
        reconfigure(model, model_type=kind, num_experts=4, num_local_experts=4)

        create_home(place, base=str(model))

        assert notes == [
            f"adapters sit on {leaves} only: the experts are packed tensors "
            "(experts.down_proj, experts.gate_up_proj), which they do not reach"
        ]

    def test_of_a_dense_model_nothing_is_said(self, place, model, notes):
        create_home(place, base=str(model))

        assert notes == []


class TestUnhashed:
    """
    What transformers would read without its being part of the base's hash.
    """

    @pytest.mark.parametrize(
        "name",
        [
            "pytorch_model.bin",
            "../other.safetensors",
            "/w.safetensors",
            "a/w.safetensors",
        ],
    )
    def test_a_shard_that_is_no_safetensors_beside_the_index(self, place, model, name):
        (model / WEIGHTS).rename(model / "model-1.safetensors")
        weight_map = {"v": "model-1.safetensors", "w": name}
        (model / INDEX).write_text(json.dumps({"weight_map": weight_map}))

        refuse(place, model, rf"files of its own folder alone, got '{name}'")

    @pytest.mark.parametrize("name", [1, None, ["a.safetensors"], ".safetensors/\0"])
    def test_a_shard_whose_name_is_none(self, place, model, name):
        (model / INDEX).write_text(json.dumps({"weight_map": {"w": name}}))

        refuse(place, model, r"name \*\.safetensors files of its own folder alone")

    def test_shards_of_which_the_index_would_choose(self, place, model):
        (model / WEIGHTS).rename(model / "model-1.safetensors")
        shutil.copy(model / "model-1.safetensors", model / "model-2.safetensors")
        index = {"weight_map": {"w": "model-1.safetensors"}}
        (model / INDEX).write_text(json.dumps(index))

        refuse(
            place, model, r"in both model-1\.safetensors and model-2\.safetensors of"
        )

    @pytest.mark.parametrize("beside", [True, False], ids=["beside", "instead"])
    @pytest.mark.parametrize(
        "name",
        ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"],
    )
    def test_an_adapter(self, place, model, name, beside):
        text = json.dumps({"base_model_name_or_path": "someone/another"})
        (model / name).write_text(text)
        if not beside:
            (model / WEIGHTS).unlink()

        refuse(place, model, f"{re.escape(name)} in .*, an adapter beside the weights")

    def test_weights_that_the_configuration_names(self, place, model):
        reconfigure(model, transformers_weights="other.safetensors")

        refuse(place, model, r"transformers_weights in .* names other weights")

    def test_a_pipe_in_place_of_weights(self, place, model):
        os.mkfifo(model / "model-2.safetensors")

        refuse(place, model, r"model-2\.safetensors, which is no plain file")


def test_an_empty_folder_stays_as_it_was(place, model):
    place.mkdir()
    (model / WEIGHTS).unlink()

    with pytest.raises(ModelError, match=r"neither model\.safetensors"):
        create_home(place, base=str(model))

    assert list(place.iterdir()) == []


def test_a_home_that_is_there_stays_one_whose_base_is_gone(place, model):
    create_home(place, base=str(model))
    (model / WEIGHTS).unlink()

    assert not create_home(place, base=str(model))


def test_our_own_base_needs_no_torch(place):
    done = subprocess.run(
        [sys.executable, "-c", MODULES, str(place)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert {"torch", "transformers", "numpy"}.isdisjoint(json.loads(done.stdout))


def test_the_command_ends_with_1_and_one_line(place, tmp_path):
    command = [sys.executable, "-m", "sleepcycle", "--home", str(place), "init"]
    done = subprocess.run(
        [*command, "--base", str(tmp_path / "nowhere")], capture_output=True, text=True
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("sleepcycle: expected ")
    assert done.stderr.count("\n") == 1
    assert not place.exists()


def test_weights_larger_than_all_memory_are_refused(place, model):
    """
    The file is hollow: its header names 10^12 weights, and it has that length.
    """
    count = 10**12
    tensor = {"dtype": "BF16", "shape": [10**6, 10**6], "data_offsets": [0, 2 * count]}
    header = json.dumps({"model.huge.weight": tensor}).encode()
    with (model / WEIGHTS).open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2 * count)

    with pytest.raises(ModelError, match=r"GB of memory, got [24]000\.0 GB; take a"):
        create_home(place, base=str(model))

    assert not place.exists()
