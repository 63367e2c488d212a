import json

import pytest

from sleepcycle.errors import RowError
from sleepcycle.feed.shapes import (
    KEYS,
    Format,
    RowOptions,
    expect_none_displaced,
    read_row,
    renamed,
    shape_of,
    to_content,
)
from sleepcycle.records.content import (
    Completion,
    Conversation,
    Message,
    Role,
    Text,
    canonical_json,
)
from tests.feed.rows import WHOLE, fault_of, read_as_fed

ASKED = Message(Role.USER, "q")
ANSWERED = Message(Role.ASSISTANT, "a")
TALK = Conversation((ASKED, ANSWERED))


def talk(*turns):
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


@pytest.mark.parametrize(
    ("value", "shape", "content"),
    [
        ({"text": " a "}, Format.TEXT, Text(" a ")),
        (
            {"prompt": "q ", "completion": "a"},
            Format.COMPLETION,
            Completion("q ", "a"),
        ),
        ({"prompt": "", "completion": "a"}, Format.COMPLETION, Completion("", "a")),
        (
            {
                "prompt": [{"role": "user", "content": "q"}],
                "completion": [{"role": "assistant", "content": "a"}],
            },
            Format.COMPLETION,
            TALK,
        ),
        (talk(("user", "q"), ("assistant", "a")), Format.MESSAGES, TALK),
        (
            talk(("developer", "s"), ("user", "q"), ("assistant", "a")),
            Format.MESSAGES,
            Conversation((Message(Role.SYSTEM, "s"), ASKED, ANSWERED)),
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "q"}]},
                    {"role": "assistant", "content": "a", "tool_calls": None},
                ]
            },
            Format.MESSAGES,
            TALK,
        ),
        (
            {
                "system": "s",
                "conversations": [
                    {"from": "human", "value": "q"},
                    {"from": "gpt", "value": "a"},
                    {"from": "observation", "value": "t"},
                ],
            },
            Format.SHAREGPT,
            Conversation(
                (
                    Message(Role.SYSTEM, "s"),
                    ASKED,
                    ANSWERED,
                    Message(Role.TOOL, "t"),
                )
            ),
        ),
        ({"instruction": "q", "input": "", "output": "a"}, Format.ALPACA, TALK),
        (
            {
                "instruction": "do",
                "input": "this",
                "output": "a",
                "system": "s",
                "history": [["q", "a"]],
                "text": "### Instruction:\ndo\n### Input:\nthis\n### Response:\na",
            },
            Format.ALPACA,
            Conversation(
                (
                    Message(Role.SYSTEM, "s"),
                    ASKED,
                    ANSWERED,
                    Message(Role.USER, "do\nthis"),
                    ANSWERED,
                )
            ),
        ),
        ({"text": "a\0b", "id": 7, "meta": {}}, Format.TEXT, Text("a\0b")),
    ],
)
def test_each_shape_becomes_content(value, shape, content):
    assert shape_of(value) is shape
    assert to_content(value, shape) == content


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ([1], "E_SHAPE", "got a list"),
        ("x", "E_SHAPE", "got text"),
        ({}, "E_SHAPE", "got an object with no keys"),
        ({"txt": "x"}, "E_SHAPE", "got an object with 'txt'"),
        ({"text": 5.0}, "E_SHAPE", "expected text in text, got a number"),
        ({"text": None}, "E_SHAPE", "expected text in text, got null"),
        ({"text": True}, "E_SHAPE", "got a truth value"),
        ({"text": " \n"}, "E_EMPTY", "expected text in text"),
        ({"prompt": "q", "completion": ""}, "E_EMPTY", "text in completion"),
        ({"prompt": ["q"], "completion": "a"}, "E_SHAPE", "text in prompt, got a list"),
        ({"messages": {}}, "E_SHAPE", "expected a list of turns"),
        ({"messages": []}, "E_ROLE", "expected a turn of the assistant"),
        ({"messages": ["q"]}, "E_SHAPE", "expected a turn as an object, got text"),
        (talk(("user", "q")), "E_ROLE", "expected a turn of the assistant"),
        (talk(("assistant", " ")), "E_EMPTY", "to say something"),
        (talk(("boss", "q")), "E_ROLE", "got 'boss'"),
        (talk((None, "q")), "E_ROLE", "got None"),
        (talk((["user"], "q")), "E_ROLE", r"got \['user'\]"),
        (talk(("user", None)), "E_SHAPE", "expected text in content, got null"),
        (talk(("user", [{"type": "input_text"}])), "E_SHAPE", "parts of type text"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": 1}]}]},
            "E_SHAPE",
            "with the name of its function",
        ),
        ({"instruction": "q", "output": ""}, "E_EMPTY", "text in output"),
        ({"instruction": "q", "input": 1.0, "output": "a"}, "E_SHAPE", "in input"),
        ({"instruction": "q", "output": "a", "history": "h"}, "E_SHAPE", "as a list"),
        ({"instruction": "q", "output": "a", "history": [["h"]]}, "E_SHAPE", "pairs"),
    ],
    ids=str,
)
def test_each_fault_has_its_code(value, code, message):
    with pytest.raises(RowError, match=message) as caught:
        to_content(value, shape_of(value))

    assert caught.value.code == code


