import copy
import json
import time

import pytest

from sleepcycle.feed.exports import FOUND
from sleepcycle.feed.keys import REJECTED, UNSUPPORTED
from sleepcycle.feed.shapes import Format, RowOptions
from sleepcycle.records.content import Conversation, Message, Role, ToolCall
from tests.feed.rows import ANSWERED, ASKED, WHOLE, fault_of, read_as_fed

TALK = Conversation((Message(Role.USER, "q"), Message(Role.ASSISTANT, "a")))
LAMP = {"type": "function", "function": {"name": "lamp", "parameters": {}}}


def said(role, *parts, **more):
    """Return a message as ChatGPT exports it, with what its messages have."""
    return {
        "id": "m",
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": 1700000000.5,
        "content": {"content_type": "text", "parts": list(parts)},
        "status": "finished_successfully",
        "end_turn": True,
        "weight": 1.0,
        "metadata": {},
        "recipient": "all",
        "channel": None,
        **more,
    }


def chatgpt(*messages, branches=(), shown=None):
    """Return a conversation of ChatGPT's, one message after another."""
    nodes = {"0": {"id": "0", "message": None, "parent": None, "children": ["1"]}}
    for number, message in enumerate(messages, 1):
        nodes[str(number)] = {
            "id": str(number),
            "message": message,
            "parent": str(number - 1),
            "children": [str(number + 1)] if number < len(messages) else [],
        }
    for name, parent, message in branches:
        nodes[name] = {"message": message, "parent": parent, "children": []}
        nodes[parent]["children"].append(name)
    return {
        "title": "A talk",
        "create_time": 1700000000.5,
        "update_time": 1700000000.5,
        "mapping": nodes,
        "moderation_results": [],
        "current_node": shown or str(len(messages)),
        "plugin_ids": None,
        "conversation_id": "c",
        "conversation_template_id": "g-1",
        "gizmo_id": None,
        "is_archived": False,
        "safe_urls": ["https://example.org"],
        "default_model_slug": "gpt-4o",
        "disabled_tool_ids": [],
        "memory_scope": "global_enabled",
        "atlas_mode_enabled": False,
        "is_do_not_remember": False,
        "id": "c",
    }


def turns_of(row, *ignored):
    """Return role and text of each turn."""
    content = read_as_fed(row, RowOptions(ignored=frozenset(ignored))).content
    return [(str(turn.role), turn.content) for turn in content.messages]


HIDDEN = {"is_visually_hidden_from_conversation": True}
TOLD = said(
    "user",
    metadata=HIDDEN,
    content={
        "content_type": "user_editable_context",
        "user_profile": "I am a nurse.",
        "user_instructions": "Be brief.",
    },
)
THOUGHT = said(
    "assistant",
    content={
        "content_type": "thoughts",
        "thoughts": [{"summary": "s", "content": "hm"}, {"content": "so"}],
    },
)


