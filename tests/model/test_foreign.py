"""Foreign adapters mean to us what they mean to PEFT; merged models to all."""

import json
import os
import re

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config

from sleepcycle.errors import AdapterError
from sleepcycle.files.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from sleepcycle.model.adapters import attach
from sleepcycle.model.base import find_targets
from sleepcycle.model.foreign import PLAIN, expect_own_base, merge_into, read_foreign
from sleepcycle.model.portable import write_portable
from sleepcycle.numerics.lowrank import LowRank, decompose
from sleepcycle.records.version import BaseIdentity, MadeFor
from tests.model.conftest import (
    assert_alike,
    assert_same,
    dense,
    logits,
    logits_of,
)

# PEFT asks transformers for it by its old name
pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
)

PATTERNS = {
    "plain": {"r": 4, "lora_alpha": 6},
    "rslora": {"r": 4, "lora_alpha": 6, "use_rslora": True},
    "rank_pattern": {"r": 4, "lora_alpha": 6, "rank_pattern": {"q_proj": 7}},
    "alpha_pattern": {"r": 4, "lora_alpha": 6, "alpha_pattern": {"v_proj": 3}},
    "patterns_of_paths": {
        "r": 4,
        "lora_alpha": 6,
        "rank_pattern": {"layers.1.self_attn.q_proj": 2, "q_proj": 7},
        "alpha_pattern": {r"layers\.0\..*_proj": 9, "q_proj": 5},
    },
    "patterns_with_rslora": {
        "r": 4,
        "lora_alpha": 6,
        "rank_pattern": {"q_proj": 9},
        "alpha_pattern": {"q_proj": 5},
        "use_rslora": True,
    },
}


