"""A conversation is carried by its page, and read as it was written."""

import json

import pytest

from sleepcycle.dashboard.conversation import (
    MOST_CHARS,
    Answered,
    Exchanged,
    messages_of,
    read_conversation,
    versions_of,
    write_conversation,
)
from sleepcycle.errors import ConfigError


def answered(name, text):
    """Return an answer of a version."""
    return Answered(name=name, version=name, text=text)


TURNS = [
    Exchanged(said="a?", answers=(answered("v1", "A1"), answered("v2", "A2"))),
    Exchanged(said="b?", answers=(answered("v2", "B2"),)),
]


def test_it_is_read_as_it_was_written():
    assert read_conversation(write_conversation(TURNS)) == TURNS


def test_none_is_an_empty_one():
    assert read_conversation("") == []


def test_each_version_is_told_what_it_said_itself():
    """
    Not what others answered, nor what it was not asked.
    """
    assert messages_of(TURNS, "v1", "c?") == [
        {"role": "user", "content": "a?"},
        {"role": "assistant", "content": "A1"},
        {"role": "user", "content": "c?"},
    ]


@pytest.mark.parametrize(
    "text",
    ["x", "{}", "[1]", '[{"said": "a", "answers": [], "more": 1}]', "[" * 5000],
)
def test_what_is_none_of_ours_is_refused(text):
    with pytest.raises(ConfigError, match="expected the conversation as the page has"):
        read_conversation(text)


def test_one_that_is_too_long_is_refused():
    with pytest.raises(ConfigError, match="begin a new one"):
        read_conversation(json.dumps("x" * MOST_CHARS))


def test_versions_are_named_once_each():
    assert versions_of("live, v3,live,") == ["live", "v3"]
    assert versions_of("") == ["live"]


def test_more_versions_than_stand_side_by_side_are_refused():
    with pytest.raises(ConfigError, match="at most 3 versions side by side, got 4"):
        versions_of("v1,v2,v3,v4")