def test_another_shape_than_the_files_is_refused():
    with pytest.raises(RowError, match="expected an object with text") as caught:
        to_content({"prompt": "q", "completion": "a"}, Format.TEXT)

    assert caught.value.code == "E_SHAPE"


def test_a_fault_with_a_huge_key_has_a_short_message():
    """
    Messages are stored and printed, so they are bounded.
    """
    with pytest.raises(RowError, match="expected") as caught:
        to_content({"k" * 100_000: "x", "\ud800": 1}, None)

    assert len(str(caught.value)) < 400
    str(caught.value).encode()


class TestKeysOfAnotherShape:
    def test_a_text_that_repeats_the_row_is_kept_beside_it(self):
        row = {"prompt": "q", "completion": "a", "text": "### q\n### a"}

        reading = read_as_fed(row)

        assert reading.content == Completion("q", "a")
        assert reading.provenance == {"text": "### q\n### a"}

    @pytest.mark.parametrize(
        "row",
        [
            {
                **talk(("user", "Is it yes or no?"), ("assistant", "yes")),
                "answer": "no",
            },
            {"prompt": "Pick A or B", "completion": "A", "output": "B"},
            {"prompt": "Pick A or B", "completion": "A", "text": "B"},
            {"prompt": "q", "completion": "a long answer", "response": "answer"},
        ],
        ids=["messages", "output", "text", "part"],
    )
    def test_a_second_answer_is_refused(self, row):
        fault = fault_of(row)

        assert fault.code == "E_UNSUPPORTED_KEY"
        assert "says something else" in str(fault)

    @pytest.mark.parametrize(
        "other",
        [{"answer": " a\n"}, {"prompt": "q"}, {"question": "first"}, {"text": "q\na"}],
        ids=str,
    )
    def test_what_says_the_same_is_kept(self, other):
        turns = talk(
            ("user", "first"), ("assistant", "b"), ("user", "q"), ("assistant", "a")
        )

        assert read_as_fed({**turns, **other}).provenance == other

    @pytest.mark.parametrize("key", ["report", "notes", "extra_info"])
    def test_a_long_text_beside_a_question_is_refused_by_name(self, key):
        row = {"question": "q", "answer": "a", key: "It was so. " * 30}

        assert repr(key) in str(fault_of(row))
        ignoring = RowOptions(ignored=frozenset({key.title()}))
        assert read_as_fed(row, ignoring).provenance == {}

    def test_a_long_text_that_the_row_says_is_kept(self):
        long = "It was so. " * 30
        row = {"prompt": f"Read this. {long} Now?", "completion": "a", "report": long}

        assert read_as_fed(row).provenance == {"report": long}

    def test_a_long_name_is_kept(self):
        url = "https://example.org/" + "x" * 300

        row = {"question": "q", "answer": "a", "page_url": url}

        assert read_as_fed(row).provenance == {"page_url": url}

    @pytest.mark.parametrize(
        "other",
        [
            {"instruction": "Answer in 5 words."},
            {"text": "something else"},
            {"answer": ["a"]},
            {"Input": "about this"},
            {"question": 5},
        ],
        ids=str,
    )
    def test_what_says_something_else_is_refused_by_name(self, other):
        [name] = other

        fault = fault_of({"prompt": "2+3?", "completion": "5", **other})

        assert fault.code == "E_UNSUPPORTED_KEY"
        assert name in str(fault)

    def test_the_input_of_an_instruction_in_capitals_is_not_lost(self):
        fault = fault_of({"instruction": "q", "Input": "about this", "output": "a"})

        assert (fault.code, "Input" in str(fault)) == ("E_UNSUPPORTED_KEY", True)

    def test_a_prompt_beside_turns_that_is_none_of_them_is_refused_by_name(self):
        fault = fault_of({**WHOLE[Format.MESSAGES], "prompt": "another"})

        assert (fault.code, "prompt" in str(fault)) == ("E_UNSUPPORTED_KEY", True)