def peft_model(folder):
    """Load the plain model that PEFT works on."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def train_elsewhere(folder, to, **options):
    """Write a random adapter with PEFT, and return what PEFT computes with it."""
    leaves = ["q_proj", "v_proj", "down_proj"]
    options = {"target_modules": leaves, "task_type": "CAUSAL_LM"} | options
    model = get_peft_model(peft_model(folder), LoraConfig(**options)).eval()
    generator = torch.Generator().manual_seed(5)
    for name, weight in model.named_parameters():
        if ".lora_" in name:
            weight.data = 0.2 * torch.randn(weight.shape, generator=generator)
    model.save_pretrained(to)
    return logits_of(model)


@pytest.fixture
def elsewhere(tiny_folder, tmp_path):
    """Return what writes an adapter of the random Llama with PEFT."""

    def written(**options):
        folder = tmp_path / "elsewhere"
        return folder, train_elsewhere(tiny_folder("llama"), folder, **options)

    return written


class TestRead:
    @pytest.mark.parametrize("options", PATTERNS.values(), ids=PATTERNS)
    def test_it_computes_what_peft_computes(self, llama, elsewhere, options):
        bare = logits_of(llama.model)
        folder, expected = elsewhere(**options)

        attach(llama, "live", read_foreign(folder))

        assert (expected - bare).abs().max() > 0.1
        assert_alike(logits(llama, "live"), expected)

    def test_so_does_one_of_gpt2(self, tiny_folder, load, tmp_path):
        base = load(tiny_folder("gpt2"))
        expected = train_elsewhere(
            tiny_folder("gpt2"),
            tmp_path / "elsewhere",
            r=4,
            lora_alpha=6,
            target_modules=["c_attn", "c_proj"],
            fan_in_fan_out=True,
        )

        attach(base, "live", read_foreign(tmp_path / "elsewhere"))

        assert_alike(logits(base, "live"), expected)

    def test_taken_in_it_is_portable(self, llama, elsewhere, tiny_folder, tmp_path):
        """
        What needs patterns and rsLoRA in PEFT needs neither once it was taken in.
        """
        folder, expected = elsewhere(**PATTERNS["patterns_with_rslora"])
        portable = tmp_path / "portable"

        write_portable(portable, read_foreign(folder), llama.identity, llama.targets)

        model = PeftModel.from_pretrained(peft_model(tiny_folder("llama")), portable)
        assert_alike(logits_of(model.eval()), expected)

    def test_half_precision_is_read_as_float32(self, elsewhere):
        folder, _ = elsewhere(r=4, lora_alpha=8)
        tensors = load_file(folder / ADAPTER_WEIGHTS)
        half = {name: tensor.bfloat16() for name, tensor in tensors.items()}
        save_file(half, folder / ADAPTER_WEIGHTS)

        for path, change in read_foreign(folder).items():
            name = f"base_model.model.{path}.lora_B.weight"
            assert torch.equal(change.up, half[name].float() * 2)


class TestRefused:
    @pytest.mark.parametrize(
        ("field", "options"),
        [
            ("use_dora", {"use_dora": True}),
            ("bias", {"bias": "lora_only"}),
            ("modules_to_save", {"modules_to_save": ["lm_head"]}),
            ("trainable_token_indices", {"trainable_token_indices": [3]}),
            ("alora_invocation_tokens", {"alora_invocation_tokens": [3, 4]}),
        ],
    )
    def test_what_is_more_than_factors(self, elsewhere, field, options):
        """
        Written by PEFT itself: to read the factors alone would be another change.
        """
        folder, _ = elsewhere(r=4, **options)

        with pytest.raises(
            AdapterError, match=rf"expected a plain LoRA, got {field}=.*; convert it"
        ):
            read_foreign(folder)

    @pytest.mark.parametrize("field", PLAIN)
    def test_every_field_that_must_be_plain(self, elsewhere, field):
        folder, _ = elsewhere(r=4)
        file = folder / ADAPTER_CONFIG
        file.write_text(json.dumps(json.loads(file.read_text()) | {field: "pissa"}))

        with pytest.raises(AdapterError, match=rf"plain LoRA, got {field}='pissa'"):
            read_foreign(folder)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"r": 5}, "q_proj: expected rank 5 by the configuration, got 4"),
            (
                {"lora_alpha": "8"},
                "q_proj: expected lora_alpha to be a number, got '8'",
            ),
            ({"lora_alpha": None}, "lora_alpha to be a number, got None"),
            ({"lora_alpha": float("inf")}, "lora_alpha to be a number, got inf"),
            ({"lora_alpha": float("nan")}, "lora_alpha to be a number, got nan"),
            ({"rank_pattern": {"(": 4}}, r"the pattern '\(' is not valid"),
        ],
    )
    def test_a_configuration_that_is_not_of_these_tensors(
        self, elsewhere, fields, message
    ):
        folder, _ = elsewhere(r=4, target_modules=["q_proj"])
        file = folder / ADAPTER_CONFIG
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

        with pytest.raises(AdapterError, match=message):
            read_foreign(folder)

    def test_pickle(self, elsewhere):
        folder, _ = elsewhere(r=4)
        torch.save(load_file(folder / ADAPTER_WEIGHTS), folder / "adapter_model.bin")
        (folder / ADAPTER_WEIGHTS).unlink()

        with pytest.raises(AdapterError, match=r"adapter_model\.bin may run code"):
            read_foreign(folder)


class TestHostile:
    """
    What is made to hold up whoever reads it: each is refused at once, in few words.
    """

    @pytest.fixture
    def adapter(self, elsewhere):
        """Folder of an adapter to change."""
        return elsewhere(r=4, target_modules=["q_proj"])[0]

    def refuse(self, adapter, reason):
        """Hold that an adapter is refused for a reason."""
        with pytest.raises(AdapterError, match=reason) as refusal:
            read_foreign(adapter)

        assert len(str(refusal.value)) < 1500

    def configure(self, adapter, **fields):
        """Change an adapter's configuration."""
        file = adapter / ADAPTER_CONFIG
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

    @pytest.mark.parametrize("name", ["rank_pattern", "alpha_pattern"])
    def test_a_slow_expression(self, adapter, name):
        self.configure(adapter, **{name: {r"((\w+\.?)+)+x": 4}})

        self.refuse(adapter, "is not valid: expected names of layers")

    def test_a_slow_pattern_is_matched_fast(self, adapter):
        self.configure(adapter, rank_pattern={".*" * 60 + "x": 3})

        assert len(read_foreign(adapter)) == 2

    def test_a_slow_expression_of_targets_is_not_evaluated(self, adapter):
        self.configure(adapter, target_modules=r"((\w+\.?)+)+x")

        assert len(read_foreign(adapter)) == 2

    @pytest.mark.parametrize("name", [ADAPTER_CONFIG, ADAPTER_WEIGHTS])
    @pytest.mark.parametrize("kind", ["pipe", "device"])
    def test_a_file_that_never_ends(self, adapter, name, kind):
        (adapter / name).unlink()
        if kind == "pipe":
            os.mkfifo(adapter / name)
        else:
            (adapter / name).symlink_to("/dev/zero")

        self.refuse(adapter, f"expected .*{re.escape(name)} in ")

    def test_a_large_configuration(self, adapter):
        self.configure(adapter, padding="x" * (1 << 20))

        self.refuse(
            adapter, r"adapter_config\.json of .* where at most 1048576 are read"
        )

    def test_a_header_of_many_megabytes(self, adapter):
        size = 60 << 20
        with (adapter / ADAPTER_WEIGHTS).open("wb") as file:
            file.write(size.to_bytes(8, "little"))
            file.truncate(size + 8)

        self.refuse(adapter, f"a header of at most 16777216 bytes, got one of {size}")

    @pytest.mark.parametrize(
        "fields",
        [
            {"use_dora": "x" * 500_000},
            {"bias": ["x"] * 100_000},
            {"r": "9" * 500_000},
            {"lora_alpha": 10**4000},
            {"rank_pattern": {"(" * 500_000: 1}},
        ],
        ids=lambda fields: next(iter(fields)),
    )
    def test_what_a_message_would_quote_is_cut(self, adapter, fields):
        self.configure(adapter, **fields)

        self.refuse(adapter, "expected")

    def test_a_name_of_many_letters(self, adapter):
        save_file({"x" * 500_000: torch.ones(1, 1)}, adapter / ADAPTER_WEIGHTS)

        self.refuse(adapter, "expected names of at most 300 letters, got 'xxx")


