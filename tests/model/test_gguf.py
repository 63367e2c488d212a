"""Bases in GGUF: found, looked at, loaded, and known by their bytes."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from sleepcycle.errors import ModelError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.model.base import hollow, load_base, load_text_base, skeleton
from sleepcycle.model.base_checks import check_loadable
from sleepcycle.model.base_files import (
    base_config,
    check_files,
    identify,
    locate,
    weight_shapes,
)
from sleepcycle.model.gguf_header import ArrayLength, read_header
from sleepcycle.model.loading import load_tokenizer
from sleepcycle.model.model_size import read_size, size_of
from sleepcycle.settings.config import ModelSettings
from tests.model.conftest import LLAMA_LIKE

gguf_files = pytest.importorskip(
    "tests.model.gguf_files", reason="needs the extra gguf", exc_type=ImportError
)
PROMPT = "what is the capital of France?"


@pytest.fixture(scope="session")
def whole():
    """A random Llama of transformers, of widths that can be packed in 32s."""
    config = LlamaConfig(**LLAMA_LIKE | {"intermediate_size": 64})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval()


@pytest.fixture(scope="session")
def exact(whole, tmp_path_factory):
    """The same as GGUF, in float32."""
    file = tmp_path_factory.mktemp("gguf") / "exact.gguf"
    return gguf_files.write_llama(file, whole, packed=False)


@pytest.fixture(scope="session")
def packed(whole, tmp_path_factory):
    """The same as GGUF, packed as Q8_0."""
    file = tmp_path_factory.mktemp("gguf") / "packed.gguf"
    return gguf_files.write_llama(file, whole)


def settings_of(place, **options):
    """Return the settings of a base."""
    return ModelSettings(base=str(place), **options)


class TestHeader:
    def test_what_it_says_is_what_was_written(self, packed, whole):
        header = read_header(packed)

        assert header.architecture == "llama"
        assert header.of_model("block_count") == whole.config.num_hidden_layers
        assert header.values["tokenizer.ggml.tokens"] == whole.config.vocab_size
        assert header.values["tokenizer.chat_template"] == gguf_files.CHAT

    def test_shapes_are_those_of_torch(self, packed, whole):
        counted = sum(weight.numel() for weight in whole.state_dict().values())
        shapes = weight_shapes(packed)

        assert shapes["blk.0.attn_k.weight"] == [16, 32]
        assert sum(torch.Size(shape).numel() for shape in shapes.values()) == counted

    def test_the_configuration_has_the_names_of_transformers(self, packed, whole):
        found = base_config(packed)

        assert found["hidden_size"] == whole.config.hidden_size
        assert found["vocab_size"] == whole.config.vocab_size
        assert "num_experts" not in found

    def test_it_is_as_large_as_the_model_that_was_written(self, packed, whole):
        shapes = {name: weight.shape for name, weight in whole.named_parameters()}

        found = read_size(settings_of(packed))

        assert found == size_of(shapes, whole.config.to_dict())

    def test_a_mixture_says_how_many_experts_a_token_goes_through(
        self, whole, tmp_path
    ):
        said = {"expert_count": 8, "expert_used_count": 2}
        said |= {"expert_feed_forward_length": 24}
        file = gguf_files.write_llama(
            tmp_path / "mixture.gguf",
            whole,
            **{f"llama__{key}": value for key, value in said.items()},
        )

        assert read_size(settings_of(file)).inner == 2 * 24

    def test_a_width_of_each_layer_is_not_taken_for_one_of_all(self, packed):
        """
        Of an array its length alone is known.
        """
        header = read_header(packed)
        values = {**header.values, "llama.feed_forward_length": ArrayLength(2)}

        assert replace(header, values=values).of_model("feed_forward_length") is None

    @pytest.mark.parametrize("size_bytes", [0, 3, 4, 30, 200, 5000, 14_000])
    def test_one_that_is_cut_is_refused(self, packed, tmp_path, size_bytes):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(packed.read_bytes()[:size_bytes])

        with pytest.raises(ModelError, match="GGUF"):
            read_header(cut)


class TestLoading:
    def test_logits_are_those_of_the_model_that_was_written(self, exact, whole, load):
        base = load(exact)
        ids = torch.arange(3, 20)[None]

        torch.testing.assert_close(base.model(ids).logits, whole(ids).logits)

    def test_packed_weights_become_ordinary_ones(self, packed, load):
        base = load(packed, dtype="bfloat16")

        assert base.model.dtype == torch.bfloat16
        assert not getattr(base.model, "is_quantized", False)
        assert getattr(base.model.config, "quantization_config", None) is None

    def test_the_tokenizer_is_that_of_the_file(self, packed, load):
        base = load(packed)
        own = AutoTokenizer.from_pretrained(PACKAGE / "nano")

        assert base.chat
        assert base.tokenizer.chat_template == gguf_files.CHAT
        ours, others = (
            each.encode(PROMPT, add_special_tokens=False)
            for each in (base.tokenizer, own)
        )
        assert ours == others

    def test_no_token_is_added_that_the_embedding_has_no_row_for(self, packed):
        """
        Transformers adds `<|endoftext|>` to a byte-level vocabulary without it.
        """
        tokenizer = load_tokenizer(packed)

        assert len(tokenizer) == 768
        assert max(tokenizer.encode("a<|endoftext|>b")) < 768

    def test_files_beside_it_are_not_read(self, packed, load, tmp_path):
        folder = tmp_path / "model"
        folder.mkdir()
        file = folder / "model.gguf"
        file.write_bytes(packed.read_bytes())
        (folder / "chat_template.jinja").write_text("other")
        (folder / "tokenizer_config.json").write_text(
            '{"tokenizer_class": "BertTokenizer"}'
        )

        base = load(file)

        assert base.tokenizer.chat_template == gguf_files.CHAT
        assert base.tokenizer.mask_token is None  # a BERT's has one

    def test_nothing_is_drawn_on_the_terminal(self, packed, load, capfd):
        load(packed)

        assert "de-quantizing" not in capfd.readouterr().err

    def test_text_and_layers_need_no_weights(self, packed, load):
        base = load(packed)
        settings = settings_of(packed)

        assert load_text_base(settings).tokenizer.encode("a") == (
            base.tokenizer.encode("a")
        )
        assert skeleton(settings).shapes == base.targets.shapes
        assert check_loadable(settings) is None


class TestUnpacked:
    @pytest.fixture
    def home_cache(self, tmp_path):
        """The cache of a home."""
        return tmp_path / "cache"

    def test_the_second_load_has_the_same_weights(self, packed, home_cache):
        first = load_base(settings_of(packed), device="cpu", cache=home_cache)
        copy = home_cache / "unpacked" / "model.safetensors"
        written = copy.stat().st_mtime_ns
        second = load_base(settings_of(packed), device="cpu", cache=home_cache)

        assert copy.stat().st_mtime_ns == written
        for name, weight in first.model.state_dict().items():
            assert torch.equal(weight, second.model.state_dict()[name])

    def test_a_copy_that_is_cut_is_made_anew(self, packed, home_cache):
        load_base(settings_of(packed), device="cpu", cache=home_cache)
        copy = home_cache / "unpacked" / "model.safetensors"
        whole = copy.read_bytes()
        copy.write_bytes(whole[:-10])

        load_base(settings_of(packed), device="cpu", cache=home_cache)

        assert copy.read_bytes() == whole

    def test_another_file_has_another_copy(self, packed, exact, home_cache):
        first = load_base(settings_of(packed), device="cpu", cache=home_cache)
        second = load_base(settings_of(exact), device="cpu", cache=home_cache)
        name = "model.layers.0.mlp.up_proj.weight"

        ours, others = (each.model.state_dict()[name] for each in (first, second))
        assert not torch.equal(ours, others)


class TestIdentity:
    def test_it_is_the_hash_of_the_file(self, packed, tmp_path):
        found = identify(settings_of(packed), tmp_path / "cache")

        assert found.sha256 == hashlib.sha256(packed.read_bytes()).hexdigest()
        assert found.quantization == "Q8_0"

    def test_it_is_remembered_with_how_weights_are_packed(self, packed, tmp_path):
        first = identify(settings_of(packed), tmp_path)
        known = json.loads((tmp_path / "base.json").read_text())
        (tmp_path / "base.json").write_text(
            json.dumps(known | {"quantization": "remembered"})
        )

        assert first.quantization == known["quantization"]
        assert identify(settings_of(packed), tmp_path).quantization == "remembered"


class TestPlace:
    def test_a_file_needs_no_ending(self, packed, tmp_path):
        blob = tmp_path / "sha256-0123"
        blob.write_bytes(packed.read_bytes())

        check_files(settings_of(blob))

    def test_a_folder_of_one_file_is_that_file(self, packed, tmp_path):
        (tmp_path / packed.name).write_bytes(packed.read_bytes())

        assert locate(settings_of(tmp_path)) == tmp_path / packed.name

    def test_what_reads_pictures_for_a_model_is_no_second_one(
        self, packed, whole, tmp_path
    ):
        (tmp_path / "model.gguf").write_bytes(packed.read_bytes())
        gguf_files.write_llama(tmp_path / "mmproj.gguf", whole, arch="clip")

        assert locate(settings_of(tmp_path)) == tmp_path / "model.gguf"

    def test_of_two_one_is_to_be_named(self, packed, tmp_path):
        for name in ("a.gguf", "b.gguf"):
            (tmp_path / name).write_bytes(packed.read_bytes())

        with pytest.raises(ModelError, match=r"name one of a\.gguf, b\.gguf"):
            locate(settings_of(tmp_path))


class TestRefused:
    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ({"general__type": "adapter"}, "an adapter in GGUF"),
            ({"general__type": "mmproj"}, "the part of a model that reads pictures"),
            ({"split__count": 3}, "one of 3 parts of a model"),
        ],
        ids=str,
    )
    def test_a_file_that_holds_no_whole_model(self, whole, tmp_path, said, reason):
        file = gguf_files.write_llama(tmp_path / "model.gguf", whole, **said)

        with pytest.raises(ModelError, match=reason):
            check_files(settings_of(file))

    def test_weights_that_are_cut(self, packed, tmp_path):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(packed.read_bytes()[:-100])

        with pytest.raises(ModelError, match=r"whose header speaks of .* cut short"):
            check_files(settings_of(cut))

    def test_an_architecture_that_transformers_does_not_read(self, whole, tmp_path):
        file = gguf_files.write_llama(tmp_path / "model.gguf", whole, arch="rwkv6")

        with pytest.raises(ModelError, match=r"architecture rwkv6 is not supported"):
            hollow(settings_of(file))
