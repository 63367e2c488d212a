"""The portable adapter: PEFT reads what is written, and nothing else is read back."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from sleepcycle.errors import AdapterError
from sleepcycle.files.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from sleepcycle.model.adapters import attach
from sleepcycle.model.portable import (
    MAX_RANK,
    RANKS,
    load_portable,
    portable_rank,
    read_config,
    read_factors,
    write_portable,
)
from sleepcycle.numerics.lowrank import LowRank, pad
from tests.model.conftest import assert_alike, assert_same, logits, logits_of

# PEFT asks transformers for it by its old name
pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
)

PATH = "model.layers.0.self_attn.q_proj"
DOWN = f"base_model.model.{PATH}.lora_A.weight"
UP = f"base_model.model.{PATH}.lora_B.weight"


@pytest.fixture
def write(llama, tmp_path):
    """Return what writes changes of the random Llama as a portable adapter."""

    def written(changes, name="adapter"):
        folder = tmp_path / name
        write_portable(folder, changes, llama.identity, llama.targets)
        return folder

    return written


@pytest.fixture
def adapter(write, random_changes, llama):
    """Folder of a sound portable adapter of rank 8."""
    return write(random_changes(llama.targets))


def reconfigure(folder, **fields):
    """Change fields of an adapter's configuration."""
    file = folder / ADAPTER_CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def retensor(folder, change):
    """Change an adapter's tensors."""
    tensors = load_file(folder / ADAPTER_WEIGHTS)
    change(tensors)
    save_file(tensors, folder / ADAPTER_WEIGHTS)


class TestWrite:
    def test_peft_computes_the_same_from_it(
        self, base, folder, random_changes, tmp_path
    ):
        changes = random_changes(base.targets)
        write_portable(tmp_path / "adapter", changes, base.identity, base.targets)
        attach(base, "live", changes)
        ours = logits(base, "live")

        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        served = PeftModel.from_pretrained(model, tmp_path / "adapter")

        assert_alike(logits_of(served.eval()), ours)

    def test_what_is_loaded_is_what_was_written(self, base, random_changes, tmp_path):
        """
        All but the width: it is padded to the next portable rank, with zeros.
        """
        changes = random_changes(base.targets)

        rank = write_portable(tmp_path, changes, base.identity, base.targets)

        assert rank == 8
        padded = {path: pad(change, 8) for path, change in changes.items()}
        assert_same(load_portable(tmp_path), padded)

    def test_padding_is_zero(self, adapter):
        for change in load_portable(adapter).values():
            assert (change.up[:, 3:] == 0).all()
            assert (change.down[3:] == 0).all()
            assert (change.up[:, :3] != 0).all()

    def test_the_same_changes_give_the_same_bytes(self, llama, random_changes, write):
        changes = random_changes(llama.targets)
        backward = dict(reversed(changes.items()))

        one, other = write(changes, "one"), write(backward, "other")

        for name in (ADAPTER_WEIGHTS, ADAPTER_CONFIG):
            assert (one / name).read_bytes() == (other / name).read_bytes()

    def test_a_layer_without_a_change_is_written_as_zero(
        self, llama, random_changes, write
    ):
        change = random_changes(llama.targets)[PATH]

        found = load_portable(write({PATH: change}))

        assert {path: c.shape for path, c in found.items()} == llama.targets.shapes
        for path, other in found.items():
            assert bool(other.up.any()) == (path == PATH)
            assert bool(other.down.any()) == (path == PATH)

    def test_half_precision_is_written_as_float32(self, llama, random_changes, write):
        change = random_changes(llama.targets)[PATH]
        half = LowRank(change.up.bfloat16(), change.down.bfloat16())

        folder = write({PATH: half})

        assert {t.dtype for t in load_file(folder / ADAPTER_WEIGHTS).values()} == {
            torch.float32
        }
        assert torch.equal(load_portable(folder)[PATH].up[:, :3], half.up.float())

    def test_the_configuration_says_all_that_a_server_needs(self, adapter, llama):
        config = read_config(adapter)

        assert config["r"] == config["lora_alpha"] == 8
        assert config["base_model_name_or_path"] == llama.identity.id
        assert config["target_modules"] == [
            "down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"
        ]  # fmt: skip
        assert config["fan_in_fan_out"] is False

    def test_changes_of_another_base_are_refused(self, write):
        with pytest.raises(AdapterError, match="none of this base's 14 target layers"):
            write({"model.layers.7.self_attn.q_proj": LowRank.zero((32, 32))})

    def test_too_high_a_rank_is_refused(self, write):
        wide = LowRank(torch.ones(32, 513), torch.ones(513, 32))

        with pytest.raises(AdapterError, match="rank 512 at most, got 513"):
            write({PATH: wide})