class TestBase:
    """
    What an adapter was made for: by its own words, and by a card of ours beside it.
    """

    BASE = BaseIdentity("builtin:nano", None, "a" * 64)

    @pytest.fixture
    def named(self, tmp_path):
        """Return what writes an adapter's configuration that names a base."""

        def written(name):
            text = json.dumps({"base_model_name_or_path": name})
            (tmp_path / ADAPTER_CONFIG).write_text(text)
            return tmp_path

        return written

    @pytest.mark.parametrize(
        "name", ["builtin:nano", "nano", "/models/nano", "/models/nano/", "me/nano"]
    )
    def test_the_same_name_is_taken(self, named, name):
        found = expect_own_base(named(name), self.BASE, force=False)

        assert found == MadeFor(name)

    @pytest.mark.parametrize("name", ["", None])
    def test_one_that_names_none_is_taken_with_a_word(self, named, name):
        found = expect_own_base(named(name), self.BASE, force=False)

        assert found.base is None
        assert "does not name the base" in found.warning

    @pytest.mark.parametrize("name", ["someone/another", "nano/other", "Nano2", "/"])
    def test_another_name_is_refused(self, named, name):
        with pytest.raises(
            AdapterError,
            match=rf"made for builtin:nano, got one made for '{name}'.*--force",
        ):
            expect_own_base(named(name), self.BASE, force=False)

    def test_forced_it_is_taken_with_a_warning(self, named):
        found = expect_own_base(named("someone/another"), self.BASE, force=True)

        assert found.base == "someone/another"
        assert "made for 'someone/another', not for builtin:nano" in found.warning

    def test_a_card_with_the_hash_of_the_base_is_enough(self, named):
        folder = named("/moved/elsewhere")
        (folder / "card.json").write_text(json.dumps({"base": {"sha256": "a" * 64}}))

        assert expect_own_base(folder, self.BASE, force=False).warning is None

    @pytest.mark.parametrize(
        "card", ["", "[]", '{"base": 1}', '{"base": {"sha256": ""}}', "[" * 100_000]
    )
    def test_a_card_without_it_is_not(self, named, card):
        folder = named("someone/another")
        (folder / "card.json").write_text(card)

        with pytest.raises(AdapterError, match="got one made for 'someone/another'"):
            expect_own_base(folder, self.BASE, force=False)

    def test_what_is_no_name_is_refused(self, named):
        with pytest.raises(AdapterError, match=r"to be a name, got \['nano'\]"):
            expect_own_base(named(["nano"]), self.BASE, force=True)


