"""Versions answer at OpenAI's addresses, by a serving process of their own."""

import json
import os
import signal
import threading
import time
from contextlib import closing
from http.client import HTTPConnection

import pytest

from sleepcycle.home.home import Home
from sleepcycle.records.run_order import RunKind
from sleepcycle.server import server
from sleepcycle.server.api_client import Client
from sleepcycle.settings.config import ServeSettings, Settings
from tests.server.conftest import TOKEN, ask, serving

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "What is the capital of France?"}]
PLAIN = {"model": "v0", "messages": HELLO, "temperature": 0, "max_tokens": 8}


def content(body):
    """Return what the first answer says."""
    return body["choices"][0]["message"]["content"]


def streamed(talking, asked):
    """Return the events of a stream, the last of them as text."""
    _, _, raw = talking.answer("POST", CHAT, {**asked, "stream": True})
    texts = raw.decode().strip().split("\n\n")
    parts = [text.removeprefix("data: ") for text in texts]
    return [json.loads(part) for part in parts[:-1]], parts[-1]


def test_models_are_versions_and_aliases(talking):
    status, body = talking.ask("GET", "/v1/models")

    assert status == 200
    assert [one["id"] for one in body["data"]] == ["live", "v0"]
    assert {one["object"] for one in body["data"]} == {"model"}


def test_a_conversation_is_answered_as_by_the_command_ask(talking, paths):
    home = Home(paths, Settings(), "test")
    answer = home.ask(HELLO[0]["content"], version="v0", max_new_tokens=8)

    status, body = talking.ask("POST", CHAT, PLAIN)

    assert status == 200
    assert content(body) == answer.text
    assert body["model"] == "v0"
    assert body["usage"]["total_tokens"] == (
        body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    )


def test_a_stream_says_the_same_bit_by_bit(talking):
    _, whole = talking.ask("POST", CHAT, PLAIN)

    parts, last = streamed(talking, PLAIN)

    said = [part["choices"][0]["delta"].get("content", "") for part in parts]
    assert "".join(said) == content(whole)
    assert last == "[DONE]"
    assert parts[-1]["choices"][0]["finish_reason"] in {"stop", "length"}
    assert len({part["id"] for part in parts}) == 1


def test_a_stream_ends_with_what_it_took_where_that_is_asked(talking):
    options = {"stream_options": {"include_usage": True}}

    parts, _ = streamed(talking, PLAIN | options)

    assert parts[-1]["choices"] == []
    assert parts[-1]["usage"]["completion_tokens"] > 0


def test_an_answer_ends_before_a_stop_string(talking):
    _, whole = talking.ask("POST", CHAT, PLAIN)
    stop = content(whole)[1:2]

    _, body = talking.ask("POST", CHAT, {**PLAIN, "stop": [stop]})

    assert content(body) == content(whole).partition(stop)[0]
    assert body["choices"][0]["finish_reason"] == "stop"


def test_several_answers_are_drawn_by_seeds_of_their_own(talking):
    drawn = {**PLAIN, "temperature": 1.5, "seed": 3, "n": 4}

    first, again = (talking.ask("POST", CHAT, drawn)[1] for _ in range(2))

    said = [one["message"]["content"] for one in first["choices"]]
    assert said == [one["message"]["content"] for one in again["choices"]]
    assert len(set(said)) > 1


def test_tokens_are_told_of_with_their_likelihood(talking):
    _, body = talking.ask("POST", CHAT, {**PLAIN, "logprobs": True, "top_logprobs": 2})

    told = body["choices"][0]["logprobs"]["content"]
    assert len(told) == body["usage"]["completion_tokens"]
    for one in told:
        assert one["logprob"] <= 0
        assert one["token"] == one["top_logprobs"][0]["token"]  # greedy


def test_a_text_is_gone_on_from(talking):
    asked = {"model": "v0", "prompt": ["one two", "a b"], "max_tokens": 4}

    status, body = talking.ask("POST", "/v1/completions", asked)

    assert status == 200
    assert [one["index"] for one in body["choices"]] == [0, 1]
    alone = [talking.ask("POST", "/v1/completions", {**asked, "prompt": one})[1]
             for one in asked["prompt"]]  # fmt: skip
    assert body["usage"]["prompt_tokens"] == sum(
        one["usage"]["prompt_tokens"] for one in alone
    )
    assert body["object"] == "text_completion"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"model": "v9"}, 404, "v9"),
        ({"temperature": -1}, 400, "temperature"),
        ({"top_p": 0}, 400, "top_p"),
        ({"n": 1000}, 400, "n: "),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": 10**6}, 400, "positions"),
        ({"messages": []}, 400, "messages"),
        ({"messages": "hello"}, 400, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, 400, "king"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "x"}]}, 400, "last"),
        ({"logit_bias": {"5": 1}}, 400, "logit_bias"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"tool_choice": {"type": "function"}}, 400, "tool_choice"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "x"}}],
                    }
                ]
            },
            400,
            "image",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_answered_is_an_error_of_openais_shape(
    talking, change, status, words, stream
):
    found, body = talking.ask("POST", CHAT, PLAIN | change | {"stream": stream})

    assert found == status
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert words in body["error"]["message"]


def test_false_is_no_number_of_likely_tokens(talking):
    asked = {"model": "v0", "prompt": "a", "logprobs": False}

    status, body = talking.ask("POST", "/v1/completions", asked)

    assert (status, body["error"]["param"]) == (400, "logprobs")


def test_keys_that_nobody_knows_change_nothing(talking):
    _, plain = talking.ask("POST", CHAT, PLAIN)

    status, body = talking.ask("POST", CHAT, {**PLAIN, "user": "me", "nope": {"a": 1}})

    assert status == 200
    assert content(body) == content(plain)