class TestRank:
    @pytest.mark.parametrize(
        ("rank", "portable"),
        [(0, 8), (1, 8), (8, 8), (9, 16), (65, 128), (257, 320), (321, 512)],
    )
    def test_it_is_the_next_that_servers_take(self, rank, portable):
        assert portable_rank(rank) == portable

    @pytest.mark.parametrize("rank", RANKS)
    def test_a_full_adapter_stays_as_wide_as_it_is(self, rank):
        assert portable_rank(rank) == rank


class TestConfiguration:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("use_rslora", True),
            ("use_dora", True),
            ("rank_pattern", {"q_proj": 4}),
            ("alpha_pattern", {"q_proj": 4}),
            ("bias", "all"),
            ("modules_to_save", ["lm_head"]),
            ("peft_type", "LOHA"),
            ("task_type", "SEQ_CLS"),
            ("lora_dropout", 0.1),
        ],
    )
    def test_what_servers_read_differently_is_refused(self, adapter, field, value):
        reconfigure(adapter, **{field: value})

        with pytest.raises(
            AdapterError, match=rf"expected {field} to be .*; take it in with: sleep"
        ):
            load_portable(adapter)

    @pytest.mark.parametrize(
        ("fields", "got"),
        [
            ({"r": 7, "lora_alpha": 7}, "got 7 and 7"),
            ({"lora_alpha": 16}, "got 8 and 16"),
            ({"r": None}, "got None and 8"),
            ({"r": [8]}, r"got \[8\] and 8"),
        ],
    )
    def test_a_rank_off_the_list_is_refused(self, adapter, fields, got):
        reconfigure(adapter, **fields)

        with pytest.raises(AdapterError, match=rf"one of \(8, 16, .*{got}"):
            load_portable(adapter)

    def test_a_rank_that_the_tensors_do_not_have_is_refused(self, adapter):
        reconfigure(adapter, r=16, lora_alpha=16)

        with pytest.raises(AdapterError, match="rank 16 in every layer, got 8 in"):
            load_portable(adapter)

    @pytest.mark.parametrize(
        "text", ["", "{", '{"r": 8', "\udcff", "[" * 100_000], ids=range(5)
    )
    def test_broken_json_is_refused(self, adapter, text):
        (adapter / ADAPTER_CONFIG).write_text(text, errors="surrogateescape")

        with pytest.raises(AdapterError, match=r"with adapter_config\.json in .*, got"):
            read_config(adapter)

    def test_json_that_is_no_object_is_refused(self, adapter):
        (adapter / ADAPTER_CONFIG).write_text("[8]")

        with pytest.raises(AdapterError, match="expected a JSON object, got list"):
            load_portable(adapter)

    def test_none_at_all_is_refused(self, adapter):
        (adapter / ADAPTER_CONFIG).unlink()

        with pytest.raises(AdapterError, match=r"an adapter with adapter_config\.json"):
            load_portable(adapter)


