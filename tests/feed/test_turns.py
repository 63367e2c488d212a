import json

import pytest

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import REJECTED, UNSUPPORTED
from sleepcycle.feed.turns import read_turns
from sleepcycle.records.content import Message, Role, ToolCall, canonical_json
from tests.feed.rows import ANSWERED, ASKED, fault_of, read_as_fed

CALL = {"type": "function", "function": {"name": "lamp", "arguments": {"room": 1}}}
CALLED = (ToolCall("lamp", '{"room":1}'),)
LAMP = {"name": "lamp", "parameters": {"type": "object", "maxProperties": 3}}
TOOLS = '[{"type":"function","function":' + json.dumps(LAMP, separators=(",", ":"))
TOOLS += "}]"


def chat(**more):
    """Return a chat whose answer has more keys."""
    return {"messages": [ASKED, {**ANSWERED, **more}]}


def answer(**more):
    """Return how that answer is read."""
    return read_as_fed(chat(**more)).content.messages[-1]


class TestWeight:
    @pytest.mark.parametrize("weight", [1, 1.0, "1", True, None, ""], ids=repr)
    def test_a_whole_one_is_as_none(self, weight):
        assert answer(weight=weight) == answer()

    @pytest.mark.parametrize("weight", [0, 0.0, "0", " 0 ", False], ids=repr)
    def test_none_of_it_makes_a_turn_context(self, weight):
        row = chat(weight=weight)
        row["messages"] += [ASKED, ANSWERED]

        first, second = read_as_fed(row).content.messages[1::2]

        assert (first.is_learned, second.is_learned) == (False, True)

    def test_a_part_of_it_is_kept(self):
        assert answer(weight=0.25).weight == 0.25

    @pytest.mark.parametrize(
        "weight",
        [-1, 1.5, "heavy", float("nan"), float("inf"), [0], {"a": 0}],
        ids=repr,
    )
    def test_another_is_refused_by_name(self, weight):
        fault = fault_of(chat(weight=weight))

        assert (fault.code, "weight" in str(fault)) == (UNSUPPORTED, True)

    def test_it_is_part_of_what_is_stored(self):
        learned, half = read_as_fed(chat()), read_as_fed(chat(weight=0.5))

        assert canonical_json(learned.content) != canonical_json(half.content)

    def test_a_chat_without_an_answer_to_learn_is_rejected(self):
        assert fault_of(chat(weight=0)).code == REJECTED

    @pytest.mark.parametrize("key", [{"weight": 1}, {"train": True}], ids=repr)
    def test_a_question_cannot_be_learned(self, key):
        fault = fault_of({"messages": [{**ASKED, **key}, ANSWERED]})

        assert "turn 1: expected weight 0" in str(fault)

    @pytest.mark.parametrize("key", [{"weight": 0}, {"train": False}], ids=repr)
    def test_a_question_is_not_learned_anyway(self, key):
        assert read_as_fed({"messages": [{**ASKED, **key}, ANSWERED]}).content == (
            read_as_fed(chat()).content
        )


class TestTrain:
    @pytest.mark.parametrize("train", [False, "false", 0, "0"], ids=repr)
    def test_a_turn_may_say_that_it_is_not_learned(self, train):
        assert fault_of(chat(train=train)).code == REJECTED

    @pytest.mark.parametrize("train", [True, "true", 1, None], ids=repr)
    def test_a_turn_may_say_that_it_is(self, train):
        assert answer(train=train) == answer()

    def test_it_agrees_with_the_weight(self):
        assert "to agree" in str(fault_of(chat(train=True, weight=0)))

    @pytest.mark.parametrize(
        "more",
        [
            {"train": "maybe"},
            {"train_detail": [{"begin_offset": 0, "end_offset": 1, "train": False}]},
            {"training_detail": [{"train": True}]},
            {"loss_mask": [0, 1]},
            {"lossMask": 0},
            {"masked": True},
            {"skip": [1]},
            {"labels": [-100, 1]},
            {"Weight": 0},
            {"loss": False},
        ],
        ids=repr,
    )
    def test_a_mask_that_is_not_known_is_refused_by_name(self, more):
        [name] = more

        fault = fault_of(chat(**more))

        assert (fault.code, name in str(fault)) == (UNSUPPORTED, True)


