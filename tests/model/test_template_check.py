"""What a template leaves out or changes is found, and nobody learns from it."""

import json
from dataclasses import replace

import pytest
from transformers import AutoTokenizer

from sleepcycle.errors import ExampleError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.model.chat_template import template_of
from sleepcycle.records.content import Conversation, Message, Role, ToolCall
from tests.model import templates
from tests.model.templates import CALLS_TOOLS, PLAIN, TALKS, answer, user

TURNS = "{% for m in messages %}"
LEADING = TURNS + (
    "{% if m.role != 'system' or loop.first %}<|{{ m.role }}|>{{ m.content }}<|end|>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""A system turn is rendered where it comes first, and dropped elsewhere."""

GREETS = (
    "{% if messages[0].role != 'system' %}<|system|>You help.<|end|>{% endif %}" + PLAIN
)
NEEDS_SYSTEM = (
    "{% if messages[0].role != 'system' %}"
    "{{ raise_exception('a system turn comes first') }}{% endif %}"
)
FIRST_CALL = CALLS_TOOLS.replace("m.tool_calls or []", "(m.tool_calls or [])[:1]")
ONLY_TEXTS = CALLS_TOOLS.replace(
    "{{ c.function.arguments | tojson }}",
    "{% for k, v in c.function.arguments.items() %}{% if v is string %}"
    "<{{ k }}>{{ v }}</{{ k }}>{% endif %}{% endfor %}",
)
AS_XML = ONLY_TEXTS.replace("{% if v is string %}", "").replace(
    "{{ v }}</{{ k }}>{% endif %}",
    "{{ v if v is string else v | tojson(indent=2) }}</{{ k }}>",
)
NAMES_OF_TOOLS = CALLS_TOOLS.replace(
    "{{ tools | tojson }}", "{% for t in tools %}{{ t.function.name }} {% endfor %}"
)


def system(words: str) -> Message:
    """Return a system turn."""
    return Message(Role.SYSTEM, words)


def calling(*arguments: str, **more: float) -> Message:
    """Return an answer that calls a tool with each of several arguments."""
    calls = (ToolCall("lamp", text, f"c1234567{n}") for n, text in enumerate(arguments))
    return answer("", tool_calls=tuple(calls), **more)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(PACKAGE / "nano")


@pytest.fixture
def by(tokenizer):
    """Return what gives a chat template by its source."""

    def make(source):
        tokenizer.chat_template = source
        return template_of(tokenizer)

    return make


class TestParts:
    @pytest.mark.parametrize(
        "source",
        [
            NEEDS_SYSTEM + PLAIN,
            NEEDS_SYSTEM + PLAIN.replace("m.content", "m.content | trim"),
        ],
    )
    def test_a_template_that_refuses_a_lone_user_gets_plain_text(self, source, by):
        [found] = by(source).answers(TALKS["system"])

        assert found.said == "grey heron<|end|>"

    def test_one_that_takes_both_a_lone_user_and_parts_gets_what_it_renders(self, by):
        [found] = by(NEEDS_SYSTEM + templates.IN_PARTS).answers(TALKS["system"])

        assert found.said == "grey heron<|end|>"

    @pytest.mark.parametrize("change", ["replace('slowly', 'fast')", "string | upper"])
    def test_one_that_changes_words_never_gets_parts(self, change, by):
        template = by(PLAIN.replace("m.content", f"m.content | {change}"))

        prompt = template.prompt(Conversation((user("ask one"),)))

        assert "type" not in prompt.lower()

    def test_what_it_has_is_found_though_it_needs_a_system_turn(self, by):
        able = by(NEEDS_SYSTEM + templates.DROPS_REASONING).abilities

        assert able.tools
        assert able.tool_calls
        assert able.tool_turns
        assert able.reasoning


class TestSystem:
    def test_one_behind_an_answer_goes_to_the_next_user(self, by):
        talk = Conversation(
            (*TALKS["system"].messages, system("be loud"), user("ask"), answer("river"))
        )

        first, second = by(LEADING).answers(talk)

        assert first.prompt == (
            "<|system|>be brief<|end|><|user|>ask one<|end|><|assistant|>"
        )
        assert second.prompt.endswith("<|user|>be loud\n\nask<|end|><|assistant|>")

    def test_a_second_one_goes_to_the_first_user(self, by):
        talk = Conversation((system("be"), system("loud"), user("ask"), answer("a")))

        [found] = by(LEADING).answers(talk)

        assert found.prompt == (
            "<|system|>be<|end|><|user|>loud\n\nask<|end|><|assistant|>"
        )

    def test_all_stay_where_they_are_rendered(self, by):
        talk = Conversation(
            (system("be"), system("loud"), user("ask"), system("now"), answer("a"))
        )

        [found] = by(PLAIN).answers(talk)

        assert found.prompt == (
            "<|system|>be<|end|><|system|>loud<|end|><|user|>ask<|end|>"
            "<|system|>now<|end|><|assistant|>"
        )

    def test_the_last_before_an_answer_goes_behind_the_users(self, by):
        talk = Conversation((user("ask"), system("be loud"), answer("a")))

        [found] = by(LEADING).answers(talk)

        assert found.prompt == "<|user|>ask\n\nbe loud<|end|><|assistant|>"

    def test_none_goes_behind_the_answer_that_it_is_for(self, by):
        """
        Nor to a user's whose answer was asked for without it.
        """
        talk = Conversation(
            (user("ask"), answer("a"), system("now"), answer("b"), user("more"))
        )

        with pytest.raises(ExampleError, match="no system turn there, and no user's"):
            list(by(LEADING).answers(talk))

    def test_several_keep_their_order(self, by):
        source = "{% for m in messages %}{% if m.role == 'system' %}" + (
            "{{ raise_exception('no system') }}{% endif %}{% endfor %}" + PLAIN
        )
        talk = Conversation((system("be"), system("loud"), user("ask"), answer("a")))

        [found] = by(source).answers(talk)

        assert found.prompt == "<|user|>be\n\nloud\n\nask<|end|><|assistant|>"


CUT = TURNS + (
    "<|{{ m.role }}|>{{ m.content[:20] if m.role == 'user' else m.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LAST_THREE = PLAIN.replace("in messages", "in messages[-3:]")


class TestPrompt:
    @pytest.mark.parametrize(
        ("source", "talk", "key"),
        [
            (CUT, (user("a question of many words"), answer("a")), "turn of user"),
            (
                PLAIN.replace("m.content", "m.content | replace('  ', ' ')"),
                (user("def f():  return 1"), answer("a")),
                "turn of user",
            ),
            (
                LAST_THREE,
                (user("hi"), answer("hi"), user("hi"), answer("hi")),
                "turn of user",
            ),
            (
                CALLS_TOOLS.replace(
                    "m.content or ''", "'' if m.tool_calls else m.content"
                ),
                (
                    user("ask"),
                    replace(calling('{"room":"hall"}', weight=0), content="I look"),
                    answer("done"),
                ),
                "turn of assistant",
            ),
        ],
        ids=["cut", "changed", "dropped", "of a call"],
    )
    def test_what_is_missing_before_an_answer_is_named(self, source, talk, key, by):
        with pytest.raises(ExampleError, match=f"the content of a {key}") as refused:
            list(by(source).answers(Conversation(talk)))

        assert refused.value.code == "E_TEMPLATE"

    def test_earlier_reasoning_may_be_dropped(self, by):
        talk = Conversation(
            (
                user("ask"),
                answer("<think>\nhm\n</think>\n\none"),
                user("more"),
                answer("two"),
            )
        )
        template = by(
            PLAIN.replace(
                "m.content",
                "(m.content if loop.last else m.content.split('</think>')[-1])",
            )
        )

        assert len(list(template.answers(talk))) == 2

    def test_a_result_may_stand_as_json(self, by):
        source = CALLS_TOOLS.replace(
            "{{ m.content or '' }}",
            "{{ m.content | tojson if m.role == 'tool' else m.content }}",
        )
        result = Message(Role.TOOL, '{"on":\n"yes"}', name="lamp")
        talk = Conversation((user("ask"), calling("{}"), result, answer("done")))

        assert len(list(by(source).answers(talk))) == 2


NESTED = '{"room":{"floor":[417,"cellar"]},"dim":0.5,"on":true,"by":null}'


class TestCalls:
    @pytest.mark.parametrize("weight", [0, 1])
    @pytest.mark.parametrize(
        ("source", "calls", "key"),
        [
            (FIRST_CALL, ('{"a":"x"}', '{"a":"x"}'), "several"),
            (ONLY_TEXTS, (NESTED,), "nested"),
            (ONLY_TEXTS, ('{"dim":417}',), "arguments of tool_calls"),
        ],
    )
    def test_what_is_left_out_is_named(self, source, calls, key, weight, by):
        called = calling(*calls, weight=weight)
        talk = Conversation((user("ask"), called, user("more"), answer("done")))

        with pytest.raises(ExampleError, match=key) as refused:
            list(by(source).answers(talk))
        assert refused.value.code == "E_TEMPLATE"

    def test_one_that_an_earlier_turn_alone_loses_is_named(self, by):
        source = CALLS_TOOLS.replace(
            "m.tool_calls or []", "(m.tool_calls or [] if loop.last else [])"
        )
        talk = Conversation(
            (user("ask"), calling('{"room":"hall"}'), user("more"), answer("done")),
        )

        with pytest.raises(ExampleError, match="leaves out the tool_calls"):
            list(by(source).answers(talk))

    @pytest.mark.parametrize(
        "source",
        [CALLS_TOOLS, templates.CALLS_BY_TEXT, AS_XML],
        ids=["json", "text", "xml"],
    )
    def test_however_they_are_written_they_are_learned(self, source, by):
        text = json.dumps({"say": 'a "b"\n  ü', **json.loads(NESTED)})
        talk = Conversation((user("ask"), calling(text, '{"dim":1e2}')))

        [found] = by(source).answers(talk)

        assert found.said.count("<call>lamp") == 2

    def test_objects_as_python_prints_them_are_refused(self, by):
        source = AS_XML.replace("v | tojson(indent=2)", "v")
        talk = Conversation((user("ask"), calling(NESTED)))

        with pytest.raises(ExampleError, match="nested arguments"):
            list(by(source).answers(talk))

    def test_tools_of_which_the_names_alone_are_rendered_are_not(self, by):
        assert by(CALLS_TOOLS).abilities.tools
        assert not by(NAMES_OF_TOOLS).abilities.tools


class TestFirstAnswer:
    """A chat that begins with what the assistant says."""

    @pytest.mark.parametrize("said", ["small fish", "slowly", "heron", "\nsmall fish"])
    def test_its_prompt_is_what_the_template_says_before(self, said, by):
        [found] = by(GREETS).answers(Conversation((answer(said),)))

        assert found.prompt == "<|system|>You help.<|end|><|assistant|>"
        assert found.said == f"{said}<|end|>"

    def test_where_its_words_are_said_before_it_is_context(self, by):
        source = "{{ messages[0].content[:3] }}" + PLAIN
        talk = Conversation((answer("small fish"), user("ask"), answer("river")))

        [found] = by(source).answers(talk)

        assert found.said == "river<|end|>"

    def test_its_reasoning_and_calls_are_learned(self, by):
        called = calling('{"room":"hall"}')
        first = replace(called, content="I look", reasoning="hm")

        [found] = by(GREETS.replace(PLAIN, templates.DROPS_REASONING)).answers(
            Conversation((first,))
        )

        assert found.prompt == "<|system|>You help.<|end|><|assistant|><think>\n"
        assert found.said.startswith("hm\n</think>\n\nI look<call>lamp")
