"""Folders for `ollama create`: what is named lies in them, or Ollama has it."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from sleepcycle.errors import AdapterError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.home.ollama_bundle import write_bundle
from sleepcycle.model.base import skeleton
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.settings.config import ModelSettings
from tests.model.kinds import KINDS

gguf_files = pytest.importorskip(
    "tests.model.gguf_files", reason="needs the extra gguf", exc_type=ImportError
)
GGUFReader = pytest.importorskip("gguf").GGUFReader
ADAPTED = ["ADAPTER ./adapter.gguf"]
PLAIN_PROMPT = 'TEMPLATE """{{ .Prompt }}"""'


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    """A random Llama in GGUF."""
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("llama", **KINDS["llama"] | {"vocab_size": 768})
    )
    file = tmp_path_factory.mktemp("gguf") / "m.gguf"
    return gguf_files.write_llama(file, model, packed=False)


@pytest.fixture
def pulled(gguf, tmp_path, monkeypatch):
    """The same as a model that Ollama has pulled; its name."""
    store = tmp_path / "models"
    manifest = store / "manifests/registry.ollama.ai/library/tiny/1b"
    manifest.parent.mkdir(parents=True)
    layer = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": "sha256:0a1b",
    }
    manifest.write_text(json.dumps({"layers": [layer]}))
    (store / "blobs").mkdir()
    (store / "blobs/sha256-0a1b").symlink_to(gguf)
    monkeypatch.setenv("OLLAMA_MODELS", str(store))
    return "ollama:tiny:1b"


@pytest.fixture
def bundled(tmp_path):
    """Return what writes a folder for a base, and gives its Modelfile in lines."""

    def bundle(base, **settings):
        folder = tmp_path / "bundle"
        folder.mkdir()
        model = ModelSettings(base=str(base), **settings)
        shapes = skeleton(model).shapes
        changes = {
            path: LowRank(torch.ones(out, 8), torch.ones(8, into) / 8)
            for path, (out, into) in shapes.items()
        }
        write_bundle(model, changes, folder)
        return (folder / "Modelfile").read_text().splitlines()

    return bundle


def test_a_gguf_base_becomes_one_file_with_the_change(bundled, gguf, tmp_path):
    said = bundled(gguf)

    assert said[0] == "FROM ./model.gguf"
    assert not any(line.startswith("ADAPTER") for line in said)
    before, after = (
        {tensor.name: tensor.data for tensor in GGUFReader(file).tensors}
        for file in (gguf, tmp_path / "bundle/model.gguf")
    )
    assert before.keys() == after.keys()
    for name, data in after.items():
        change = 1.0 if name.startswith("blk.") and data.ndim == 2 else 0.0
        np.testing.assert_allclose(data, before[name] + change, rtol=1e-6, atol=1e-6)


def test_a_model_of_ollama_does_too(bundled, pulled, tmp_path):
    said = bundled(pulled)

    assert said[0] == "FROM ./model.gguf"
    assert str(tmp_path) not in "".join(said)


def test_of_a_folder_there_is_what_its_hash_covers(bundled, tmp_path):
    said = bundled("builtin:nano")

    assert said[:2] == ["FROM ./base", *ADAPTED]
    assert str(PACKAGE) not in "".join(said)
    assert (tmp_path / "bundle/base/model.safetensors").is_file()
    assert (tmp_path / "bundle/base/tokenizer.json").is_file()


def test_the_beginning_is_in_the_template_where_the_file_adds_none(bundled, gguf):
    [_, template, *_] = bundled(gguf)

    assert "{{ else }}<|bos|><|user|>{{ end }}" in template


def test_without_a_chat_template_the_prompt_is_all(bundled):
    assert bundled("builtin:nano", chat="never")[2:] == [PLAIN_PROMPT]


@pytest.mark.parametrize(
    ("kind", "said"), [("qwen3", ["REQUIRES 0.30.0"]), ("qwen2", [])]
)
def test_an_ollama_that_takes_no_adapter_of_a_kind_is_refused(
    bundled, tmp_path, kind, said
):
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, **KINDS[kind] | {"vocab_size": 768})
    )
    model.save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(PACKAGE / "nano").save_pretrained(tmp_path / "base")

    begins = [*said, "FROM ./base", *ADAPTED]
    assert bundled(tmp_path / "base")[: len(begins)] == begins


def test_another_kind_is_refused(bundled, tmp_path):
    config = AutoConfig.for_model("mistral", **KINDS["mistral"])
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")

    with pytest.raises(AdapterError, match=r"got mistral; .* --format merged"):
        bundled(tmp_path / "base")
