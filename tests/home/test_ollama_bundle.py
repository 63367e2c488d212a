"""Folders for `ollama create`: what is named lies in them, or Ollama has it."""

import json

import pytest
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from sleepcycle.errors import AdapterError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.home.ollama_bundle import write_bundle
from sleepcycle.settings.config import ModelSettings
from tests.model.kinds import KINDS

gguf_files = pytest.importorskip(
    "tests.model.gguf_files", reason="needs the extra gguf", exc_type=ImportError
)
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
        write_bundle(model, folder, lambda file: file.write_bytes(b"an adapter"))
        assert (folder / "adapter.gguf").read_bytes() == b"an adapter"
        return (folder / "Modelfile").read_text().splitlines()

    return bundle


def test_a_model_of_ollama_is_named_and_its_template_inherited(bundled, pulled):
    assert bundled(pulled) == ["FROM tiny:1b", *ADAPTED]


def test_an_own_template_is_written_for_a_model_of_ollama_too(
    bundled, pulled, tmp_path
):
    own = tmp_path / "own.jinja"
    own.write_text(gguf_files.CHAT.replace("<|end|>", "<|over|>"))

    said = bundled(pulled, chat_template=str(own))

    assert said[2].startswith('TEMPLATE """{{ if .System }}')
    assert said[3] == 'PARAMETER stop "<|over|><|user|>"'


def test_a_file_lies_beside_the_modelfile(bundled, gguf, tmp_path):
    said = bundled(gguf)

    assert said[:2] == ["FROM ./base.gguf", *ADAPTED]
    assert (tmp_path / "bundle/base.gguf").read_bytes() == gguf.read_bytes()
    assert str(tmp_path) not in "".join(said)


def test_of_a_folder_there_is_what_its_hash_covers(bundled, tmp_path):
    said = bundled("builtin:nano")

    assert said[:2] == ["FROM ./base", *ADAPTED]
    assert str(PACKAGE) not in "".join(said)
    assert (tmp_path / "bundle/base/model.safetensors").is_file()
    assert (tmp_path / "bundle/base/tokenizer.json").is_file()


def test_the_beginning_is_in_the_template_where_the_file_adds_none(bundled, gguf):
    [_, _, template, *_] = bundled(gguf)

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
