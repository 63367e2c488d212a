"""Bases held in 4 bits: loaded, taught, looked at, and written as ordinary ones."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from sleepcycle.errors import ModelError
from sleepcycle.model import adapters
from sleepcycle.model.base_checks import check_loadable
from sleepcycle.model.base_files import identify, recall
from sleepcycle.model.directions import own_directions
from sleepcycle.model.foreign import merge_into
from sleepcycle.model.four_bit import dense_weight, make_dense
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.settings.config import ModelSettings
from tests.model.conftest import NANO, TINY, tiny_config

pytest.importorskip("bitsandbytes", reason="needs the extra 4bit")
WIDE = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16}
IDS = torch.arange(3, 20)[None]


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory):
    """Return what gives the folder of a random model whose rows are whole blocks."""
    made: dict[str, Path] = {}

    def folder(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            config = tiny_config(kind)
            config.update(WIDE)
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model = AutoModelForCausalLM.from_config(config)
            model.save_pretrained(made[kind])
            AutoTokenizer.from_pretrained(NANO).save_pretrained(made[kind])
        return made[kind]

    return folder


@pytest.fixture(params=[kind for kind in TINY if kind != "gpt2"])
def four_bit(request, wide_folder, load):
    """A random base of each kind, in 4 bits."""
    return load(wide_folder(request.param), quantization="nf4")


@pytest.fixture
def packed_llama(wide_folder, load):
    """A random Llama in 4 bits."""
    return load(wide_folder("llama"), quantization="nf4")


def random_changes(base, scale=0.05):
    """Return a change of rank 2 for every layer."""
    rng = torch.Generator().manual_seed(0)
    return {
        path: LowRank(
            torch.randn(out, 2, generator=rng) * scale,
            torch.randn(2, width, generator=rng),
        )
        for path, (out, width) in base.targets.shapes.items()
    }


def bits_of(base):
    """Return the bytes of all linear layers but the head."""
    modules = [base.model.get_submodule(path) for path in base.targets.shapes]
    return sum(module.weight.nbytes for module in modules)


def test_layers_are_the_same_in_an_eighth_of_the_memory(tiny_folder, load, four_bit):
    other = load(four_bit.identity.id)

    assert dict(four_bit.targets.shapes) == dict(other.targets.shapes)
    assert four_bit.targets.transposed == other.targets.transposed
    assert bits_of(four_bit) * 8 == bits_of(other)


def test_its_weights_are_near_those_of_the_files(four_bit, load):
    other = load(four_bit.identity.id)

    for path in four_bit.targets.shapes:
        near = dense_weight(four_bit.model.get_submodule(path))
        whole = other.model.get_submodule(path).weight
        assert torch.linalg.norm(near - whole) < 0.15 * torch.linalg.norm(whole)


def test_made_dense_it_computes_the_same(four_bit):
    before = four_bit.model(IDS).logits

    make_dense(four_bit.model)

    torch.testing.assert_close(four_bit.model(IDS).logits, before, rtol=1e-4, atol=1e-5)


def test_an_adapter_adds_its_change(packed_llama):
    changes = random_changes(packed_llama)
    with adapters.attached(packed_llama, "one", changes):
        found = packed_llama.model(IDS).logits

    make_dense(packed_llama.model)
    with adapters.attached(packed_llama, "one", changes):
        expected = packed_llama.model(IDS).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_in_bfloat16_it_computes_in_it(wide_folder, load):
    base = load(wide_folder("llama"), quantization="nf4", dtype="bfloat16")
    changes = random_changes(base)

    with adapters.attached(base, "one", changes), torch.no_grad():
        found = base.model(IDS).logits
    make_dense(base.model)
    base.model.float()
    with adapters.attached(base, "one", changes), torch.no_grad():
        expected = base.model(IDS).logits

    assert found.dtype == torch.bfloat16
    error = torch.linalg.norm(found.float() - expected)
    assert error < 0.03 * torch.linalg.norm(expected)  # 8 bits, through two layers


def test_a_merged_model_answers_as_the_version_does(packed_llama, tmp_path):
    changes = random_changes(packed_llama)
    with adapters.attached(packed_llama, "one", changes):
        expected = packed_llama.model(IDS).logits

    merge_into(packed_llama, changes, tmp_path / "merged")

    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert "quantization_config" not in (tmp_path / "merged/config.json").read_text()
    assert AutoTokenizer.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(whole(IDS).logits, expected, rtol=1e-4, atol=1e-4)


def test_directions_are_those_of_the_weights_that_compute(packed_llama):
    path = next(iter(packed_llama.targets.shapes))
    weight = dense_weight(packed_llama.model.get_submodule(path)).float()

    found = own_directions(packed_llama, 1)[path]

    strongest = torch.linalg.svd(weight).U[:, 0]
    assert abs(float(strongest @ found[:, 0])) == pytest.approx(1, abs=1e-3)


class TestIdentity:
    def test_it_is_another_base_than_the_unpacked_one(self, tiny_folder, tmp_path):
        plain = ModelSettings(base=str(tiny_folder("llama")))
        packed = plain.model_copy(update={"quantization": "nf4"})

        first = identify(plain, tmp_path)
        second = identify(packed, tmp_path)

        assert first.sha256 != second.sha256
        assert (first.quantization, second.quantization) == ("", "nf4")
        assert recall(packed, tmp_path) == second.sha256
        assert recall(plain, tmp_path) is None
        assert identify(plain, tmp_path) == first

    def test_a_home_is_told_of_the_setting(self, tiny_folder, tmp_path):
        plain = ModelSettings(base=str(tiny_folder("llama")))
        packed = plain.model_copy(update={"quantization": "nf4"})

        with pytest.raises(ModelError, match=r"the old model\.quantization"):
            identify(packed, tmp_path).expect(identify(plain, tmp_path))


def test_what_is_quantised_already_is_refused(packed_llama, tmp_path):
    packed_llama.model.save_pretrained(tmp_path / "packed")
    packed_llama.tokenizer.save_pretrained(tmp_path / "packed")
    settings = ModelSettings(base=str(tmp_path / "packed"), quantization="nf4")

    with pytest.raises(ModelError, match=r"quantised as .* already"):
        check_loadable(settings)


def test_one_that_keeps_weights_the_other_way_is_refused(tiny_folder, load):
    with pytest.raises(ModelError, match=r"weights kept as \(in, out\)"):
        load(tiny_folder("gpt2"), quantization="nf4")


def test_one_whose_rows_are_no_whole_blocks_is_refused(tiny_folder, load):
    """
    The library reads the scales of such rows shifted, on a CPU.
    """
    with pytest.raises(ModelError, match=r"q_proj of width 32, .* a multiple of 64"):
        load(tiny_folder("llama"), quantization="nf4")


def test_asking_leaves_the_weights_as_they_were(packed_llama):
    before = [
        dense_weight(packed_llama.model.get_submodule(path))
        for path in packed_llama.targets.shapes
    ]

    with torch.no_grad():
        packed_llama.model(IDS)

    for path, weight in zip(packed_llama.targets.shapes, before, strict=True):
        after = dense_weight(packed_llama.model.get_submodule(path))
        assert torch.equal(after, weight)


def test_what_is_not_quantised_is_left_alone(llama):
    layers = [m for m in llama.model.modules() if isinstance(m, nn.Linear)]
    config = json.dumps(llama.model.config.to_dict())

    make_dense(llama.model)

    assert layers == [m for m in llama.model.modules() if isinstance(m, nn.Linear)]
    assert json.dumps(llama.model.config.to_dict()) == config
