"""What is said to the service is kept, judged and learned, by HTTP alone."""

import sqlite3
from contextlib import closing

import pytest

from sleepcycle.settings.config import Settings

CHAT = "/v1/chat/completions"
SECRET = "plughxyzzy"
PLAIN = {"model": "v0", "temperature": 0, "max_tokens": 64}


@pytest.fixture
def keeping(talking):
    """The service of a home that keeps what it is asked to keep."""
    talking.scheduler.settings = Settings(capture={"mode": "ask"})
    return talking


def said(words, **more):
    """Return a request."""
    return {**PLAIN, "messages": [{"role": "user", "content": words}], **more}


def kept(talking, words, **more):
    """Ask something that is kept; return its name."""
    status, body = talking.ask("POST", CHAT, said(words, store=True, **more))
    assert status == 200
    return body["id"]


def state(talking, name):
    """Return how a completion stands in review."""
    return talking.ask("GET", f"/api/inbox/{name}")[1]["state"]


def test_what_is_stored_can_be_got_and_listed(keeping):
    name = kept(keeping, "Where is the lamp?", metadata={"topic": "lamps"})

    status, body = keeping.ask("GET", f"{CHAT}/{name}")
    _, listed = keeping.ask("GET", f"{CHAT}?metadata%5Btopic%5D=lamps&order=desc")
    _, before = keeping.ask("GET", f"{CHAT}/{name}/messages")

    assert status == 200
    assert body["metadata"] == {"topic": "lamps"}
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert listed["data"][0]["id"] == name
    assert before["data"][0]["content"] == "Where is the lamp?"


def test_a_stream_is_kept_once_it_is_over(keeping):
    _, _, raw = keeping.answer("POST", CHAT, said("Stream me", store=True, stream=True))

    name = raw.decode().partition('"id": "')[2].partition('"')[0]
    assert keeping.ask("GET", f"{CHAT}/{name}")[0] == 200


def test_lists_come_in_pages(keeping):
    names = [kept(keeping, f"Page {n}", metadata={"k": "pages"}) for n in range(3)]
    query = f"{CHAT}?metadata%5Bk%5D=pages&limit=2"

    _, first = keeping.ask("GET", query)
    _, second = keeping.ask("GET", f"{query}&after={first['last_id']}")

    pages = [[one["id"] for one in page["data"]] for page in (first, second)]
    assert pages == [names[:2], names[2:]]
    assert (first["has_more"], second["has_more"]) == (True, False)


def test_metadata_can_be_replaced(keeping):
    name = kept(keeping, "Mark me")

    keeping.ask("POST", f"{CHAT}/{name}", {"metadata": {"a": "b"}})

    assert keeping.ask("GET", f"{CHAT}/{name}")[1]["metadata"] == {"a": "b"}


def test_what_is_deleted_is_gone(keeping):
    name = kept(keeping, "Forget me")

    status, body = keeping.ask("DELETE", f"{CHAT}/{name}")

    assert (status, body["deleted"]) == (200, True)
    assert keeping.ask("GET", f"{CHAT}/{name}")[0] == 404


def test_without_store_nothing_is_kept(keeping):
    _, body = keeping.ask("POST", CHAT, said("Do not keep me"))

    assert keeping.ask("GET", f"{CHAT}/{body['id']}")[0] == 404


def test_an_answer_that_was_cut_off_is_not_kept(keeping):
    """
    It would teach to break off.
    """
    _, body = keeping.ask("POST", CHAT, said("Say it", store=True, max_tokens=1))

    assert body["choices"][0]["finish_reason"] == "length"
    assert keeping.ask("GET", f"{CHAT}/{body['id']}")[0] == 404


def test_store_alone_keeps_nothing_where_capture_is_off(talking):
    status, body = talking.ask("POST", CHAT, said(SECRET, store=True))

    assert status == 200
    assert talking.ask("GET", f"{CHAT}/{body['id']}")[0] == 404
    found = [
        file
        for file in talking.paths.root.rglob("*")
        if file.is_file() and SECRET.encode() in file.read_bytes()
    ]
    assert found == []


@pytest.mark.parametrize(
    "body",
    [
        {"metric_name": "demonstration", "value": "It is in the hall."},
        {"key": "fix", "correction": "It is in the hall."},
        {"key": "fix", "correction": {"answer": "It is in the hall."}},
    ],
)
def test_a_correction_becomes_an_example(keeping, body):
    name = kept(
        keeping, f"Where is the {body.get('key', 'lamp')} now {len(str(body))}?"
    )

    status, given = keeping.ask("POST", "/v1/feedback", {"inference_id": name, **body})

    assert status == 200
    assert given["feedback_id"]
    assert state(keeping, name) == "accepted"
    with closing(sqlite3.connect(keeping.paths.database)) as database:
        [[count]] = database.execute(
            "SELECT count(*) FROM example WHERE content LIKE '%in the hall%'"
        )
    assert count > 0


@pytest.mark.parametrize(
    ("value", "wanted"), [(True, "waiting"), (False, "rejected"), (0, "rejected")]
)
def test_a_thumb_up_is_reviewed_and_one_down_is_never_learned(keeping, value, wanted):
    name = kept(keeping, f"Is this good, {value!r}?")

    keeping.ask(
        "POST",
        "/v1/feedback",
        {"inference_id": name, "metric_name": "thumb", "value": value},
    )

    assert state(keeping, name) == wanted


def test_a_dry_run_changes_nothing(keeping):
    name = kept(keeping, "Only try")
    body = {"inference_id": name, "metric_name": "demonstration", "value": "x"}

    assert keeping.ask("POST", "/v1/feedback", {**body, "dryrun": True})[0] == 200
    assert state(keeping, name) == "waiting"


@pytest.mark.parametrize("value", ["maybe", 0.5, None])
def test_feedback_that_says_nothing_is_refused(keeping, value):
    name = kept(keeping, "Say what?")
    body = {"inference_id": name, "metric_name": "thumb", "value": value}

    status, answer = keeping.ask("POST", "/v1/feedback", body)

    assert status == 400
    assert "expected true or false" in answer["error"]["message"]


def test_feedback_on_what_is_not_kept_is_not_found(keeping):
    body = {"inference_id": "chatcmpl-nope", "metric_name": "thumb", "value": True}

    assert keeping.ask("POST", "/v1/feedback", body)[0] == 404


def test_review_accepts_rejects_and_edits(keeping):
    names = [kept(keeping, f"Review {n}") for n in range(3)]
    words = ("accept", "reject", "edit")

    for name, word in zip(names, words, strict=True):
        body = {"answer": "Better."} if word == "edit" else None
        status, _ = keeping.ask("POST", f"/api/inbox/{name}/{word}", body)
        assert status == 200

    assert [state(keeping, name) for name in names] == [
        "accepted",
        "rejected",
        "accepted",
    ]
    _, body = keeping.ask("GET", "/api/inbox?state=rejected")
    assert names[1] in {one["id"] for one in body}


def test_what_is_private_is_not_kept(keeping):
    name = kept(keeping, "Write to ada@example.org")

    _, body = keeping.ask("GET", f"{CHAT}/{name}/messages")

    assert body["data"][0]["content"] == "Write to [email]"