def test_many_ask_at_once_and_each_is_answered_as_alone(talking):
    prompts = [f"What is {n} and {n + 1}?" for n in range(12)]
    asked = [
        {**PLAIN, "messages": [{"role": "user", "content": prompt}]}
        for prompt in prompts
    ]
    alone = [content(talking.ask("POST", CHAT, one)[1]) for one in asked]
    found = [None] * len(asked)

    def ask(place):
        found[place] = content(talking.ask("POST", CHAT, asked[place])[1])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == alone


def test_where_the_process_is_killed_the_next_question_is_answered(talking):
    _, first = talking.ask("POST", CHAT, PLAIN)
    [child] = serving()

    os.kill(child.pid, signal.SIGKILL)
    _, again = talking.ask("POST", CHAT, PLAIN)

    assert content(again) == content(first)


def test_an_answer_that_is_broken_off_is_an_error(talking):
    """
    A stream that has begun ends with it; the next question is answered.
    """
    long = {**PLAIN, "max_tokens": 400, "temperature": 2, "seed": 1, "n": 16}
    connection = HTTPConnection("127.0.0.1", talking.port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    body = json.dumps({**long, "stream": True})
    connection.request("POST", CHAT, body, headers)
    answer = connection.getresponse()
    answer.readline()
    [child] = serving()

    os.kill(child.pid, signal.SIGKILL)
    last = answer.read().decode().strip().split("\n\n")[-1]
    connection.close()

    assert "ended before it had answered" in last
    assert "[DONE]" not in last
    assert talking.ask("POST", CHAT, PLAIN)[0] == 200


def test_it_waits_for_a_run_where_the_settings_say_so(talking):
    pausing = ServeSettings(while_learning="pause")
    talking.scheduler.settings = Settings().model_copy(update={"serve": pausing})
    talking.scheduler.become(kind=RunKind.WAKE, run=1)

    status, headers, body = talking.answer("POST", CHAT, PLAIN)

    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert b"while_learning" in body


def test_without_the_token_nothing_is_answered(talking):
    assert talking.answer("POST", CHAT, PLAIN, token="")[0] == 401


def test_the_typed_client_asks_and_talks(talking):
    client = Client(f"http://127.0.0.1:{talking.port}", TOKEN)
    [turn] = HELLO

    said = client.ask(turn["content"], version="v0", max_new_tokens=8)
    parts = list(client.chat([turn], version="v0", max_tokens=8, temperature=0))

    assert (said.version, said.text) == ("v0", "".join(parts))


def test_a_base_without_a_chat_template_goes_on_from_a_question(served, scheduler):
    scheduler.settings = Settings.model_validate({"model": {"chat": "never"}})
    asked = {"prompt": "The sun", "max_new_tokens": 4}
    chat = {"messages": [{"role": "user", "content": "The sun"}]}
    text = {"prompt": "The sun", "max_tokens": 4, "temperature": 0}

    answered = ask(served, "POST", "/api/ask", body=asked)
    refused = ask(served, "POST", "/v1/chat/completions", body=chat)
    [choice] = ask(served, "POST", "/v1/completions", body=text)[1]["choices"]

    assert answered == (200, {"version": "v0", "text": choice["text"]})
    assert refused[0] == 400
    assert "use /v1/completions" in refused[1]["error"]["message"]


@pytest.mark.parametrize(
    ("path", "asked"),
    [(CHAT, PLAIN), ("/v1/completions", {"prompt": "a", "max_tokens": 2})],
)
def test_both_ways_to_answer_are_documented(talking, path, asked):
    document = talking.ask("GET", "/openapi.json")[1]
    content = document["paths"][path]["post"]["responses"]["200"]["content"]
    shapes = document["components"]["schemas"]
    whole = content["application/json"]["schema"]["$ref"].rpartition("/")[2]

    _, headers, raw = talking.answer("POST", path, asked)
    _, heads, stream = talking.answer("POST", path, {**asked, "stream": True})

    item = content["text/event-stream"]["itemSchema"]["properties"]["data"]
    last, parts = item["anyOf"]
    [part, error] = (each["$ref"] for each in parts["contentSchema"]["anyOf"])
    assert part.endswith(f"/{whole}Chunk")
    assert error.endswith("/OpenaiError")
    assert stream.decode().endswith(f"data: {last['const']}\n\n")
    found = {headers.get_content_type(), heads.get_content_type()}
    assert found == set(content)
    for name, told in (
        (whole, raw.decode()),
        (f"{whole}Chunk", stream.decode().split("\n\n")[0].removeprefix("data: ")),
    ):
        fields = json.loads(told)
        shape, choice = shapes[name], shapes[name]["properties"]["choices"]["items"]
        assert set(shape["required"]) <= fields.keys() <= shape["properties"].keys()
        assert fields["object"] == shape["properties"]["object"]["const"]
        assert fields["choices"][0].keys() == choice["properties"].keys()


def test_a_stop_lets_an_answer_end_and_leaves_no_process(served):
    others = serving()
    asked = {**PLAIN, "temperature": 2, "seed": 1, "n": 16, "stream": True}
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    body = json.dumps({**asked, "max_tokens": 200})
    with closing(HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
        connection.request("POST", CHAT, body, headers)
        answer = connection.getresponse()
        answer.readline()
        [child] = [one for one in serving() if one not in others]

        began = time.monotonic()
        served.stop()

        assert time.monotonic() - began < server.DRAIN_S + 5
        assert not served.thread.is_alive()
        assert not child.is_running()
        assert answer.read().endswith(b"data: [DONE]\n\n")
