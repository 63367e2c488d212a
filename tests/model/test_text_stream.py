"""Text as it is being written: whole characters, up to a stop string."""

import pytest

from sleepcycle.model.text_stream import TextStream
from tests.model.conftest import load as load
from tests.model.conftest import nano as nano


def streamed(base, text, stops=()):
    """Return the bits that a text comes in, and whether it was stopped."""
    stream = TextStream(base.tokenizer, stops)
    ids = base.tokenizer.encode(text, add_special_tokens=False)
    bits = [stream.add(id_) for id_ in ids]
    return [*bits, stream.end()], stream.stopped


@pytest.mark.parametrize(
    "text",
    ["What is the capital of France?", "naïve: 9 ☃ 81", " a  b\n\nc ", ""],
)
def test_all_bits_are_what_the_tokens_decode_to(nano, text):
    bits, stopped = streamed(nano, text)

    ids = nano.tokenizer.encode(text, add_special_tokens=False)
    assert "".join(bits) == nano.tokenizer.decode(ids, skip_special_tokens=True)
    assert not stopped


def test_no_bit_has_half_a_character(nano):
    bits, _ = streamed(nano, "☃ ☃ ☃")

    assert not any("\ufffd" in bit for bit in bits)


def test_nothing_comes_from_a_stop_string_on(nano):
    bits, stopped = streamed(nano, "one two three two", ["two"])

    assert "".join(bits) == "one "
    assert stopped


def test_a_stop_string_may_come_in_several_tokens(nano):
    bits, stopped = streamed(nano, "one END of it", ["END of"])

    assert "".join(bits) == "one "
    assert stopped


def test_the_first_of_several_stop_strings_counts(nano):
    bits, _ = streamed(nano, "one two three", ["three", "two"])

    assert "".join(bits) == "one "


def test_the_beginning_of_a_stop_string_alone_is_text(nano):
    bits, stopped = streamed(nano, "one EN", ["END"])

    assert "".join(bits) == "one EN"
    assert not stopped


def test_special_tokens_are_no_text(nano):
    stream = TextStream(nano.tokenizer)

    assert stream.add(nano.tokenizer.eos_token_id) + stream.end() == ""
