"""Models of Ollama: from a name to the file that holds the weights."""

import json

import pytest

from sleepcycle.errors import ModelError
from sleepcycle.model.base_files import locate
from sleepcycle.settings.config import ModelSettings

MODEL = "application/vnd.ollama.image.model"
TEMPLATE = "application/vnd.ollama.image.template"
ADAPTER = "application/vnd.ollama.image.adapter"
BLOB = b"GGUF and more"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A folder of models, as OLLAMA_MODELS names it."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def pull(store, name, *kinds, blob=True):
    """Keep a model as `ollama pull` does; return the file of its weights."""
    layers = [{"mediaType": kind, "digest": "sha256:0a1b"} for kind in kinds]
    manifest = store / "manifests" / name
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"layers": layers}))
    file = store / "blobs" / "sha256-0a1b"
    file.parent.mkdir()
    if blob:
        file.write_bytes(BLOB)
    return file


def find(name):
    """Look for a model by its name."""
    return locate(ModelSettings(base=f"ollama:{name}"))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("llama3.2", "registry.ollama.ai/library/llama3.2/latest"),
        ("llama3.2:1b", "registry.ollama.ai/library/llama3.2/1b"),
        ("ann/own", "registry.ollama.ai/ann/own/latest"),
        ("ann/own:v2", "registry.ollama.ai/ann/own/v2"),
        ("hf.co/ann/own:Q4_K_M", "hf.co/ann/own/Q4_K_M"),
    ],
)
def test_a_name_is_found_as_ollama_keeps_it(store, name, kept):
    file = pull(store, kept, TEMPLATE, MODEL)

    assert find(name) == file


def test_one_that_is_not_there_says_how_to_fetch_it(store):
    said = rf"nosuch of Ollama in {store}, found none; .* ollama pull nosuch$"
    with pytest.raises(ModelError, match=said):
        find("nosuch")


@pytest.mark.parametrize("name", ["", "a/b/c/d", "../x", "a//b", "x:../../y", "a:b:c"])
def test_what_is_no_name_is_refused(store, name):
    with pytest.raises(ModelError, match="expected a name as `ollama list` says it"):
        find(name)


def test_one_that_runs_in_the_cloud_has_no_weights(store):
    pull(store, "registry.ollama.ai/library/big/cloud", TEMPLATE)

    with pytest.raises(ModelError, match=r"one file of weights .* got 0; .* cloud"):
        find("big:cloud")


def test_one_with_an_adapter_is_no_base(store):
    pull(store, "registry.ollama.ai/library/own/latest", MODEL, ADAPTER)

    with pytest.raises(ModelError, match="got a base with an adapter on it"):
        find("own")


def test_weights_that_are_gone(store):
    pull(store, "registry.ollama.ai/library/own/latest", MODEL, blob=False)

    with pytest.raises(ModelError, match=r"found none; .* ollama pull own"):
        find("own")


def test_a_damaged_manifest(store):
    manifest = store / "manifests/registry.ollama.ai/library/own/latest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")

    with pytest.raises(ModelError, match="expected a manifest of Ollama in"):
        find("own")


def test_a_digest_leaves_the_store_alone(store):
    manifest = store / "manifests/registry.ollama.ai/library/own/latest"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": MODEL, "digest": "sha256:/../../../secret"}
    manifest.write_text(json.dumps({"layers": [layer]}))
    (store.parent / "secret").write_bytes(BLOB)

    with pytest.raises(ModelError, match="found none"):
        find("own")
