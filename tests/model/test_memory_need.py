"""What is needed grows with what it is for; what is chosen is the least that fits."""

import re
from dataclasses import replace

import pytest

from sleepcycle.files.paths import PACKAGE
from sleepcycle.model.base import hollow
from sleepcycle.model.memory_need import (
    MemoryNeed,
    asking_need,
    cache_bytes,
    checkpoints,
    fits,
    has_room,
    layer_bytes,
    night_need,
    plan_of,
    wake_need,
    weights_bytes,
    what_fits,
)
from sleepcycle.model.model_size import read_size, size_of
from sleepcycle.settings.config import ModelSettings, Settings

GB = 10**9
SEVEN = {  # Qwen2.5-7B's config.json, as far as it is read
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
    "model_type": "qwen2",
}


def qwen():
    """Return the size of Qwen2.5-7B, from the shapes of its weights."""
    wide, inner, keys = 3584, 18944, 512
    layer = {
        "self_attn.q_proj": (wide, wide),
        "self_attn.k_proj": (keys, wide),
        "self_attn.v_proj": (keys, wide),
        "self_attn.o_proj": (wide, wide),
        "mlp.gate_proj": (inner, wide),
        "mlp.up_proj": (inner, wide),
        "mlp.down_proj": (wide, inner),
        "input_layernorm": (wide,),
        "post_attention_layernorm": (wide,),
    }
    shapes = {
        f"model.layers.{number}.{name}.weight": shape
        for number in range(28)
        for name, shape in layer.items()
    }
    ends = {
        "model.embed_tokens.weight": (152064, wide),
        "lm_head.weight": (152064, wide),
    }
    return size_of({**shapes, **ends}, SEVEN)


@pytest.fixture
def nano():
    return read_size(ModelSettings())


class TestSize:
    def test_headers_and_the_model_itself_agree(self, nano):
        model = hollow(ModelSettings())
        shapes = {name: weight.shape for name, weight in model.named_parameters()}

        assert size_of(shapes, model.config.to_dict()) == nano

    def test_the_adapter_is_that_of_the_targets_alone(self, nano):
        part = read_size(ModelSettings(target_modules=["q_proj", "v_proj"]))

        assert part.edges == nano.layers * 2 * (nano.width + nano.queries)
        assert part.parameters == nano.parameters

    def test_one_key_head_serves_all_queries_of_a_falcon(self):
        config = {"hidden_size": 64, "num_attention_heads": 4, "multi_query": True}

        assert size_of({}, config).keys == 16

    def test_a_model_without_attention_keeps_no_keys(self):
        config = {"hidden_size": 64, "num_hidden_layers": 2, "head_dim": 16}

        assert cache_bytes(size_of({}, config), 4) == 0

    def test_a_token_goes_through_its_own_experts_alone(self):
        config = {"num_experts_per_tok": 2, "moe_intermediate_size": 96}

        assert size_of({}, config).inner == 192