class TestTensors:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("name", [UP, DOWN])
    def test_what_is_no_number_is_refused(self, adapter, name, value):
        retensor(adapter, lambda tensors: tensors[name][0, 0].fill_(value))

        with pytest.raises(AdapterError, match=rf"{PATH} holds NaN or infinity"):
            load_portable(adapter)

    @pytest.mark.parametrize(("gone", "left"), [(UP, "A"), (DOWN, "B")])
    def test_half_a_pair_is_refused(self, adapter, gone, left):
        retensor(adapter, lambda tensors: tensors.pop(gone))

        with pytest.raises(AdapterError, match=rf"{PATH} has lora_{left} alone"):
            load_portable(adapter)

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((7, 32), r"got \(7, 32\) and \(32, 8\)"),
            ((0, 32), r"got \(0, 32\) and \(32, 8\)"),
            ((8,), r"two-dimensional .* of shape \(8,\)"),
            ((8, 32, 1), r"two-dimensional .* of shape \(8, 32, 1\)"),
        ],
    )
    def test_a_wrong_shape_is_refused(self, adapter, shape, message):
        retensor(adapter, lambda tensors: tensors.update({DOWN: torch.ones(shape)}))

        with pytest.raises(AdapterError, match=message):
            load_portable(adapter)

    def test_a_rank_beyond_reason_is_refused(self, adapter):
        """
        A file of a few bytes a row must not make the night compute for hours.
        """
        wide = {
            DOWN: torch.zeros(MAX_RANK + 1, 1),
            UP: torch.zeros(1, MAX_RANK + 1),
        }
        retensor(adapter, lambda tensors: tensors.update(wide))

        with pytest.raises(AdapterError, match=r"one rank in 1\.\.4096, got \(4097"):
            read_factors(adapter)

    @pytest.mark.parametrize(
        "name",
        [
            "lm_head.weight",
            f"{PATH}.lora_A.weight",
            f"base_model.model.{PATH}.lora_magnitude_vector.weight",
            "base_model.model.model.embed_tokens.lora_embedding_A",
            f"base_model.model.{PATH}.lora_B.bias",
        ],
    )
    def test_a_foreign_tensor_is_refused(self, adapter, name):
        retensor(adapter, lambda tensors: tensors.update({name: torch.ones(8, 32)}))

        with pytest.raises(AdapterError, match=rf"lora_B weights, got {name} of shape"):
            load_portable(adapter)

    def test_no_tensor_at_all_is_refused(self, adapter):
        retensor(adapter, dict.clear)

        with pytest.raises(AdapterError, match="lora_B weights, found none"):
            load_portable(adapter)

    @pytest.mark.parametrize("left", [0, 4, 100, -1])
    def test_a_file_cut_short_is_refused(self, adapter, left):
        file = adapter / ADAPTER_WEIGHTS
        file.write_bytes(file.read_bytes()[:left])

        with pytest.raises(AdapterError, match="expected whole safetensors, got"):
            load_portable(adapter)

    def test_a_pickle_is_named_and_stays_unread(self, adapter, tmp_path):
        """
        Opening it would write a file; that file must not be there.
        """
        (adapter / ADAPTER_WEIGHTS).unlink()
        trace = tmp_path / "opened"
        torch.save(_Trap(str(trace)), adapter / "adapter_model.bin")

        with pytest.raises(
            AdapterError,
            match=r"found none; adapter_model\.bin may run code when opened and was "
            r"not read: save it as safetensors first",
        ):
            load_portable(adapter)

        assert not trace.exists()

    def test_no_weights_at_all_are_refused(self, adapter):
        (adapter / ADAPTER_WEIGHTS).unlink()

        with pytest.raises(AdapterError, match=r"safetensors in .*, found none$"):
            load_portable(adapter)

    def test_names_with_the_name_of_an_adapter_are_read(self, adapter):
        """
        Older PEFT wrote `.default` into the names.
        """
        expected = read_factors(adapter)

        def rename(tensors):
            for name in list(tensors):
                tensors[name.replace(".weight", ".default.weight")] = tensors.pop(name)

        retensor(adapter, rename)

        assert_same(read_factors(adapter), expected)


class _Trap:
    """Leaves a file behind when its pickle is opened."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (self.file, "w")
