"""Decoding: the tokens of transformers' `generate`, whatever the kind of model."""

import pytest
import torch
from transformers import (
    BloomConfig,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    GptOssConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    OPTConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    StableLmConfig,
)

from sleepcycle.model.decode import decode
from sleepcycle.model.encode import end_ids
from sleepcycle.model.plain_generate import is_decoded, plain_generate
from sleepcycle.model.row_state import Choice, Rows
from tests.model.conftest import COMMON, LLAMA_LIKE

FREE_HEADS = {k: v for k, v in LLAMA_LIKE.items() if k != "head_dim"}
EQUAL_HEADS = {k: v for k, v in FREE_HEADS.items() if k != "num_key_value_heads"}
SMALL = COMMON | {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
WINDOW = {"sliding_window": 6}
BY_TURNS = WINDOW | {"layer_types": ["sliding_attention", "full_attention"]}
EXPERTS = {"num_experts_per_tok": 2}
OPT = {"ffn_dim": 48, "word_embed_proj_dim": 32, "max_position_embeddings": 128}

MATRIX = {
    "llama": lambda: LlamaConfig(**LLAMA_LIKE),
    "qwen2": lambda: Qwen2Config(**FREE_HEADS),
    "qwen3": lambda: Qwen3Config(**LLAMA_LIKE),
    "qwen3-moe": lambda: Qwen3MoeConfig(
        **LLAMA_LIKE, **EXPERTS, num_experts=4, moe_intermediate_size=16
    ),
    "mixtral": lambda: MixtralConfig(**LLAMA_LIKE, num_local_experts=4),
    "mistral": lambda: MistralConfig(**LLAMA_LIKE, sliding_window=None),
    "mistral-window": lambda: MistralConfig(**LLAMA_LIKE, **WINDOW),
    "gemma2": lambda: Gemma2Config(**LLAMA_LIKE, **WINDOW),
    "gemma3": lambda: Gemma3TextConfig(**LLAMA_LIKE, **BY_TURNS),
    "phi3": lambda: Phi3Config(**FREE_HEADS),
    "gpt2": lambda: GPT2Config(n_embd=32, n_layer=2, n_head=4, **COMMON),
    "gpt-neox": lambda: GPTNeoXConfig(**EQUAL_HEADS),
    "opt": lambda: OPTConfig(**SMALL, **OPT, init_std=0.1),
    "falcon": lambda: FalconConfig(**SMALL),
    "falcon-alibi": lambda: FalconConfig(**SMALL, alibi=True),
    "bloom": lambda: BloomConfig(hidden_size=32, n_layer=2, n_head=4, **COMMON),
    "stablelm": lambda: StableLmConfig(**FREE_HEADS),
    "gpt-oss": lambda: GptOssConfig(
        **LLAMA_LIKE, **BY_TURNS, **EXPERTS, num_local_experts=4
    ),
}
LENGTHS = (9, 3, 1, 6, 4, 7)
NEW = 20


@pytest.fixture(params=MATRIX)
def kind(request, random_base):
    """A random base of each kind."""
    return random_base(MATRIX[request.param]())


def prompts(shared, lengths=LENGTHS):
    """Return random prompts that begin with so many tokens alike."""
    generator = torch.Generator().manual_seed(1)
    begin = torch.randint(3, 700, (shared,), generator=generator).tolist()
    rest = [torch.randint(3, 700, (n,), generator=generator) for n in lengths]
    return [begin + row.tolist() for row in rest]


def choice(penalty=1.0):
    """Return how to choose."""
    generator = torch.Generator().manual_seed(0)
    return Choice(0, torch.rand((len(LENGTHS), NEW), generator=generator), penalty)


def said(base, written):
    """Return tokens up to the end, which is among them."""
    ends = end_ids(base)
    cut = [next((i for i, t in enumerate(w.ids) if t in ends), NEW) for w in written]
    return [w.ids[: i + 1] for w, i in zip(written, cut, strict=True)]


@torch.no_grad()
def plain(base, asked, how):
    """Return what transformers' `generate` says."""
    return said(base, plain_generate(base, asked, how, seed=0))


class TestTokens:
    @pytest.mark.parametrize("shared", [0, 16])
    def test_they_are_those_of_plain_generate(self, kind, shared):
        asked = prompts(shared)

        with torch.no_grad():
            found = said(kind, decode(kind, asked, choice()))

        assert is_decoded(kind, 40)
        assert found == plain(kind, asked, choice())

    def test_they_are_with_fixed_shapes_too(self, kind):
        """
        As they are captured in a CUDA graph, which no machine without a GPU can show.
        """
        rows = Rows(kind, asked := prompts(16), choice())
        with torch.no_grad():
            rows.begin()
            rows.fix()
            while rows.written < rows.most:
                rows.advance()
                rows.count()
        done = rows.take_all()

        assert said(kind, [done[i] for i in range(6)]) == plain(kind, asked, choice())

    def test_tokens_that_were_there_are_less_likely_if_the_model_asks_for_it(
        self, random_base
    ):
        base = random_base(MATRIX["llama"](), repetition_penalty=1.5)
        asked = prompts(2, lengths=[4] * 6)  # transformers counts padding as said

        with torch.no_grad():
            found = said(base, decode(base, asked, choice(penalty=1.5)))

        assert found == plain(base, asked, choice(penalty=1.5))
        assert found != plain(random_base(MATRIX["llama"]()), asked, choice())

    def test_rows_that_end_leave_and_the_others_go_on(self, random_base):
        """
        What most rows say soon is made an end, so that the batch shrinks on the way.
        """
        base = random_base(MATRIX["llama"]())
        asked = prompts(0)
        usual = plain(base, asked, choice())
        ends = [row[2] for row in usual[:4]]
        base.model.generation_config.eos_token_id = ends
        seen = []
        hook = base.model.register_forward_pre_hook(
            lambda _, args, given: seen.append(given["input_ids"].shape[0]),
            with_kwargs=True,
        )

        with torch.no_grad():
            found = said(base, decode(base, asked, choice()))

        hook.remove()
        assert found == plain(base, asked, choice())
        assert seen[0] == 6
        assert 0 < seen[-1] <= 3

    def test_a_batch_stops_when_all_have_ended(self, random_base):
        base = random_base(MATRIX["llama"]())
        asked = prompts(0)
        first = {row[0] for row in plain(base, asked, choice())}
        base.model.generation_config.eos_token_id = sorted(first)

        with torch.no_grad():
            written = decode(base, asked, choice())

        assert {len(one.ids) for one in written} == {1}


class TestSharedBeginning:
    @pytest.mark.parametrize(
        ("kind", "shared", "read"),
        [
            ("llama", 16, [(1, 16), (6, 9)]),
            ("llama", 4, [(6, 13)]),
            ("mistral-window", 16, [(6, 25)]),
        ],
        ids=["long", "not worth a pass", "past a window"],
    )
    def test_it_is_read_once(self, random_base, kind, shared, read):
        base = random_base(MATRIX[kind]())
        rows = Rows(base, prompts(shared), choice())
        seen = []
        hook = base.model.register_forward_pre_hook(
            lambda _, args, given: seen.append(tuple(given["input_ids"].shape)),
            with_kwargs=True,
        )

        with torch.no_grad():
            rows.begin()

        hook.remove()
        assert seen == read

    def test_a_prompt_that_is_all_of_it_has_a_token_of_its_own(self, random_base):
        base = random_base(MATRIX["llama"]())
        [whole] = prompts(20, lengths=[3])
        asked = [whole, *([whole[:20]] * 5)]

        with torch.no_grad():
            found = said(base, decode(base, asked, choice()))

        assert found == plain(base, asked, choice())


class TestSteps:
    def test_undone_steps_leave_nothing(self, random_base):
        """
        A capture runs some to warm up.
        """
        base = random_base(MATRIX["llama"]())
        rows = Rows(base, asked := prompts(0), choice())
        with torch.no_grad():
            rows.begin()
            rows.fix()
            saved = rows.saved()
            for _ in range(3):
                rows.advance()
                rows.restore(saved)
            rows.grow()
            while rows.written < rows.most:
                rows.advance()
                rows.count()
        done = rows.take_all()

        assert said(base, [done[i] for i in range(6)]) == plain(base, asked, choice())


class TestIsDecoded:
    def test_a_model_with_rules_of_its_own_is_left_to_transformers(self, random_base):
        base = random_base(MATRIX["llama"](), no_repeat_ngram_size=2)

        assert not is_decoded(base, 40)

    def test_a_model_that_changes_its_positions_on_the_way_is_too(self, random_base):
        base = random_base(MATRIX["llama"]())
        base.model.config.original_max_position_embeddings = 39

        assert is_decoded(base, 39)
        assert not is_decoded(base, 40)