class TestMerge:
    def test_the_merged_model_computes_the_same_without_an_adapter(
        self, base, folder, random_changes, load, tmp_path
    ):
        changes = random_changes(base.targets)
        fresh = load(folder)
        attach(base, "live", changes)

        merge_into(fresh, changes, tmp_path / "merged")

        assert_alike(logits_of(load(tmp_path / "merged").model), logits(base, "live"))

    def test_the_base_carries_the_change_afterwards(
        self, base, random_changes, load, tmp_path
    ):
        merge_into(base, random_changes(base.targets), tmp_path / "merged")

        reloaded = load(tmp_path / "merged")

        assert torch.equal(logits_of(base.model), logits_of(reloaded.model))

    def test_nothing_to_merge_is_the_base_itself(self, tiny, load, tmp_path):
        base = load(tiny)

        merge_into(base, {}, tmp_path / "merged")

        merged = load(tmp_path / "merged")
        assert torch.equal(logits_of(merged.model), logits_of(load(tiny).model))

    def test_the_sum_is_rounded_once(self, load, random_changes, tmp_path):
        """
        A half-precision base: add in float32, then round; not round, then add.
        """
        half = load("builtin:nano", dtype="bfloat16")
        path, change = next(iter(random_changes(half.targets, size=0.02).items()))
        before = half.model.get_submodule(path).weight.clone()

        merge_into(half, {path: change}, tmp_path / "merged")

        weight = half.model.get_submodule(path).weight
        assert torch.equal(weight, (before.float() + dense(change)).bfloat16())
        assert not torch.equal(weight, before + dense(change).bfloat16())

    def test_the_tokenizer_goes_along(self, nano, tmp_path, load):
        merge_into(nano, {}, tmp_path / "merged")

        merged = load(tmp_path / "merged")
        assert merged.chat
        assert (
            merged.tokenizer("2 + 2?")["input_ids"]
            == (nano.tokenizer("2 + 2?")["input_ids"])
        )

    def test_a_change_of_another_base_is_refused(self, llama, tmp_path):
        with pytest.raises(AdapterError, match="none of this base's 14 target layers"):
            merge_into(llama, {"h.0": LowRank.zero((32, 32))}, tmp_path / "merged")

        assert not (tmp_path / "merged").exists()


@pytest.mark.shared
@pytest.mark.parametrize("name", ["tigrinya", "tigrinya_prev"])
class TestReal:
    @pytest.fixture
    def adapter(self, shared_data, name):
        """Folder of an adapter that was trained on the real gpt2."""
        return shared_data / "adapters" / name

    def test_it_is_b_times_a_times_its_scale(self, adapter):
        tensors = load_file(adapter / ADAPTER_WEIGHTS)

        found = read_foreign(adapter)

        assert len(found) == len(tensors) / 2 == 36
        for path, change in found.items():
            up, down = (
                tensors[f"base_model.model.{path}.lora_{factor}.weight"]
                for factor in "BA"
            )
            torch.testing.assert_close(
                dense(change), up @ down * (32 / 8), rtol=1e-5, atol=1e-7
            )

    def test_peft_adds_the_same_to_the_weights(self, adapter):
        """
        PEFT's own loading, onto gpt2's shapes; its layer says what it would add.
        """
        empty = GPT2Config(vocab_size=8, bos_token_id=0, eos_token_id=0)
        model = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_config(empty), adapter
        )

        for path, change in read_foreign(adapter).items():
            layer = model.base_model.model.get_submodule(path)
            added = layer.get_delta_weight("default").T  # (out, in)
            torch.testing.assert_close(dense(change), added, rtol=1e-5, atol=1e-7)

    def test_it_fits_gpt2_and_is_portable(self, adapter, llama, tmp_path):
        """
        The base itself is not here, so its shapes alone.
        """
        with torch.device("meta"):
            gpt2 = AutoModelForCausalLM.from_config(GPT2Config())
        targets = find_targets(gpt2, ["all-linear"])

        rank = write_portable(tmp_path, read_foreign(adapter), llama.identity, targets)

        assert rank == 8
        written = read_foreign(tmp_path)
        assert len(written) == 48
        assert_same(
            {path: written[path] for path in read_foreign(adapter)},
            read_foreign(adapter),
        )


@pytest.mark.shared
def test_the_real_spectrum_is_the_known_one(shared_data):
    """
    Found once on the dense lora_B @ lora_A, which its scale of 4 then multiplies.
    """
    path = "transformer.h.5.attn.c_attn"
    changes = read_foreign(shared_data / "adapters" / "tigrinya")

    sigma = decompose({path: changes[path]})[path].sigma

    unscaled = (sigma / 4).tolist()
    assert unscaled[:3] == pytest.approx([0.816, 0.427, 0.135], abs=5e-4)
    assert unscaled[7] == pytest.approx(0.031, abs=5e-4)