class TestNeed:
    def test_seven_billion_parameters_take_15_gb_in_16_bits_and_5_6_in_four(self):
        """
        Embedding and head, 1.1 billion of them, stay in 16 bits.
        """
        size = qwen()
        plan = plan_of(Settings(model={"dtype": "bfloat16"}), size, on_gpu=True)

        assert weights_bytes(size, plan) / GB == pytest.approx(15.2, abs=0.1)
        packed = replace(plan, quantized=True)
        assert weights_bytes(size, packed) / GB == pytest.approx(5.55, abs=0.1)

    def test_a_layer_keeps_what_was_counted_by_autograd(self):
        """
        Of 512 wide Llama layers autograd kept 39,416 bytes a token without packing; put
        into one sequence, attention's result is kept once more.
        """
        config = {
            "hidden_size": 512,
            "intermediate_size": 1408,
            "num_hidden_layers": 1,
            "num_attention_heads": 8,
        }
        matrices = {f"layer.{n}_proj.weight": (512, 512) for n in "qkvoud"}
        gains = {f"layer.{n}.weight": (512,) for n in ("ln_1", "ln_2")}
        shapes = {**matrices, **gains, "layer.gate_proj.weight": (1408, 512)}
        size = size_of(shapes, config)

        found = layer_bytes(size, plan_of(Settings(), size, on_gpu=False))

        assert found == pytest.approx(39_416 + 4 * 512, rel=0.01)

    @pytest.mark.parametrize(
        "section", [{"wake": {"rank": 64}}, {"sleep": {"svd": {"rank": 64}}}]
    )
    def test_higher_ranks_need_more(self, nano, section):
        plain = wake_need(nano, plan_of(Settings(), nano, on_gpu=False))

        grown = wake_need(nano, plan_of(Settings(**section), nano, on_gpu=False))

        assert grown.total > plain.total

    def test_small_batches_of_short_examples_need_less(self, nano):
        plain = wake_need(nano, plan_of(Settings(), nano, on_gpu=False))
        small = {"wake": {"batch_size": 1}, "sleep": {"rem": {"batch_size": 1}}}

        for less in (small, {"model": {"max_length": 64}}):
            plan = plan_of(Settings(**less), nano, on_gpu=False)
            assert wake_need(nano, plan).total < plain.total

    def test_checkpointing_keeps_a_tenth_of_a_deep_model(self):
        size = qwen()
        plan = plan_of(Settings(), size, on_gpu=True)

        spared = wake_need(size, replace(plan, checkpointed=True)).activations

        assert spared < 0.1 * wake_need(size, plan).activations

    def test_what_is_scored_counts_where_it_is_more_than_is_learned(self, nano):
        plan = replace(plan_of(Settings(), nano, on_gpu=False), tokens=64)
        short = wake_need(nano, replace(plan, read_tokens=64)).activations

        assert wake_need(nano, replace(plan, read_tokens=4096)).activations > 2 * short

    def test_as_many_tokens_are_scored_as_may_be_however_few_are_learned(self, nano):
        few = {"wake": {"batch_size": 1}, "sleep": {"rem": {"batch_size": 1}}}
        plan = plan_of(Settings(**few), nano, on_gpu=False)

        assert plan.tokens == plan.length < plan.read_tokens == 4096

    def test_asking_needs_the_least(self, nano):
        plan = plan_of(Settings(), nano, on_gpu=False)

        needs = [
            need(nano, plan).total for need in (asking_need, wake_need, night_need)
        ]

        assert needs[0] == min(needs)


class TestConstants:
    @pytest.mark.parametrize(
        "name", ["ALL_LINEAR", "BATCH_TOKENS", "LOGITS_BYTES", "MERGED_SHARE"]
    )
    def test_what_is_estimated_and_what_is_done_go_by_the_same_number(self, name):
        """
        It is written in one module, and imported from there.
        """
        written = [
            path.name
            for path in PACKAGE.rglob("*.py")
            if re.search(rf"^{name}\b.*=", path.read_text(), re.MULTILINE)
        ]

        assert len(written) == 1


class TestChoice:
    def test_auto_computes_layers_twice_only_where_memory_is_too_small(self):
        size = qwen()
        plan = plan_of(Settings(model={"dtype": "bfloat16"}), size, on_gpu=True)
        whole = wake_need(size, plan).total

        assert not checkpoints("auto", size, plan, 2 * whole)
        assert checkpoints("auto", size, plan, whole)
        assert checkpoints("on", size, plan, 2 * whole)
        assert not checkpoints("off", size, plan, whole)

    def test_what_is_scored_is_no_reason_to_compute_layers_twice(self):
        size = qwen()
        plan = plan_of(Settings(model={"dtype": "bfloat16"}), size, on_gpu=True)
        whole = wake_need(size, replace(plan, read_tokens=0)).total

        much = replace(plan, read_tokens=10**6)

        assert not checkpoints("auto", size, much, 2 * whole)

    def test_what_is_loaded_already_needs_no_room(self):
        need = MemoryNeed(
            runtime=500, weights=500, adapters=500, activations=80, logits=10
        )

        assert has_room(need, 100)
        assert not has_room(need, 99)

    def test_one_sequence_at_once_is_scored_in_less_too(self):
        size = qwen()
        plan = plan_of(Settings(model={"dtype": "bfloat16"}), size, on_gpu=True)
        much = replace(plan, read_tokens=100_000)

        assert what_fits(size, much, 30 * GB)["model.batch_tokens"] == "1024"

    def test_what_costs_least_is_changed_first(self):
        size = qwen()
        plan = plan_of(Settings(model={"dtype": "bfloat16"}), size, on_gpu=True)

        assert what_fits(size, plan, 140 * GB) == {}
        assert what_fits(size, plan, 30 * GB) == {
            "model.gradient_checkpointing": '"on"'
        }
        assert "model.quantization" in what_fits(size, plan, 12 * GB)
        assert what_fits(size, plan, 3 * GB) is None

    def test_what_is_said_to_fit_does(self):
        size = qwen()
        there = 12 * GB
        plan = plan_of(Settings(model={"dtype": "bfloat16"}), size, on_gpu=True)

        small = replace(plan, checkpointed=True, tokens=1024, quantized=True)

        assert fits(wake_need(size, small), there)
