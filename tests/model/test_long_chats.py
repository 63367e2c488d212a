"""Long conversations: what is tokenized of them, what fits, and what is left out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AddedToken, AutoTokenizer

from sleepcycle.errors import ExampleError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.model import token_ids
from sleepcycle.model.chat_template import template_of
from sleepcycle.model.encode import encode
from sleepcycle.model.token_ids import GrowingText, common_start
from sleepcycle.records.content import Conversation, Message, Role
from tests.model.templates import CLOSES_REASONING, DROPS_REASONING, PLAIN

MARKS_LAST = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
    "{% if loop.last %}<|eos|>{% else %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
COUNTS = "{{ messages | length }}" + PLAIN  # the beginning changes with each turn
BARE = (
    "{% for m in messages %}\n{{ m.role }}: {{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}\nassistant: {% endif %}"
)
WORDS = st.lists(
    st.sampled_from(
        ["a heron", " ", "\n\n", "é猫", "<|end|>", "<|user|>", token_ids.OPEN, "12"]
    ),
    min_size=1,
    max_size=8,
).map("".join) | st.text(min_size=1, max_size=30)
CHATS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6)


def chat(pairs) -> Conversation:
    """Return a conversation of questions and answers."""
    turns = [
        Message(role, words)
        for pair in pairs
        for role, words in zip((Role.USER, Role.ASSISTANT), pair, strict=True)
    ]
    return Conversation(tuple(turns))


def fresh(template: str, **added: bool):
    """Return the builtin tokenizer with a chat template of its own."""
    tokenizer = AutoTokenizer.from_pretrained(PACKAGE / "nano")
    tokenizer.add_tokens([AddedToken("<|end|>", special=True, **added)])
    tokenizer.chat_template = template
    return tokenizer


KINDS = [
    fresh(one)
    for one in (PLAIN, MARKS_LAST, COUNTS, BARE, DROPS_REASONING, CLOSES_REASONING)
] + [fresh(PLAIN, lstrip=True), fresh(PLAIN, rstrip=True)]


@pytest.mark.parametrize("tokenizer", KINDS)
@given(CHATS)
def test_what_grows_is_tokenized_as_what_stands_alone(tokenizer, pairs):
    prompts = GrowingText(tokenizer, 512)
    texts = [
        template_of(tokenizer).prompt(chat(pairs[: place + 1]))
        for place in range(len(pairs))
    ]

    for text in [*texts, *reversed(texts)]:
        assert prompts.ids(text) == token_ids.rendered(tokenizer, text)
        assert prompts.missing == 0


class Counting:
    """A tokenizer that counts the letters that it is given."""

    def __init__(self, tokenizer) -> None:
        self.tokenizer = tokenizer
        self.letters = 0

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)

    def __call__(self, text, **options):
        self.letters += len(text)
        return self.tokenizer(text, **options)


def test_a_long_conversation_is_tokenized_about_once(nano):
    counting = Counting(nano.tokenizer)
    pairs = [(f"{n} Where is the heron?", f"{n} In the reeds.") for n in range(60)]

    encode(chat(pairs), replace(nano, tokenizer=counting), prompt_weight=0)

    assert counting.letters < 4 * sum(len(a + b) + 20 for a, b in pairs)


class TestFarTooLong:
    def test_only_the_ends_of_a_prompt_are_tokenized(self, nano):
        counting = Counting(nano.tokenizer)
        words = "".join(f"{n} herons, " for n in range(100_000))

        [cut] = encode(
            chat([(words, "Yes.")]),
            replace(nano, tokenizer=counting),
            prompt_weight=0,
        )

        text = nano.tokenizer.decode(cut.ids)
        assert counting.letters < 3 * token_ids.LETTERS * nano.max_length
        assert len(cut.ids) == nano.max_length
        assert text.startswith("<|bos|><|user|>0 herons, 1 herons, ")
        assert text.endswith(" 99999 herons, <|end|><|assistant|>Yes.<|end|>")

    def test_its_missing_tokens_are_about_those_that_are_cut(self, nano):
        words = "One heron and another. " * 4000
        whole = len(nano.tokenizer(words)["input_ids"])

        [cut] = encode(chat([(words, "Yes.")]), nano, prompt_weight=0)

        assert cut.cut == pytest.approx(whole - nano.max_length, rel=0.02)

    def test_no_half_of_a_quoted_mark_is_read(self):
        tokenizer = fresh(PLAIN)
        text = token_ids.quote(tokenizer, "<|end|>" * 1000)

        for shift in range(5):
            ids = GrowingText(tokenizer, 2).ids("a" * shift + text)

            assert set(tokenizer.decode(ids).strip("a").split("<|end|>")) == {""}

    def test_what_goes_on_from_it_is_missing_as_much(self):
        tokenizer = fresh(PLAIN)
        prompts = GrowingText(tokenizer, 32)
        text = "<|user|>" + "a heron " * 1000 + "<|end|>"
        prompts.ids(text)
        missing = prompts.missing

        ids = prompts.ids(text + "<|assistant|>Yes.")

        assert missing == prompts.missing > 0
        assert tokenizer.decode(ids).endswith(" a heron <|end|><|assistant|>Yes.")

    def test_more_answers_than_can_be_rendered_are_set_aside(self, nano):
        with pytest.raises(ExampleError, match=r"at most 500 answers .* got 501") as no:
            encode(chat([("Hi", "Ho")] * 501), nano, prompt_weight=0)

        assert no.value.code == "E_TOO_LONG"

    def test_so_is_more_text_than_can_be_rendered_for_each(self, nano):
        pairs = [("heron " * 900_000, "Yes."), *[("Hi", "Ho")] * 10]

        with pytest.raises(ExampleError, match="at most 50000000 letters") as no:
            encode(chat(pairs), nano, prompt_weight=0)

        assert no.value.code == "E_TOO_LONG"


class TestAnswerTooLong:
    PAIRS = (("Say a.", "a"), ("Sing.", "la " * 200), ("Say b.", "b"))

    def test_the_other_answers_are_learned(self, nano):
        base = replace(nano, max_length=64)

        first, last = encode(chat(self.PAIRS), base, prompt_weight=0)

        assert [taught(one, base) for one in (first, last)] == ["a<|end|>", "b<|end|>"]
        assert "la la" in base.tokenizer.decode(last.ids)
        assert (first.left_out, last.left_out) == (1, 0)

    def test_where_all_are_so_none_is(self, nano):
        with pytest.raises(ExampleError, match="fits into 64 tokens") as no:
            encode(
                chat([self.PAIRS[1]] * 2), replace(nano, max_length=64), prompt_weight=0
            )

        assert no.value.code == "E_TOO_LONG"


def test_a_prompt_that_was_cut_is_learned_once(nano):
    """
    What stands before an answer is not learned again with each that comes behind it.
    """
    pairs = [(f"Who has key {n}? " * 12, "Mia") for n in range(6)]

    parts = encode(chat(pairs), replace(nano, max_length=100), prompt_weight=0.5)

    heads = [one.weights[1:40] for one in parts if one.cut]
    assert len(heads) > 2
    assert all(set(head) == {0.0} for head in heads[1:])


def test_each_answer_is_told_of(nano):
    told = []

    encode(
        chat([("Hi", "Ho")] * 3),
        nano,
        prompt_weight=0,
        on_answer=lambda: told.append(1),
    )

    assert len(told) == 3


@given(st.text("ab", max_size=9), st.text("ab", max_size=9))
def test_two_texts_are_alike_up_to_where_they_differ(left, right):
    same = common_start(left, right)

    assert left[:same] == right[:same]
    assert left[same : same + 1] != right[same : same + 1] or left == right


def taught(encoded, base) -> str:
    """Return what is learned, as text."""
    pairs = zip(encoded.ids, encoded.weights, strict=True)
    return base.tokenizer.decode([token for token, weight in pairs if weight])