class TestFinal:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("channel", "analysis"),
            ("channel", "commentary"),
            ("recipient", "python"),
            ("error", "timeout"),
            ("error", True),
            ("status", "failed"),
            ("Status", "incomplete"),
            ("feedback", "bad"),
        ],
    )
    def test_an_answer_that_nobody_got_is_refused_by_name(self, key, value):
        fault = fault_of(chat(**{key: value}))

        assert (fault.code, repr(key) in str(fault)) == (UNSUPPORTED, True)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("channel", "final"),
            ("recipient", "all"),
            ("error", False),
            ("status", "done"),
        ],
    )
    def test_one_that_the_user_got_is_learned(self, key, value):
        assert read_as_fed(chat(**{key: value})).content == read_as_fed(chat()).content

    def test_the_channel_of_a_user_is_kept(self):
        row = {"messages": [{**ASKED, "channel": "mail"}, ANSWERED]}

        assert read_as_fed(row).provenance == {"turns[].channel": ["mail"]}


class TestReasoning:
    @pytest.mark.parametrize("key", ["reasoning_content", "thinking", "reasoning"])
    def test_it_is_kept_by_any_of_its_names(self, key):
        assert answer(**{key: "hm"}).reasoning == "hm"

    def test_two_of_them_are_refused_by_name(self):
        assert "thinking" in str(fault_of(chat(thinking="b", reasoning_content="a")))

    @pytest.mark.parametrize("empty", [None, "", float("nan")], ids=repr)
    def test_an_empty_one_is_none(self, empty):
        assert answer(reasoning_content=empty) == answer()

    @pytest.mark.parametrize("key", ["reasoning", "tool_calls"])
    def test_only_the_assistant_has_it(self, key):
        value = {"reasoning": "hm", "tool_calls": [CALL]}[key]

        assert key in str(fault_of({"messages": [{**ASKED, key: value}, ANSWERED]}))

    @pytest.mark.parametrize("key", ["thoughts", "rationale", "refusal", "cot"])
    def test_another_name_is_refused(self, key):
        assert f"{key!a}" in str(fault_of(chat(**{key: "I will not"})))


