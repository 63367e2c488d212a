"""Text as token ids: control tokens of content are words, the template's are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AddedToken, AutoTokenizer

from sleepcycle.files.paths import PACKAGE
from sleepcycle.model import token_ids
from sleepcycle.model.text_windows import split_text

NANO = AutoTokenizer.from_pretrained(PACKAGE / "nano")
SPECIAL = set(NANO.all_special_ids)
PIECES = st.sampled_from(
    [
        *NANO.all_special_tokens,
        "<|",
        "|>",
        "a river",
        " ",
        "\n",
        "é猫",
        token_ids.OPEN,
        token_ids.CLOSE,
        "0",
        "12",
        f"{token_ids.OPEN}0{token_ids.CLOSE}",
        f"{token_ids.OPEN}999{token_ids.CLOSE}",
    ]
)
WORDS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40)


def decoded(ids) -> str:
    """Return what ids stand for, as it is."""
    return NANO.decode(ids, skip_special_tokens=False)


@given(WORDS)
def test_no_control_token_of_content_is_one(words):
    ids = token_ids.plain(NANO, words)

    assert not SPECIAL & set(ids)
    assert decoded(ids) == words


@given(WORDS)
def test_what_was_quoted_is_put_back(words):
    assert token_ids.unquote(NANO, token_ids.quote(NANO, words)) == words


@given(WORDS)
def test_quoted_content_holds_no_control_token_and_is_read_as_it_was(words):
    quoted = token_ids.quote(NANO, words)
    ids = token_ids.rendered(NANO, quoted)

    assert not SPECIAL & set(ids)
    assert decoded(ids) == words


@given(WORDS, WORDS)
def test_what_the_template_says_around_it_stays_a_control_token(first, second):
    parts = (token_ids.quote(NANO, one) for one in (first, second))
    ids = token_ids.rendered(NANO, "<|user|>{}<|end|>{}<|eos|>".format(*parts))

    assert [NANO.decode([i]) for i in ids if i in SPECIAL] == [
        "<|user|>",
        "<|end|>",
        "<|eos|>",
    ]
    assert decoded(ids) == f"<|user|>{first}<|end|>{second}<|eos|>"


@given(st.text(alphabet="abc <|>\n", max_size=60))
def test_text_without_control_tokens_is_tokenized_as_usual(words):
    usual = NANO(words, add_special_tokens=False)["input_ids"]

    assert token_ids.rendered(NANO, token_ids.quote(NANO, words)) == usual


def test_the_longer_of_two_control_tokens_is_the_one_quoted(tokenizer):
    tokenizer.add_tokens(["<|end|>er"], special_tokens=True)

    quoted = token_ids.quote(tokenizer, "<|end|>er<|end|>")

    assert token_ids.unquote(tokenizer, quoted) == "<|end|>er<|end|>"
    assert quoted.count(token_ids.OPEN) == 2


def test_a_tokenizer_without_control_tokens_quotes_none(tokenizer):
    bare = tokenizer.__class__(
        tokenizer_object=tokenizer.backend_tokenizer.__class__.from_str(BARE)
    )

    assert token_ids.quote(bare, "<|end|> a") == "<|end|> a"


class TestAddedTokens:
    """Those that are not special: a tokenizer makes them tokens wherever they stand."""

    KEPT = ("<think>", "<h1>", "\n\n", "  ", "7", "river", "||")
    WORDS = "say <tool_call>{}</tool_call><|fim|> now"

    @pytest.fixture
    def marked(self, tokenizer):
        """A tokenizer with marks such as Qwen's."""
        names = ["<tool_call>", "</tool_call>", "<|fim|>", *self.KEPT]
        tokenizer.add_tokens([AddedToken(name, special=False) for name in names])
        return tokenizer

    @pytest.mark.parametrize("quoted", [True, False])
    def test_content_does_not_write_them(self, marked, quoted):
        ids = (
            token_ids.rendered(marked, token_ids.quote(marked, self.WORDS))
            if quoted
            else token_ids.plain(marked, self.WORDS)
        )

        assert not set(marked.added_tokens_encoder.values()) & set(ids)
        assert marked.decode(ids) == self.WORDS

    def test_the_template_does(self, marked):
        mark = marked.convert_tokens_to_ids("<tool_call>")

        assert mark in token_ids.rendered(marked, "<tool_call>{}")

    @pytest.mark.parametrize("name", KEPT)
    def test_what_content_is_made_of_stays_a_token(self, marked, name):
        mark = marked.convert_tokens_to_ids(name)

        assert mark in token_ids.plain(marked, f"a{name}b")
        assert mark in token_ids.rendered(marked, token_ids.quote(marked, name))

    def test_one_within_another_is_none_either(self, tokenizer):
        tokenizer.add_tokens(["<|a|><|b|>", "<|b|>", "|><|"])

        ids = token_ids.plain(tokenizer, "<|a|><|b|>")

        assert not set(tokenizer.added_tokens_encoder.values()) & set(ids)

    def test_a_long_text_with_them_is_split_as_it_is_tokenized(self, marked):
        text = f"{self.WORDS}. " * 40

        windows = split_text(marked, text, 64, 0)

        assert [i for one in windows for i in one.ids] == token_ids.plain(marked, text)
        assert max(len(one.ids) for one in windows) <= 64


@pytest.fixture
def tokenizer():
    """One to change."""
    return AutoTokenizer.from_pretrained(PACKAGE / "nano")


BARE = (
    '{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],'
    '"normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":null,'
    '"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}'
)
