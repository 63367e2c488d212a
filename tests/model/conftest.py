"""Small models of every kind that is supported, the builtin one, and real ones."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen3Config,
)

from sleepcycle.files.paths import PACKAGE
from sleepcycle.model.adapters import activate
from sleepcycle.model.base import Base, Targets, load_base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.monitor import FitPlan
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.settings.config import ModelSettings

NANO = PACKAGE / "nano"
COMMON = {
    "vocab_size": 768,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
    "initializer_range": 0.1,  # at the usual 0.02 all logits are nearly alike
}
LLAMA_LIKE = COMMON | {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
}
TINY = ("llama", "qwen3", "gemma", "mistral", "gpt2")
REAL = ("stories260K", "babyllama-1M-char105")


def tiny_config(kind: str) -> PretrainedConfig:
    """Return the configuration of a model with two layers of width 32."""
    if kind == "gpt2":
        return GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, **COMMON)
    kinds = {
        "llama": LlamaConfig,
        "qwen3": Qwen3Config,
        "gemma": GemmaConfig,
        "mistral": MistralConfig,
    }
    return kinds[kind](**LLAMA_LIKE)


def random_folders(tmp_path_factory, config_of) -> Callable[[str], Path]:
    """Return what gives the folder of a random model of a kind, made once."""

    @cache
    def folder(kind: str) -> Path:
        place = tmp_path_factory.mktemp(kind)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(config_of(kind))
        model.save_pretrained(place)
        AutoTokenizer.from_pretrained(NANO).save_pretrained(place)
        return place

    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """Return what gives the folder of a random model, by its kind."""
    return random_folders(tmp_path_factory, tiny_config)


@pytest.fixture(params=TINY)
def tiny(request, tiny_folder):
    """Folder of a random model; a test runs once for every kind."""
    return tiny_folder(request.param)


@pytest.fixture(
    params=[*TINY, *(pytest.param(name, marks=pytest.mark.shared) for name in REAL)]
)
def folder(request, tiny_folder):
    """Folder of a model, random or real; a test runs once for each."""
    if request.param in TINY:
        return tiny_folder(request.param)
    found = request.getfixturevalue("shared_data") / "models" / request.param
    if not found.is_dir():
        pytest.skip(f"the real model {request.param} is not beside the project")
    return found


@pytest.fixture
def load(tmp_path):
    """Return what loads a base anew from a folder."""

    def loaded(folder: Path | str, **options: object) -> Base:
        settings = ModelSettings(base=str(folder), **options)
        return load_base(settings, device="cpu", cache=tmp_path / "cache")

    return loaded


@pytest.fixture
def base(folder, load):
    """A base of each kind, with nothing attached."""
    return load(folder)


@pytest.fixture
def llama(tiny_folder, load):
    """A random Llama with nothing attached, for what does not depend on the kind."""
    return load(tiny_folder("llama"))


@pytest.fixture
def random_base(llama):
    """Return what makes a random base of a configuration, with llama's tokenizer."""

    def made(config, device="cpu", **changed):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(config).eval().to(device)
        for name, value in changed.items():
            setattr(model.generation_config, name, value)
        return replace(llama, model=model, device=torch.device(device))

    return made


@pytest.fixture
def nano(load):
    """The base model that ships, which has a chat template."""
    return load("builtin:nano")


@pytest.fixture
def plain_nano(load):
    """The same, used as if it had no chat template."""
    return load("builtin:nano", chat="never")


@pytest.fixture
def random_changes(rng):
    """Return what makes a random change of every target layer."""

    def make(targets: Targets, width: int = 3, size: float = 0.1) -> dict[str, LowRank]:
        return {
            path: LowRank(
                up=size * torch.randn(out, width, generator=rng),
                down=size * torch.randn(width, into, generator=rng),
            )
            for path, (out, into) in targets.shapes.items()
        }

    return make


def logits_of(model: torch.nn.Module) -> torch.Tensor:
    """Return what a model says to two fixed sequences, (2, 12, vocab)."""
    vocab = model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, vocab, (2, 12), generator=generator)
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def logits(base: Base, *active: str) -> torch.Tensor:
    """Return the same with these adapters active."""
    activate(base, active)
    return logits_of(base.model)


def assert_alike(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Hold logits equal but for rounding.

    The bound is 1e-5 up to logits of 4, which no random model exceeds. Those of the
    real ones reach 29, where float32 itself has steps of 2e-6 and sums in another
    order differ by many: up to 1.6e-6 of the largest logit was seen.
    """
    bound = max(1e-5, 2.5e-6 * float(expected.abs().max()))
    torch.testing.assert_close(found, expected, rtol=0, atol=bound)


def base_weights(base: Base) -> dict[str, torch.Tensor]:
    """Return copies of all weights that are no adapter's, by their first names."""
    return {
        name.replace(".base_layer", ""): weight.detach().clone()
        for name, weight in base.model.state_dict().items()
        if ".lora_" not in name
    }


def dense(change: LowRank) -> torch.Tensor:
    """Return a change as one matrix."""
    return change.up @ change.down


def assert_same(found: dict[str, LowRank], expected: dict[str, LowRank]) -> None:
    """Hold changes equal to the last bit, factor by factor."""
    assert set(found) == set(expected)
    for path, change in expected.items():
        assert torch.equal(found[path].up, change.up), path
        assert torch.equal(found[path].down, change.down), path


def make_plan(**changed: object) -> FitPlan:
    """Return a short plan, with what a test needs otherwise."""
    usual: dict[str, object] = {
        "adapter": "day",
        "lr": 1e-2,
        "steps": 3,
        "warmup_steps": 1,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "max_loss": 20.0,
        "check_every": 1,
        "patience": 0,
        "seed": 0,
    }
    return FitPlan(**(usual | changed))


def some_examples(base: Base, count: int = 4, length: int = 10) -> list[Encoded]:
    """Return random examples in a base's vocabulary."""
    vocab = base.model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(2)
    rows = torch.randint(3, vocab, (count, length), generator=generator).tolist()
    return [Encoded(tuple(row), (0.0,) + (1.0,) * (length - 1)) for row in rows]