class TestSystem:
    BESIDE = (
        Format.MESSAGES,
        Format.SHAREGPT,
        Format.COMPLETION,
        Format.ALPACA,
        Format.DOLLY,
        Format.QUESTION,
    )

    @pytest.mark.parametrize("shape", BESIDE)
    @pytest.mark.parametrize("key", ["system", "system_prompt"])
    def test_it_is_the_first_turn_of_every_chat(self, shape, key):
        content = read_as_fed({**WHOLE[shape], key: "Be brief."}).content

        assert content.messages[0] == Message(Role.SYSTEM, "Be brief.")

    def test_it_stands_before_the_turns_of_a_prompt(self):
        asked = [{"role": "user", "content": "q"}]
        said = [{"role": "assistant", "content": "a"}]

        content = read_as_fed(
            {"prompt": asked, "completion": said, "system": "Be brief."}
        ).content

        assert content.messages[0] == Message(Role.SYSTEM, "Be brief.")

    def test_the_same_one_twice_is_one(self):
        row = talk(("system", "S"), ("user", "q"), ("assistant", "a"))

        content = read_as_fed({**row, "system": "S "}).content

        assert [turn.role for turn in content.messages].count(Role.SYSTEM) == 1

    def test_another_one_is_refused(self):
        row = talk(("system", "S"), ("user", "q"), ("assistant", "a"))

        assert "system once" in str(fault_of({**row, "system": "T"}))

    def test_two_keys_for_it_are_refused_by_name(self):
        row = {**WHOLE[Format.MESSAGES], "system": "S", "system_prompt": "T"}

        assert "system_prompt" in str(fault_of(row))

    def test_beside_a_text_it_is_refused_by_name(self):
        assert "system" in str(fault_of({"text": "a", "system": "S"}))

    @pytest.mark.parametrize("value", [None, "", [], {}, float("nan")], ids=str)
    def test_an_empty_one_is_none(self, value):
        row = WHOLE[Format.MESSAGES]

        assert read_as_fed({**row, "system": value}).content == read_as_fed(row).content


class TestPromptOfTurns:
    def test_answers_in_it_are_context_alone(self):
        row = {
            "prompt": [
                {"role": "user", "content": "example"},
                {"role": "assistant", "content": "EXAMPLE"},
                {"role": "user", "content": "q"},
            ],
            "completion": [{"role": "assistant", "content": "a"}],
        }

        turns = read_as_fed(row).content.messages

        assert [t.content for t in turns if t.is_learned] == ["a"]
        assert len(turns) == 4


class TestNumbersAsAnswers:
    @pytest.mark.parametrize("number", ["42", "1.50", "1e400", "-0", "9" * 400])
    @pytest.mark.parametrize(
        "row",
        [
            '{"prompt": "q", "completion": %s}',
            '{"instruction": "q", "output": %s}',
            '{"instruction": "q", "response": %s}',
            '{"question": "q", "answer": %s}',
            '{"messages": [{"role": "user", "content": "q"}, '
            '{"role": "assistant", "content": %s}]}',
        ],
    )
    def test_one_is_learned_as_it_is_written(self, row, number):
        assert number in canonical_json(read_as_fed(row % number).content)

    @pytest.mark.parametrize(
        ("value", "code"),
        [("NaN", "E_NAN"), ("Infinity", "E_NAN"), ("true", "E_SHAPE")],
    )
    def test_what_is_no_number_is_refused(self, value, code):
        fault = fault_of(f'{{"prompt": "q", "completion": {value}}}')

        assert (fault.code, "completion" in str(fault)) == (code, True)


class TestHistory:
    def test_its_answers_are_learned(self):
        row = {"instruction": "q", "output": "a", "history": [["h", 5]]}

        turns = read_row(row, Format.ALPACA).content.messages

        assert [t.content for t in turns] == ["h", "5", "q", "a"]

    def test_an_empty_answer_in_it_is_refused(self):
        row = {"instruction": "q", "output": "a", "history": [["h", " "]]}

        assert fault_of(row).code == "E_EMPTY"

    @pytest.mark.parametrize("shape", [Format.COMPLETION, Format.QUESTION])
    def test_a_shape_without_one_refuses_it_by_name(self, shape):
        fault = fault_of({**WHOLE[shape], "history": [["h", "x"]]})

        assert (fault.code, "history" in str(fault)) == ("E_UNSUPPORTED_KEY", True)


class TestPictures:
    @pytest.mark.parametrize(
        "marker", ["<image>", "<|image_1|>", "[IMG]", "<video>", "<|audio|>", "<img>"]
    )
    @pytest.mark.parametrize(
        "row",
        [
            {"prompt": "%s\nWhat is it?", "completion": "a"},
            {"prompt": "q", "completion": "%s"},
            {"instruction": "What is it?\n%s", "output": "a"},
            {"instruction": "What is it?", "input": "%s", "output": "a"},
            {"question": " %s What is it?", "answer": "a"},
            {"conversations": [
                {"from": "human", "value": "%s\nWhat is it?"},
                {"from": "gpt", "value": "a"},
            ]},
        ],
        ids=lambda row: " ".join(row),
    )  # fmt: skip
    def test_a_marker_that_begins_a_line_is_refused(self, row, marker):
        fault = fault_of(_filled(row, marker))

        assert (fault.code, marker in str(fault)) == ("E_UNSUPPORTED_KEY", True)

    @pytest.mark.parametrize(
        "text",
        [
            "Use the <image> tag for it.",
            "Write `[IMG]` there.",
            "```html\n<video>\n</video>\n```",
            "```\n<image>\n",
            "<video>\n  <source src='a.mp4'>\n</video>",
            '<img src="a.png">',
            "[IMGUR] is a site",
        ],
    )
    def test_markup_and_prose_are_text(self, text):
        assert read_as_fed({"prompt": "q", "completion": text}).content == Completion(
            "q", text
        )