class TestToolCalls:
    @pytest.mark.parametrize(
        "calls",
        [
            [CALL],
            [{**CALL, "id": ""}],
            [{"name": "lamp", "arguments": '{"room": 1}'}],
            [{"name": "lamp", "args": {"room": 1}, "type": "tool_call"}],
            [{"name": "lamp", "parameters": {"room": 1}}],
            json.dumps([CALL]),
        ],
        ids=str,
    )
    def test_a_call_has_its_name_and_arguments_in_any_form(self, calls):
        assert answer(tool_calls=calls).tool_calls == CALLED

    def test_a_whole_number_stays_one(self):
        big = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", '
        big += '"tool_calls": [{"name": "f", "arguments": {"a": 12345678901234567890, '
        big += '"b": 1.50, "c": [2]}}]}]}'

        [call] = read_as_fed(big).content.messages[1].tool_calls

        assert call.arguments == '{"a":12345678901234567890,"b":1.50,"c":[2]}'

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ('{"a":' * 600 + "1" + "}" * 600, "E_DEPTH"),
            ('{"a": 1, "a": 2}', "E_DUPKEY"),
            ('{"a": NaN}', "E_NAN"),
            ('{"a": [-Infinity]}', "E_NAN"),
            ('{"a": ', "E_SHAPE"),
        ],
        ids=["deep", "twice", "nan", "infinite", "broken"],
    )
    def test_json_in_a_text_is_as_strict_as_a_row(self, text, code):
        call = {"name": "f", "arguments": text}
        turn = {"role": "assistant", "content": "a", "tool_calls": [call]}
        user = {"role": "user", "content": "q"}
        tools = f'[{{"name": "f", "parameters": {text}}}]'

        assert fault_of({"messages": [user, turn]}).code == code
        assert fault_of({"question": "q", "answer": "a", "tools": tools}).code == code

    def test_tools_as_text_keep_their_numbers(self):
        tools = '[{"type": "function", "function": {"name": "f", "cost": 1.50}}]'
        row = {"question": "q", "answer": "a", "tools": tools}

        assert read_as_fed(row).content.tools == tools.replace(" ", "")

    @pytest.mark.parametrize("call", [CALL["function"], json.dumps(CALL["function"])])
    def test_the_older_single_one_is_a_call(self, call):
        assert answer(function_call=call).tool_calls == CALLED

    def test_both_are_refused(self):
        fault = fault_of(chat(function_call=CALL["function"], tool_calls=[CALL]))

        assert "tool_calls or function_call, got both" in str(fault)

    @pytest.mark.parametrize("empty", [None, [], "", {}], ids=repr)
    def test_empty_ones_are_none(self, empty):
        assert answer(tool_calls=empty, function_call=empty) == answer()

    @pytest.mark.parametrize(
        ("calls", "message"),
        [
            ("lamp", "expected JSON in tool_calls"),
            ({"a": 1}, "tool_calls as a list"),
            (["lamp"], "a tool call as an object"),
            ([{"id": "1"}], "with the name of its function"),
            ([{"name": "f", "arguments": [1]}], "an object in arguments"),
            ([{"name": "f", "arguments": "{"}], "expected JSON in arguments"),
            ([{"name": "f", "kwargs": {"a": 1}}], "got 'kwargs' too"),
            ([{**CALL, "weight": 0}], "weight"),
        ],
        ids=str,
    )
    def test_another_form_is_refused(self, calls, message):
        assert message in str(fault_of(chat(tool_calls=calls)))

    def test_a_turn_that_only_calls_has_no_text(self):
        turns = [ASKED, {"role": "assistant", "content": None, "tool_calls": [CALL]}]

        [_, called] = read_turns(turns)

        assert (called.content, called.tool_calls) == ("", CALLED)

    def test_what_a_tool_answers_names_its_call(self):
        turns = [{"role": "tool", "tool_call_id": "1", "name": "lamp", "content": "on"}]

        assert read_turns(turns) == [
            Message(Role.TOOL, "on", name="lamp", tool_call_id="1")
        ]

    def test_turns_of_sharegpt_call_and_observe(self):
        row = {
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "function_call", "value": json.dumps(CALL["function"])},
                {"from": "observation", "value": "on"},
                {"from": "gpt", "value": "a"},
            ],
            "tools": json.dumps([LAMP]),
        }

        content = read_as_fed(row).content

        assert content.messages[1] == Message(Role.ASSISTANT, "", tool_calls=CALLED)
        assert content.messages[2] == Message(Role.TOOL, "on")
        assert content.tools == TOOLS


class TestTools:
    @pytest.mark.parametrize(
        "given",
        [
            {"tools": [{"type": "function", "function": LAMP}]},
            {"tools": json.dumps([{"type": "function", "function": LAMP}])},
            {"tools": [LAMP]},
            {"tools": [{"type": "function", **LAMP}]},
            {"functions": [LAMP]},
            {"functions": json.dumps([LAMP])},
        ],
        ids=str,
    )
    def test_they_are_the_same_in_any_form(self, given):
        assert read_as_fed({**chat(), **given}).content.tools == TOOLS

    @pytest.mark.parametrize("empty", [None, [], "", "[]", {}], ids=repr)
    def test_empty_ones_are_none(self, empty):
        row = {**chat(), "tools": empty, "functions": empty}

        assert read_as_fed(row).content.tools == ""

    @pytest.mark.parametrize(
        "given",
        [
            {"tools": "lamp"},
            {"tools": [5]},
            {"tools": {"a": 1}},
            {"functions": "{"},
            {"tools": [LAMP], "functions": [LAMP]},
            {"Tools": [LAMP]},
            {"function_schema": LAMP},
        ],
        ids=str,
    )
    def test_other_forms_are_refused_by_name(self, given):
        fault = fault_of({**chat(), **given})

        assert any(name in str(fault) for name in given)

    @pytest.mark.parametrize(
        "row", [{"text": "a"}, {"prompt": "q", "completion": "a"}], ids=str
    )
    def test_a_row_that_is_no_chat_has_none(self, row):
        assert "'tools'" in str(fault_of({**row, "tools": [LAMP]}))