class TestChatgpt:
    def test_a_whole_export_is_one_chat(self):
        row = chatgpt(said("user", "q"), said("assistant", "a"))

        reading = read_as_fed(row)

        assert reading.content == TALK
        assert {"title", "id", "default_model_slug"} <= reading.provenance.keys()

    def test_the_branch_that_was_seen_last_is_read(self):
        row = chatgpt(
            said("user", "q"),
            said("assistant", "first"),
            branches=[("x", "1", said("assistant", "second"))],
            shown="x",
        )

        assert turns_of(row) == [("user", "q"), ("assistant", "second")]

    def test_without_a_last_node_the_newest_branch_is_read(self):
        row = chatgpt(
            said("user", "q"),
            said("assistant", "first"),
            branches=[("x", "1", said("assistant", "second"))],
        )
        del row["current_node"]

        assert turns_of(row)[-1] == ("assistant", "second")

    def test_nodes_in_a_circle_end(self):
        row = chatgpt(said("user", "q"), said("assistant", "a"))
        row["mapping"]["0"]["parent"] = "2"

        assert turns_of(row) == [("user", "q"), ("assistant", "a")]

    def test_what_is_hidden_or_empty_is_left_out(self):
        row = chatgpt(
            said("system", "", weight=0.0),
            said("system", "secret", metadata=HIDDEN),
            said("user", "q"),
            said("assistant", "a"),
        )

        assert read_as_fed(row).content == TALK

    def test_what_is_hidden_stays_so_whatever_is_left_out(self):
        secret = said("assistant", "secret", metadata=HIDDEN)
        row = chatgpt(said("user", "q"), secret, said("assistant", "a"))

        assert turns_of(row, "metadata") == [("user", "q"), ("assistant", "a")]

    def test_own_instructions_are_the_system_turn(self):
        row = chatgpt(TOLD, said("user", "q"), said("assistant", "a"))

        assert turns_of(row)[0] == ("system", "I am a nurse.\nBe brief.")
        assert turns_of(row, "system")[0] == ("user", "q")

    def test_an_answer_of_no_weight_is_context(self):
        row = chatgpt(
            said("user", "q"),
            said("assistant", "WRONG", weight=0.0),
            said("user", "no"),
            said("assistant", "a"),
        )

        answers = read_as_fed(row).content.messages[1::2]

        assert [turn.is_learned for turn in answers] == [False, True]

    @pytest.mark.parametrize("status", ["in_progress", "finished_partial_completion"])
    def test_an_answer_that_broke_off_is_not_learned(self, status):
        row = chatgpt(said("user", "q"), said("assistant", "half", status=status))

        assert fault_of(row).code == REJECTED

    @pytest.mark.parametrize(
        "metadata",
        [
            {"finish_details": {"type": "max_tokens"}},
            {"finish_details": {"type": "interrupted"}},
            {"is_complete": False},
        ],
        ids=str,
    )
    def test_one_that_did_not_come_to_its_end_is_not_learned(self, metadata):
        row = chatgpt(said("user", "q"), said("assistant", "half", metadata=metadata))

        assert fault_of(row).code == REJECTED

    def test_one_that_did_is(self):
        ended = {"finish_details": {"type": "stop"}, "is_complete": True}
        row = chatgpt(said("user", "q"), said("assistant", "a", metadata=ended))

        assert read_as_fed(row).content == TALK

    @pytest.mark.parametrize("key", [{"rejected": True}, {"train": False}], ids=str)
    def test_a_key_of_a_message_is_refused_by_name(self, key):
        row = chatgpt(said("user", "q"), said("assistant", "a", **key))

        assert f"message 2: expected no key {next(iter(key))!r}" in str(fault_of(row))

    def test_thoughts_are_the_reasoning_of_the_answer_after_them(self):
        recap = said(
            "assistant", content={"content_type": "reasoning_recap", "content": "5s"}
        )
        row = chatgpt(said("user", "q"), THOUGHT, recap, said("assistant", "a"))

        assert read_as_fed(row).content.messages[1].reasoning == "hm\n\nso"

    def test_thoughts_of_a_question_without_an_answer_are_left_out(self):
        row = chatgpt(
            said("user", "x"), THOUGHT, said("user", "q"), said("assistant", "a")
        )

        assert read_as_fed(row).content.messages[2].reasoning == ""

    @pytest.mark.parametrize("key", ["reasoning_content", "thinking", "reasoning"])
    def test_thoughts_may_be_left_out(self, key):
        row = chatgpt(said("user", "q"), THOUGHT, said("assistant", "a"))
        options = RowOptions(ignored=frozenset({key}))

        assert read_as_fed(row, options).content == TALK

    @pytest.mark.parametrize(
        ("message", "named"),
        [
            (
                said(
                    "user",
                    content={
                        "content_type": "multimodal_text",
                        "parts": [{"content_type": "image_asset_pointer"}, "q"],
                    },
                ),
                "multimodal_text",
            ),
            (said("user", {"asset_pointer": "file://x"}), "content_type"),
            (said("user", "q", metadata={"attachments": [{"id": "f"}]}), "attachments"),
            (said("assistant", "print(1)", recipient="python"), "recipient"),
            (
                said("tool", content={"content_type": "execution_output", "text": "1"}),
                "execution_output",
            ),
            (said("assistant", "It is so \ue200cite\ue202turn0\ue201."), "mark"),
            (said("assistant", "It is so\u301012\u2020source\u3011."), "mark"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_no_text_is_refused_by_name(self, message, named):
        fault = fault_of(chatgpt(said("user", "q"), message, said("assistant", "a")))

        assert (fault.code, named in str(fault)) == (UNSUPPORTED, True)

    @pytest.mark.parametrize(
        "mapping", ["x", [], {"1": 5}, {"1": {"message": {"author": 5}}}], ids=repr
    )
    def test_another_form_is_refused(self, mapping):
        assert fault_of({"mapping": mapping}).code in {"E_SHAPE", "E_ROLE"}


class TestClaude:
    def test_the_parts_of_a_message_are_newer_than_its_text(self):
        row = copy.deepcopy(WHOLE[Format.CLAUDE])
        row["chat_messages"][1] |= {
            "content": [{"type": "text", "text": "b"}, {"type": "token_budget"}],
            "attachments": [],
            "files": [],
            "created_at": "2026-01-01T00:00:00Z",
        }

        assert turns_of(row) == [("user", "q"), ("assistant", "b")]

    def test_what_was_thought_is_reasoning(self):
        row = copy.deepcopy(WHOLE[Format.CLAUDE])
        parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]
        row["chat_messages"][1]["content"] = parts

        assert read_as_fed(row).content.messages[1].reasoning == "hm"
        assert turns_of(row, "thinking") == [("user", "q"), ("assistant", "a")]

    @pytest.mark.parametrize("key", ["attachments", "files", "files_v2"])
    def test_files_are_refused_by_name(self, key):
        row = copy.deepcopy(WHOLE[Format.CLAUDE])
        row["chat_messages"][0][key] = [{"file_name": "a.pdf"}]

        assert (fault_of(row).code, key in str(fault_of(row))) == (UNSUPPORTED, True)

    @pytest.mark.parametrize("kind", ["tool_use", "tool_result", "image", None])
    def test_another_part_is_refused_by_name(self, kind):
        row = copy.deepcopy(WHOLE[Format.CLAUDE])
        row["chat_messages"][1]["content"] = [{"type": kind, "name": "x"}]

        assert (fault_of(row).code, repr(kind) in str(fault_of(row))) == (
            UNSUPPORTED,
            True,
        )

    def test_an_empty_answer_is_refused(self):
        row = copy.deepcopy(WHOLE[Format.CLAUDE])
        row["chat_messages"][1]["text"] = ""

        assert fault_of(row).code == "E_EMPTY"

    @pytest.mark.parametrize(
        "more",
        [
            {"weight": 0},
            {"train": False},
            {"feedback": "downvote"},
            {"feedback": {"type": "downvote", "reason": "wrong"}},
            {"stop_reason": "user_canceled"},
            {"stop_reason": "max_tokens", "train": True},
            {"truncated": True},
            {"content": [{"type": "text", "text": "a", "cut_off": True}]},
        ],
        ids=str,
    )
    def test_an_answer_that_is_bad_or_broke_off_is_not_learned(self, more):
        row = copy.deepcopy(WHOLE[Format.CLAUDE])
        row["chat_messages"][1] |= more

        assert fault_of(row).code == REJECTED

    def test_one_that_is_good_and_whole_is(self):
        row = copy.deepcopy(WHOLE[Format.CLAUDE])
        row["chat_messages"][1] |= {
            "feedback": {"type": "upvote"},
            "stop_reason": "end_turn",
            "truncated": False,
            "weight": 1,
        }

        assert read_as_fed(row).content == TALK

    @pytest.mark.parametrize("where", ["message", "part"])
    def test_a_key_of_a_message_is_refused_by_name(self, where):
        row = copy.deepcopy(WHOLE[Format.CLAUDE])
        answer = row["chat_messages"][1]
        part = {"type": "text", "text": "a"}
        answer["content"] = [part]
        (answer if where == "message" else part)["rejected"] = True

        assert "no key 'rejected'" in str(fault_of(row))
        assert turns_of(row, "rejected") == [("user", "q"), ("assistant", "a")]

    def test_the_branch_with_the_newest_end_is_read(self):
        row = branched("root", "q", "q")

        assert turns_of(row) == [("user", "q"), ("assistant", "a2")]
        row["chat_messages"][1]["created_at"] = "2026-01-09"
        assert turns_of(row) == [("user", "q"), ("assistant", "a1")]

    def test_messages_in_a_circle_end(self):
        row = branched("a2", "q", "a1")

        assert turns_of(row)[-1] == ("assistant", "a2")

    @pytest.mark.parametrize("parent", [None, 5, ["q"]], ids=repr)
    def test_without_parents_the_last_of_several_answers_is_learned(self, parent):
        row = branched(parent, parent, parent)

        turns = read_as_fed(row).content.messages

        assert [turn.content for turn in turns] == ["q", "a1", "a2"]
        assert [turn.is_learned for turn in turns] == [False, False, True]


def branched(*parents):
    """Return a chat of Claude's with two answers, each message with its parent."""
    said = zip(("q", "a1", "a2"), ("human", "assistant", "assistant"), strict=True)
    return {
        "chat_messages": [
            {
                "uuid": text,
                "parent_message_uuid": parent,
                "sender": sender,
                "text": text,
                "created_at": f"2026-01-0{day}",
            }
            for day, ((text, sender), parent) in enumerate(
                zip(said, parents, strict=True), 1
            )
        ]
    }


def webui(*messages, **chat):
    """Return a chat of Open WebUI's whose last message was seen last."""
    nodes = {}
    for number, message in enumerate(messages, 1):
        nodes[str(number)] = {
            "id": str(number),
            "parentId": str(number - 1) if number > 1 else None,
            "childrenIds": [str(number + 1)] if number < len(messages) else [],
            "timestamp": 1700000000,
            **message,
        }
    history = {"messages": nodes, "currentId": str(len(messages))}
    return {
        "id": "c",
        "user_id": "u",
        "title": "t",
        "chat": {"id": "", "models": ["m"], "params": {}, "history": history, **chat},
        "archived": False,
        "pinned": False,
        "meta": {"tags": []},
        "folder_id": None,
    }


BLOCK = (
    '<details type="reasoning" done="true" duration="3">\n<summary>Thought</summary>\n'
    "> hm\n> so\n</details>\n"
)


class TestOpenWebui:
    def test_a_whole_export_is_one_chat(self):
        answer = {**ANSWERED, "done": True, "model": "m", "usage": {"n": 1}}

        reading = read_as_fed(webui({**ASKED, "models": ["m"]}, answer))

        assert reading.content == TALK
        assert {"user_id", "title", "archived"} <= reading.provenance.keys()

    def test_the_branch_that_was_seen_last_is_read(self):
        row = webui(ASKED, {**ANSWERED, "content": "first"})
        row["chat"]["messages"] = [ASKED, {**ANSWERED, "content": "another"}]
        history = row["chat"]["history"]
        history["messages"]["x"] = {**ANSWERED, "parentId": "1", "childrenIds": []}
        history["currentId"] = "x"

        assert turns_of(row) == [("user", "q"), ("assistant", "a")]

    @pytest.mark.parametrize("where", [{"params": {"system": "S"}}, {"system": "S"}])
    def test_its_system_prompt_is_a_turn(self, where):
        row = webui(ASKED, ANSWERED, **where)

        assert turns_of(row)[0] == ("system", "S")
        assert turns_of(row, "system")[0] == ("user", "q")

    def test_what_was_thought_is_reasoning(self):
        row = webui(ASKED, {**ANSWERED, "content": BLOCK + "a"})

        answer = read_as_fed(row).content.messages[1]

        assert (answer.reasoning, answer.content) == ("hm\nso", "a")
        assert turns_of(row, "reasoning") == [("user", "q"), ("assistant", "a")]

    @pytest.mark.parametrize(
        ("quoted", "plain"),
        [
            ("&gt; is 1 &lt; 2?\n&gt; I&#x27;d say", "is 1 < 2?\nI'd say"),
            ("> so `&lt;` is <", "so `&lt;` is <"),
            ("&gt; a &lt;summary&gt;x&lt;/summary&gt;", "a <summary>x</summary>"),
        ],
    )
    def test_reasoning_is_learned_as_it_was_thought(self, quoted, plain):
        block = BLOCK.replace("> hm\n> so", quoted)
        row = webui(ASKED, {**ANSWERED, "content": block + "a"})

        assert read_as_fed(row).content.messages[1].reasoning == plain

    def test_a_block_of_blanks_takes_no_time(self):
        block = BLOCK.replace("> so", " " * 200_000 + ".")
        begin = time.process_time()

        answer = read_as_fed(webui(ASKED, {**ANSWERED, "content": block + "a"}))

        assert answer.content.messages[1].reasoning == "hm\n."
        assert time.process_time() - begin < 5

    def test_an_answer_merged_from_several_is_refused(self):
        row = webui({**ASKED, "merged": {"status": True, "content": "ab"}}, ANSWERED)

        assert "turn 1: expected no merged" in str(fault_of(row))
        assert turns_of(row, "merged") == [("user", "q"), ("assistant", "a")]

    @pytest.mark.parametrize("kind", ["tool_calls", "code_interpreter"])
    def test_another_block_is_refused(self, kind):
        text = f'<details type="{kind}" done="true">\nx\n</details>\na'

        assert "<details>" in str(fault_of(webui(ASKED, {**ANSWERED, "content": text})))

    @pytest.mark.parametrize("rating", [-1, "-1"])
    def test_an_answer_that_was_rated_bad_is_not_learned(self, rating):
        rated = {**ANSWERED, "annotation": {"rating": rating}}

        assert fault_of(webui(ASKED, rated)).code == REJECTED

    def test_one_that_was_rated_good_is(self):
        rated = {**ANSWERED, "annotation": {"rating": 1}}

        assert read_as_fed(webui(ASKED, rated)).content == TALK

    def test_one_that_broke_off_is_not_learned(self):
        assert fault_of(webui(ASKED, {**ANSWERED, "done": False})).code == REJECTED

    @pytest.mark.parametrize(
        "key", ["files", "images", "statusHistory", *sorted(FOUND)]
    )
    def test_what_the_answer_rests_on_is_refused_by_name(self, key):
        row = webui({**ASKED, key: [{"name": "a.pdf"}]}, ANSWERED)

        assert (fault_of(row).code, key in str(fault_of(row))) == (UNSUPPORTED, True)
        assert turns_of(row, key) == [("user", "q"), ("assistant", "a")]

    def test_files_of_the_chat_are_refused(self):
        row = webui(ASKED, ANSWERED, files=[{"name": "a.pdf"}])

        assert "files" in str(fault_of(row))

    def test_an_error_is_refused(self):
        row = webui(ASKED, {**ANSWERED, "content": "", "error": {"content": "down"}})

        assert "error" in str(fault_of(row))


def run(inputs, outputs, **more):
    """Return a run of LangSmith's, with what runs have beside."""
    return {
        "id": "r",
        "name": "ChatOpenAI",
        "run_type": "llm",
        "start_time": "2026-01-01T00:00:00",
        "error": None,
        "tags": [],
        "trace_id": "t",
        "inputs": inputs,
        "outputs": outputs,
        **more,
    }


def scored(stats):
    """Return a run that succeeded, with what was thought of it."""
    return run({"input": "q"}, {"output": "a"}, status="success", feedback_stats=stats)


def lc(name, **kwargs):
    """Return a message as LangChain serialises it."""
    path = ["langchain", "schema", "messages", name]
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": kwargs}


HUMAN = lc("HumanMessage", content="q", type="human", additional_kwargs={})
AI = lc("AIMessage", content="a", response_metadata={"model": "m"}, id="run-1")


class TestLangsmith:
    @pytest.mark.parametrize(
        ("inputs", "outputs"),
        [
            ({"messages": [ASKED]}, {"choices": [{"message": ANSWERED, "index": 0}]}),
            ({"messages": [ASKED]}, {"messages": [ANSWERED]}),
            ({"messages": [ASKED]}, {"message": ANSWERED}),
            ({"messages": [ASKED], "model": "m"}, {"message": ANSWERED, "usage": {}}),
            ({"messages": [[HUMAN]]}, {"generations": [[{"text": "a"}]]}),
            (
                {"messages": [[HUMAN]]},
                {"generations": [[{"text": "a", "message": AI}]], "llm_output": {}},
            ),
            (
                {"messages": [{"type": "human", "data": {"content": "q"}}]},
                {"messages": [{"type": "ai", "content": "a", "id": "1"}]},
            ),
            (
                {"messages": [{"type": "human", "content": "q"}]},
                {
                    "messages": [
                        lc("AIMessageChunk", content="a", type="AIMessageChunk")
                    ]
                },
            ),
            ({"prompts": ["q"]}, {"generations": [[{"text": "a"}]]}),
            ({"input": "q"}, {"output": "a"}),
            ({"question": "q"}, {"answer": "a"}),
        ],
        ids=str,
    )
    def test_every_form_is_a_chat(self, inputs, outputs):
        assert read_as_fed(run(inputs, outputs)).content == TALK

    def test_what_went_in_is_context(self):
        row = run({"messages": [ASKED, ANSWERED, ASKED]}, {"message": ANSWERED})

        learned = [turn.is_learned for turn in read_as_fed(row).content.messages]

        assert learned == [False, False, False, True]

    @pytest.mark.parametrize(
        ("inputs", "more"),
        [
            ({"tools": [LAMP]}, {}),
            ({}, {"extra": {"invocation_params": {"tools": [LAMP]}}}),
            ({"functions": [LAMP["function"]]}, {}),
        ],
        ids=str,
    )
    def test_the_tools_of_a_run_are_those_of_the_row(self, inputs, more):
        row = run({"messages": [ASKED], **inputs}, {"message": ANSWERED}, **more)

        assert "lamp" in read_as_fed(row).content.tools

    @pytest.mark.parametrize(
        "kwargs",
        [
            {"tool_calls": [{"name": "lamp", "args": {"a": 1}, "id": "1"}]},
            {
                "additional_kwargs": {
                    "tool_calls": [
                        {
                            "id": "1",
                            "function": {"name": "lamp", "arguments": '{"a":1}'},
                        }
                    ]
                }
            },
        ],
        ids=str,
    )
    def test_calls_of_langchains_messages_are_read(self, kwargs):
        called = lc("AIMessage", content="", **kwargs)
        told = lc("ToolMessage", content="on", tool_call_id="1", status="success")
        row = run({"messages": [HUMAN, called, told]}, {"message": AI})

        turns = read_as_fed(row).content.messages

        assert turns[1].tool_calls == (ToolCall("lamp", '{"a":1}', "1"),)
        assert turns[2] == Message(Role.TOOL, "on", tool_call_id="1")

    @pytest.mark.parametrize(
        "stats",
        [
            {},
            {"user_score": {"avg": 1}},
            {"toxicity_score": {"avg": 0}},
            {"score": {"n": 0}},
        ],
        ids=str,
    )
    def test_a_run_that_succeeded_and_was_liked_is_learned(self, stats):
        row = scored(stats)

        assert read_as_fed(row).content == TALK
        assert read_as_fed(row).provenance["status"] == "success"

    def test_what_changes_nothing_is_kept(self):
        row = run({"messages": [ASKED], "model": "m"}, {"message": ANSWERED})

        assert read_as_fed(row).provenance["inputs.model"] == "m"

    @pytest.mark.parametrize(
        ("row", "named"),
        [
            (run({"input": "q"}, {"output": "a"}, error="Timeout"), "error"),
            (run({"input": "q"}, {"output": "a"}, status="error"), "status"),
            (run({"input": "q"}, {"output": "a"}, status="pending"), "status"),
            (scored({"user_score": {"n": 1, "avg": 0}}), "user_score"),
            (scored({"score": {"avg": 0}}), "'score' at 0"),
            (scored({"thumbs": {"n": 1, "avg": -1.0}}), "feedback_stats"),
            (scored(json.dumps({"user_score": {"avg": 0.2}})), "user_score"),
            (run({"input": "q", "context": "c"}, {"output": "a"}), "context"),
            (run({"messages": [ASKED], "images": ["x"]}, {"output": "a"}), "images"),
            (run({"messages": [ASKED]}, {"choices": [{}, {}]}), "choices"),
            (run({"messages": [[HUMAN], [HUMAN]]}, {"output": "a"}), "messages"),
            (run({"input": "q", "docs": "d"}, {"output": "a"}), "docs"),
            (run({"x": 5}, {"output": "a"}), "x"),
            (run("q", "a"), "inputs"),
            (run({"messages": "q"}, {"output": "a"}), "messages"),
            (
                run(
                    {"messages": [ASKED]},
                    {
                        "message": lc(
                            "AIMessage", content="a", additional_kwargs={"refusal": "n"}
                        )
                    },
                ),
                "refusal",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_not_read_is_refused_by_name(self, row, named):
        assert named in str(fault_of(row))


class TestOpenWebuiRating:
    """A rating with the chat as it was then, as the administrator exports them."""

    def rated(self, rating=1, rated="4", **more):
        """Return a rating of an answer; the chat went on after it."""
        turns = [
            ("1", "user", "q"),
            ("2", "assistant", "a"),
            ("3", "user", "q2"),
            ("4", "assistant", "a2"),
            ("5", "user", "q3"),
            ("6", "assistant", "a3"),
        ]
        nodes = {
            name: {
                "id": name,
                "parentId": str(int(name) - 1) if name != "1" else None,
                "childrenIds": [str(int(name) + 1)] if name != "6" else [],
                "role": role,
                "content": content,
            }
            for name, role, content in turns
        }
        chat = {"title": "t", "history": {"messages": nodes, "currentId": "6"}}
        return {
            "id": "f",
            "user_id": "u",
            "version": 0,
            "type": "rating",
            "data": {
                "rating": rating,
                "model_id": "m",
                "reason": "accurate_information",
            },
            "meta": {"chat_id": "c", "message_id": rated, "message_index": 3},
            "snapshot": {"chat": {"id": "c", "title": "t", "chat": chat}},
            "created_at": 1700000000,
            "updated_at": 1700000000,
            **more,
        }

    def test_the_answer_that_was_found_good_is_learned_alone(self):
        assert read_as_fed(self.rated()).content == Conversation(
            (
                Message(Role.USER, "q"),
                Message(Role.ASSISTANT, "a", weight=0.0),
                Message(Role.USER, "q2"),
                Message(Role.ASSISTANT, "a2"),
            )
        )

    @pytest.mark.parametrize("rating", [-1, 0, None, "-1"])
    def test_any_other_is_never_learned(self, rating):
        assert fault_of(self.rated(rating)).code == REJECTED

    def test_a_rating_whose_answer_is_not_there_is_named(self):
        fault = fault_of(self.rated(rated="77"))

        assert fault.code == "E_SHAPE"
        assert "meta.message_id" in str(fault)