def _filled(value, marker):
    """Return a row with a marker in its texts."""
    if isinstance(value, dict):
        return {key: _filled(one, marker) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, marker) for one in value]
    return value.replace("%s", marker)


class TestTurnsAsText:
    @pytest.mark.parametrize(("who", "what"), [("role", "content"), ("from", "value")])
    def test_turns_in_a_text_are_turns(self, who, what):
        row = {
            "prompt": json.dumps([{who: "user", what: "q"}]),
            "completion": json.dumps([{who: "assistant", what: "a"}]),
        }

        assert read_as_fed(row).content == TALK

    def test_a_text_that_only_begins_so_stays_one(self):
        asked = '[{"role": "user"}] is what?'

        row = {"prompt": asked, "completion": "turns"}

        assert read_as_fed(row).content == Completion(asked, "turns")


class TestOwnKeys:
    def test_a_key_whose_name_another_takes_is_refused(self):
        options = RowOptions(renamed={"question": "prompt"})
        row = {"prompt": "MINE", "question": "q", "completion": "a"}

        with pytest.raises(RowError, match=r"'prompt'.*--ignore prompt"):
            expect_none_displaced(row, options)

    @pytest.mark.parametrize("own", [None, "", "q"], ids=repr)
    def test_one_that_says_nothing_else_is_not(self, own):
        options = RowOptions(renamed={"question": "prompt"})

        expect_none_displaced({"prompt": own, "question": "q"}, options)

    def test_one_that_is_ignored_gives_its_name(self):
        options = RowOptions(
            renamed={"question": "prompt"}, ignored=frozenset({"Prompt"})
        )
        row = {"prompt": "MINE", "question": "q", "completion": "a"}

        expect_none_displaced(row, options)
        assert read_as_fed(renamed(row, options), options).content == (
            Completion("q", "a")
        )

    def test_a_row_without_the_users_key_keeps_its_own(self):
        options = RowOptions(renamed={"question": "prompt"})
        row = {"prompt": "p", "completion": "a"}

        assert renamed(row, options) == row

    def test_a_key_is_ignored_however_it_is_written(self):
        options = RowOptions(ignored=frozenset({"Context"}))
        row = {"prompt": "q", "completion": "a", " context": "about"}

        assert read_as_fed(row, options).provenance == {}

    def test_a_key_of_the_users_is_read_as_ours(self):
        options = RowOptions(renamed={"frage": "prompt", "antwort": "completion"})

        row = renamed({"frage": "q", "antwort": "a", "prompt": "not this"}, options)

        assert row == {"prompt": "q", "completion": "a"}

    def test_preferences_are_learned_from_the_chosen_alone(self):
        options = RowOptions(
            renamed={"chosen": "completion"}, ignored=frozenset({"rejected"})
        )
        row = renamed({"prompt": "q", "chosen": "good", "rejected": "bad"}, options)

        assert read_row(row, shape_of(row), options).content == Completion("q", "good")

    def test_an_ignored_key_is_neither_read_nor_kept(self):
        options = RowOptions(ignored=frozenset({"reasoning", "id"}))
        row = {"prompt": "q", "completion": "a", "reasoning": "r", "id": 1}

        reading = read_row(row, Format.COMPLETION, options)

        assert (reading.content, reading.provenance) == (Completion("q", "a"), {})

    def test_an_ignored_key_of_turns_is_not_read(self):
        options = RowOptions(ignored=frozenset({"weight"}))
        row = talk(("user", "q"), ("assistant", "a"))
        row["messages"][1]["weight"] = 0

        assert read_row(row, Format.MESSAGES, options).content == TALK


def test_each_shape_is_told_by_its_keys_in_any_case():
    for shape, keys in KEYS.items():
        assert shape_of(dict.fromkeys(keys)) is shape
        assert shape_of({f" {key.upper()}": None for key in keys}) is shape


def test_preferences_in_a_file_of_another_shape_are_named_as_such():
    row = {"prompt": "q", "chosen": "good", "rejected": "bad"}

    with pytest.raises(RowError, match="preferences between answers"):
        read_row(row, Format.COMPLETION)