class TestTemplateArguments:
    def test_they_are_kept(self):
        row = {**chat(), "chat_template_kwargs": {"enable_thinking": False}}

        assert read_as_fed(row).content.template_args == '{"enable_thinking":false}'

    @pytest.mark.parametrize("name", ["tokenize", "messages", "chat_template"])
    def test_what_is_ours_to_say_is_refused_by_name(self, name):
        assert name in str(fault_of({**chat(), "chat_template_kwargs": {name: True}}))

    @pytest.mark.parametrize("key", ["chat_template", "enable_thinking"])
    def test_one_that_stands_in_the_row_is_refused_by_name(self, key):
        assert key in str(fault_of({**chat(), key: True}))


class TestContent:
    def test_parts_of_text_are_joined(self):
        parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

        assert answer(content=parts).content == "ab"

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "image_url", "image_url": {"url": "x"}},
            {"type": "input_audio", "input_audio": {}},
            {"type": "image"},
            {"text": "q"},
            "q",
            {"type": "text", "text": "q", "weight": 0},
            {"type": "text", "text": "q", "image": "x.png"},
        ],
        ids=str,
    )
    def test_another_part_is_refused_by_name(self, part):
        row = {"messages": [{"role": "user", "content": [part]}, ANSWERED]}

        assert "content[0]" in str(fault_of(row))

    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            ("image_url", UNSUPPORTED),
            ("input_image", UNSUPPORTED),
            ("input_audio", UNSUPPORTED),
            ("video", UNSUPPORTED),
            ("file", UNSUPPORTED),
            ("input_text", "E_SHAPE"),
            (None, "E_SHAPE"),
        ],
    )
    def test_pictures_sound_and_files_are_in_order(self, kind, code):
        asked = {"role": "user", "content": [{"type": kind}]}
        fault = fault_of({"messages": [asked, ANSWERED]})

        assert fault.code == code
        assert f"got content[0] of type {kind!r}" in str(fault)

    def test_a_turn_that_says_two_things_is_refused_by_name(self):
        assert "value" in str(fault_of(chat(value="another")))

    def test_a_turn_of_two_speakers_is_refused_by_name(self):
        assert "from" in str(fault_of(chat(**{"from": "human"})))

    def test_a_turn_may_say_the_same_twice(self):
        assert answer(value="a", **{"from": "gpt"}) == answer()

    @pytest.mark.parametrize("text", ["", " \n", None], ids=repr)
    def test_an_empty_answer_is_refused(self, text):
        assert fault_of(chat(content=text)).code in {"E_EMPTY", "E_SHAPE"}

    def test_what_changes_nothing_is_kept_beside_the_row(self):
        row = {"messages": [{**ASKED, "id": 1}, {**ANSWERED, "id": 2, "date": "d"}]}

        assert read_as_fed(row).provenance == {
            "turns[].id": [1, 2],
            "turns[].date": ["d"],
        }

    def test_names_are_part_of_a_turn(self):
        assert answer(name="bot").name == "bot"

    @pytest.mark.parametrize("key", ["image", "images", "audio", "videos", "files"])
    @pytest.mark.parametrize("where", ["row", "turn"])
    def test_pictures_and_sound_are_refused_by_name(self, key, where):
        given = {key: ["x.png"]}
        row = {**chat(), **given} if where == "row" else chat(**given)

        assert f"{key!a}" in str(fault_of(row))


def test_a_turn_is_an_object():
    with pytest.raises(RowError, match="a turn as an object, got text"):
        read_turns(["q"])
