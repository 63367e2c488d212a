"""Canonical content: one form, one hash, one side of the held-out line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepcycle.records.content import (
    Completion,
    Conversation,
    Message,
    Role,
    Text,
    canonical_json,
    content_hash,
    is_held_out,
    parse_canonical,
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
contents = st.one_of(
    st.builds(Text, words),
    st.builds(Completion, words, words),
    st.builds(
        Conversation,
        st.lists(st.builds(Message, st.sampled_from(Role), words)).map(tuple),
    ),
)


@given(contents)
def test_canonical_form_gives_the_content_back(content):
    assert parse_canonical(canonical_json(content)) == content


@given(contents)
def test_canonical_form_is_one_line(content):
    """
    Run folders hold one example a line.
    """
    assert "\n" not in canonical_json(content)
    assert "\r" not in canonical_json(content)


def test_the_same_words_in_another_shape_are_other_content():
    assert canonical_json(Text("ab")) != canonical_json(Completion("a", "b"))


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_the_share_held_out_is_the_share_asked_for(share):
    """
    20,000 draws: the standard error at one half is 0.35 %.
    """
    digests = [content_hash(str(i)) for i in range(20_000)]

    held_out = sum(is_held_out(digest, share) for digest in digests) / len(digests)

    assert held_out == pytest.approx(share, abs=0.012)


def test_a_larger_share_keeps_held_out_what_was():
    """
    Raising the share never moves an example into training's reach.
    """
    digests = [content_hash(str(i)) for i in range(2_000)]

    small = {digest for digest in digests if is_held_out(digest, 0.05)}
    large = {digest for digest in digests if is_held_out(digest, 0.10)}

    assert small < large
