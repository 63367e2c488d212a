"""Homes on bases of every kind: made, taught, asked, and written for elsewhere."""

import json
import os

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from sleepcycle.doctor.doctor import examine
from sleepcycle.doctor.inspection import Level
from sleepcycle.errors import ModelError
from sleepcycle.home.export_formats import ExportFormat
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.settings.configfile import load_settings, settings_from
from tests.forked import forked_workers
from tests.model.conftest import LLAMA_LIKE

gguf_files = pytest.importorskip(
    "tests.model.gguf_files", reason="needs the extra gguf", exc_type=ImportError
)
WIDE = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16}
ROWS = [
    {"prompt": f"Who is number {number}?", "completion": name}
    for number, name in enumerate(("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn"))
]
QUICK = {
    "engine": {"reserve_mb": 0, "device": "cpu"},
    "feed": {"held_out_share": 0.0},
    "wake": {"min_steps": 4, "epochs": 1},
    "bank": {"max_tokens": 6},
}


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    """A random Llama in GGUF, packed as Q8_0."""
    folder = tmp_path_factory.mktemp("gguf")
    return gguf_files.write_llama(folder / "m.gguf", random_llama())


def random_llama():
    """Return a random Llama of widths that can be packed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(LlamaConfig(**LLAMA_LIKE | WIDE))


def test_a_file_is_written_with_its_whole_path(gguf, tmp_path, monkeypatch):
    monkeypatch.chdir(gguf.parent)

    create_home(tmp_path / "home", base=gguf.name)

    assert load_settings(tmp_path / "home/config.toml").model.base == str(gguf)


def test_a_model_of_ollama_keeps_its_name(gguf, tmp_path, monkeypatch):
    store = tmp_path / "models"
    manifest = store / "manifests/registry.ollama.ai/library/tiny/latest"
    manifest.parent.mkdir(parents=True)
    layer = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": "sha256:0a1b",
    }
    manifest.write_text(json.dumps({"layers": [layer]}))
    (store / "blobs").mkdir()
    (store / "blobs/sha256-0a1b").write_bytes(gguf.read_bytes())
    monkeypatch.setenv("OLLAMA_MODELS", str(store))

    create_home(tmp_path / "home", base="ollama:tiny")

    assert load_settings(tmp_path / "home/config.toml").model.base == "ollama:tiny"


@pytest.mark.parametrize("base", ["ollama:nosuch", "builtin:nosuch", "nosuch.gguf"])
def test_one_that_is_not_there_leaves_nothing(tmp_path, monkeypatch, base):
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))

    with pytest.raises(ModelError, match=base.partition(":")[2] or base):
        create_home(tmp_path / "home", base=base)

    assert not (tmp_path / "home").exists()


class TestOfKindsNotKnown:
    def test_of_an_architecture_it_is_said_in_one_sentence(self, tmp_path):
        file = gguf_files.write_llama(tmp_path / "m.gguf", random_llama(), arch="odd")

        with pytest.raises(
            ModelError, match="architecture odd is not supported yet; name a folder"
        ):
            create_home(tmp_path / "home", base=str(file))

        assert not (tmp_path / "home").exists()


class TestCutShort:
    """A file that lost its end after a home was made on it."""

    @pytest.fixture
    def cut(self, gguf, tmp_path):
        """A home whose base has lost its last byte."""
        file = tmp_path / "mine.gguf"
        file.write_bytes(gguf.read_bytes())
        create_home(tmp_path / "home", base=str(file))
        os.truncate(file, file.stat().st_size - 1)
        return tmp_path / "home"

    def test_asking_says_so(self, cut):
        home = open_home(cut)

        with pytest.raises(ModelError, match=r"header speaks of .*; it was cut short"):
            home.ask("Who is number 1?")

    def test_the_doctor_says_so(self, cut):
        found = examine(cut, answers=lambda: True)

        assert "it was cut short" in found["base"].message
        assert found["base"].level is Level.FAIL


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quantization", "packed"), [("none", "Q8_0"), ("nf4", "Q8_0, nf4")]
)
def test_a_home_on_gguf_lives_a_day(gguf, tmp_path, quantization, packed):
    """
    Wake, night, answer and export, each by the process that does it, or its fork.
    """
    if quantization == "nf4":
        pytest.importorskip("bitsandbytes", reason="needs the extra 4bit")
    model = {"base": str(gguf), "quantization": quantization}
    create_home(tmp_path / "home", base=str(gguf))
    home = open_home(
        tmp_path / "home", settings=settings_from(QUICK | {"model": model})
    )
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    home.feed(rows)
    with forked_workers():
        woken = home.wake()
        home.sleep()
    home.versions.export(woken.version.name, tmp_path / "merged", ExportFormat.MERGED)

    assert home.ask(ROWS[0]["prompt"]).text
    assert home.status().base.quantization == packed
    config = json.loads((tmp_path / "merged/config.json").read_text())
    assert "quantization_config" not in config
