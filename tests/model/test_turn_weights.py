"""Answers in a row and weights of turns, by templates that keep earlier ones or not."""

import pytest
from transformers import AutoTokenizer

from sleepcycle.errors import ExampleError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.model.base import TextBase
from sleepcycle.model.encode import encode, render_prompt
from sleepcycle.records.content import Completion, Conversation
from tests.model import templates
from tests.model.templates import TALKS, TOOLS, answer, user

KEEP = ("PLAIN", "CALLS_TOOLS", "CLOSES_REASONING")
DROP = ("DROPS_REASONING", "OPENS_REASONING", "MARKS_LAST", "CHANNELS")


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(PACKAGE / "nano")


@pytest.fixture
def based(tokenizer):
    """Return what makes a base without weights by the name of a template."""

    def make(name: str) -> TextBase:
        tokenizer.chat_template = getattr(templates, name)
        return TextBase(tokenizer, 100_000, 0, chat=True)

    return make


def weights_of(word, encoded, base) -> list[set[float]]:
    """Return the weights of a word's tokens in each sequence that holds it."""
    found = []
    wanted = base.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
    for one in encoded:
        for at in range(len(one.ids)):
            if list(one.ids[at : at + len(wanted)]) == wanted:
                found.append(set(one.weights[at : at + len(wanted)]))
    return found


@pytest.mark.parametrize("name", [*KEEP, "OPENS_REASONING", "MARKS_LAST"])
def test_two_answers_in_a_row_are_each_learned_once(name, based):
    base = based(name)
    talk = Conversation((user("ask"), answer("a grey heron"), answer("a dark river")))

    encoded = encode(talk, base, prompt_weight=0)

    assert weights_of("heron", encoded, base).count({1.0}) == 1
    assert weights_of("river", encoded, base) == [{1.0}]


@pytest.mark.parametrize("name", ["DROPS_REASONING", "CHANNELS"])
def test_two_answers_in_a_row_are_refused_where_the_first_would_change(name, based):
    talk = Conversation((user("ask"), answer("a grey heron"), answer("a dark river")))

    with pytest.raises(ExampleError, match="an answer otherwise than it asks for one"):
        encode(talk, based(name), prompt_weight=0)


@pytest.mark.parametrize("name", ["ALTERNATES", "BRACKETS"])
def test_two_answers_in_a_row_are_refused_where_roles_alternate(name, based):
    talk = Conversation((user("ask"), answer("a grey heron"), answer("a dark river")))

    with pytest.raises(ExampleError, match="user, assistant, assistant: roles must"):
        encode(talk, based(name), prompt_weight=0)


@pytest.mark.parametrize("name", [*KEEP, *DROP])
@pytest.mark.parametrize("prompt_weight", [0.0, 0.5])
def test_an_answer_without_weight_counts_nowhere(name, prompt_weight, based):
    base = based(name)
    talk = Conversation(
        (
            user("ask"),
            answer("a grey heron", 0),
            user("ask"),
            answer("a dark river"),
            user("ask"),
            answer("an old mill", 0),
        )
    )

    encoded = encode(talk, base, prompt_weight=prompt_weight)

    assert weights_of("heron", encoded, base) == [{0.0}]
    assert weights_of("river", encoded, base) == [{1.0}]
    assert weights_of("mill", encoded, base) == []


@pytest.mark.parametrize("name", [*KEEP, *DROP])
def test_each_answer_has_its_own_weight(name, based):
    base = based(name)
    talk = Conversation(
        (user("ask"), answer("a grey heron", 0.25), user("ask"), answer("a river", 0.5))
    )

    encoded = encode(talk, base, prompt_weight=0)

    learned = [w for w in weights_of("heron", encoded, base) if w != {0.0}]
    assert learned == [{0.25}]
    assert weights_of("river", encoded, base) == [{0.5}]


@pytest.mark.parametrize("name", [*KEEP, *DROP])
def test_a_prompt_weight_counts_each_token_of_a_prompt_once(name, based):
    """
    What an earlier sequence of the conversation has counted counts no more.
    """
    base = based(name)
    talk = Conversation(
        (user("a grey heron"), answer("yes"), user("a dark river"), answer("no"))
    )

    encoded = encode(talk, base, prompt_weight=0.5)

    assert weights_of("heron", encoded, base).count({0.5}) == 1
    assert weights_of("river", encoded, base) == [{0.5}]


@pytest.mark.parametrize(
    ("talk", "key"),
    [
        (Conversation(TALKS["single"].messages, tools=TOOLS), "tools"),
        (Conversation(TALKS["single"].messages, template_args='{"a":1}'), "argument a"),
        (Conversation(TALKS["calls"].messages), "tool_calls"),
        (TALKS["reasoning"], "reasoning_content"),
    ],
)
def test_without_a_template_what_needs_one_is_named(talk, key, tokenizer):
    base = TextBase(tokenizer, 100_000, 0, chat=False)

    with pytest.raises(ExampleError, match=f"without a chat template .* {key}"):
        encode(talk, base, prompt_weight=0)


def test_what_is_asked_by_an_own_template_is_what_was_learned(load, tmp_path):
    file = tmp_path / "own.jinja"
    file.write_text("{{ 'LOUD ' }}" + templates.PLAIN)
    base = load("builtin:nano", chat_template=str(file))

    asked = render_prompt("ask", base)

    [encoded] = encode(Completion("ask", "heron"), base, prompt_weight=0)
    assert base.tokenizer.decode(asked) == "LOUD <|user|>ask<|end|><|assistant|>"
    assert list(encoded.ids[: len(asked)]) == asked
