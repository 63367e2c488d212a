"""Conversations by templates of every kind: learned as they are asked, or refused."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from sleepcycle.errors import ExampleError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.model import token_ids
from sleepcycle.model.base import TextBase
from sleepcycle.model.chat_template import template_of
from sleepcycle.model.encode import encode
from sleepcycle.records.content import Conversation, ToolCall
from tests.model import templates
from tests.model.templates import REASON, TALKS, answer, user

OURS = {
    name: source
    for name, source in vars(templates).items()
    if name.isupper() and not name.startswith("_") and isinstance(source, str)
}
del OURS["TOOLS"]


def shipped() -> dict[str, Path]:
    """Return the templates that TRL ships, by their names; TRL is not imported."""
    found = find_spec("trl")
    if found is None or not found.submodule_search_locations:
        return {}
    folder = Path(found.submodule_search_locations[0]) / "chat_templates"
    return {path.stem: path for path in sorted(folder.glob("*.jinja"))}


SHIPPED = shipped()
no_trl = pytest.mark.skipif(not SHIPPED, reason="trl, which ships templates, is absent")
WORDS = ("grey heron", "dark river", "think once", "think again", "lamp", "hall")
ALWAYS = {"single", "multi", "system", "newline"}
EVERYTHING = set(TALKS)
UNTOLD = EVERYTHING - {"tools", "calls"}
SILENT = EVERYTHING - {"reasoning"}
LEARNED = {
    "PLAIN": UNTOLD - {"reasoning"},
    "CALLS_TOOLS": SILENT,
    "CALLS_BY_TEXT": SILENT,
    "DROPS_REASONING": EVERYTHING,
    "OPENS_REASONING": UNTOLD,
    "CLOSES_REASONING": UNTOLD - {"reasoning"},
    "MARKS_LAST": UNTOLD - {"reasoning"},
    "CHANNELS": EVERYTHING,
    "ALTERNATES": ALWAYS | {"marked"},
    "BRACKETS": ALWAYS | {"marked"},
    "IN_PARTS": UNTOLD - {"reasoning"},
    "STRIPS": ALWAYS | {"two users"},
}
"""What each of our templates can learn from; all else is refused."""

FAMILIES = {
    "qwen3": EVERYTHING,
    "qwen3_5_nothink": EVERYTHING - {"reasoning", "marked"},
    "qwen2_5": SILENT,
    "phi3": UNTOLD - {"reasoning"},
    "gptoss": EVERYTHING,
    "deepseek_r1_distill": UNTOLD,
    "deepseekv3": UNTOLD,
    "gemma": ALWAYS | {"marked"},
    "gemma3": ALWAYS | {"marked"},
    "llama3": UNTOLD - {"reasoning"},
    "llama3_1": SILENT,
}
"""The same for families that many bases are of."""


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(PACKAGE / "nano")


@pytest.fixture
def based(tokenizer):
    """Return what makes a base without weights by a template."""

    def make(source: str, most: int = 100_000) -> TextBase:
        tokenizer.chat_template = source
        return TextBase(tokenizer, most, 0, chat=True)

    return make


def learned_words(encoded, base) -> str:
    """Return all that counts in the loss of one sequence."""
    pairs = zip(encoded.ids, encoded.weights, strict=True)
    return base.tokenizer.decode([token for token, weight in pairs if weight])


def hold_to_the_law(talk, base) -> None:
    """Hold each answer of a conversation to what it will be asked as.

    Raises:
        ExampleError: The template refuses it.
    """
    template = template_of(base.tokenizer)
    places = [n for n, turn in enumerate(talk.messages) if turn.is_learned]
    encoded = encode(talk, base, prompt_weight=0)
    learned = [learned_words(one, base) for one in encoded]

    answers = list(template.answers(talk))
    said = [len(token_ids.rendered(base.tokenizer, one.said)) for one in answers]
    assert sum(one.learned for one in encoded) == sum(said)  # nothing twice
    for place, found in zip(places, answers, strict=True):
        turn = talk.messages[place]
        asked = replace(talk, messages=talk.messages[:place])
        assert found.prompt == template.prompt(asked)
        ids = tuple(token_ids.rendered(base.tokenizer, found.prompt))
        assert any(one.ids[: len(ids)] == ids for one in encoded)
        spoken = f"{turn.content} {turn.reasoning} {turn.tool_calls}"
        for word in (word for word in WORDS if word in spoken):
            assert word in found.said
            assert sum(word in one for one in learned) == 1


def expect(name: str, kind: str, base: TextBase, *, learned: bool) -> None:
    """Hold a kind to being learned by the law, or to being refused by its name."""
    if learned:
        return hold_to_the_law(TALKS[kind], base)
    with pytest.raises(ExampleError, match=REASON[kind]) as refused:
        encode(TALKS[kind], base, prompt_weight=0)
    assert refused.value.code == "E_TEMPLATE", name


@pytest.mark.parametrize("kind", TALKS)
@pytest.mark.parametrize("name", LEARNED)
def test_our_templates_learn_by_the_law_or_name_what_they_lack(name, kind, based):
    expect(name, kind, based(OURS[name]), learned=kind in LEARNED[name])


def test_each_of_our_templates_is_tried():
    assert set(OURS) == set(LEARNED)


@no_trl
@pytest.mark.parametrize("kind", TALKS)
@pytest.mark.parametrize("name", FAMILIES)
def test_of_each_family_it_is_known_what_is_learned(name, kind, based):
    if name not in SHIPPED:
        pytest.skip(f"this TRL ships no template {name}")
    source = SHIPPED[name].read_text(encoding="utf-8")

    expect(name, kind, based(source), learned=kind in FAMILIES[name])


@pytest.mark.parametrize("kind", TALKS)
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=name) for name, path in SHIPPED.items()]
    or [pytest.param(None, marks=no_trl)],
)
def test_every_template_that_trl_ships_learns_by_the_law_or_names_what_it_lacks(
    path, kind, based
):
    base = based(path.read_text(encoding="utf-8"))
    refused = None
    try:
        hold_to_the_law(TALKS[kind], base)
    except ExampleError as error:
        refused = error

    if refused:
        assert kind not in ALWAYS
        assert refused.code == "E_TEMPLATE"
        assert REASON[kind] in str(refused)


class TestCalls:
    def test_arguments_are_json_where_a_template_prints_them_bare(self, based):
        [call, _] = template_of(based(OURS["CALLS_BY_TEXT"]).tokenizer).answers(
            TALKS["calls"]
        )

        assert '<call>lamp {"room":"hall"}</call>' in call.said

    def test_control_tokens_in_keys_of_arguments_are_plain_words(self, based):
        base = based(OURS["CALLS_TOOLS"])
        called = ToolCall("lamp", '{"<|eos|>":"<|eos|>"}')
        talk = Conversation((user("ask"), answer("", tool_calls=(called,))))

        [encoded] = encode(talk, base, prompt_weight=0)

        assert base.tokenizer.eos_token_id not in encoded.ids
        assert base.tokenizer.decode(encoded.ids).count("<|eos|>") == 2


class TestArguments:
    """What a row gives the template beside its turns."""

    def test_they_reach_the_template(self, based):
        base = based("{% if shout %}LOUD{% endif %}" + OURS["PLAIN"])
        talk = replace(TALKS["single"], template_args='{"shout":true}')

        [found] = template_of(base.tokenizer).answers(talk)

        assert found.prompt.startswith("LOUD")

    def test_control_tokens_in_them_are_plain_words(self, based):
        base = based("{{ note }}" + OURS["PLAIN"])
        talk = replace(TALKS["single"], template_args='{"note":"<|eos|>"}')

        [encoded] = encode(talk, base, prompt_weight=0)

        assert base.tokenizer.eos_token_id not in encoded.ids

    def test_one_that_the_template_does_not_read_is_named(self, based):
        talk = replace(TALKS["single"], template_args='{"enable_thinking":false}')

        with pytest.raises(ExampleError, match="template argument enable_thinking"):
            encode(talk, based(OURS["PLAIN"]), prompt_weight=0)


@pytest.mark.parametrize(
    "fault",
    [
        "{{ 1 / 0 }}",
        "{% for i in range(10**12) %}x{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ none + 1 }}",
        "{{ nothing.at.all }}",
        "{% if %}",
    ],
)
def test_a_template_that_fails_is_refused_in_words(fault, based):
    with pytest.raises(ExampleError, match="the chat template refuses turns of user"):
        encode(TALKS["single"], based(fault + OURS["PLAIN"]), prompt_weight=0)
