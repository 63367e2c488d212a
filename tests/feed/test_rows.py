import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepcycle.errors import RowError
from sleepcycle.feed.rows import Row, parse_json, unfold
from sleepcycle.settings.config import FeedSettings

DEEP = 64
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def depth_of(value):
    """Count levels the slow way."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def code_of(raw, max_depth=DEEP):
    with pytest.raises(RowError, match="expected") as caught:
        parse_json(raw, max_depth)
    return caught.value.code


@given(TREES, st.booleans())
def test_what_json_can_hold_comes_back(value, ascii_only):
    raw = json.dumps(value, ensure_ascii=ascii_only).encode(errors="replace")

    assert parse_json(raw, 1_000) == json.loads(raw)


@given(TREES, st.integers(0, 4))
def test_depth_is_counted_right_with_brackets_in_texts_too(value, limit):
    """
    The slow count is of the parsed value, which has no brackets left in it.
    """
    raw = json.dumps({"[{": value, '"': r"\"[["}).encode()
    if depth_of({"": value}) > limit:
        assert code_of(raw, limit) == "E_DEPTH"
    else:
        parse_json(raw, limit)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "E_JSON"),
        (b"{", "E_JSON"),
        (b'{"text": "x"', "E_JSON"),
        (b'{"text": "x"} {"text": "y"}', "E_JSON"),
        (b"{'text': 'x'}", "E_JSON"),
        (b'{"text": "a\nb"}', "E_JSON"),
        (b'{"text": "a\0b"}', "E_JSON"),
        (b'{"text": "\xff"}', "E_UTF8"),
        (b'{"text": "\xed\xa0\x80"}', "E_UTF8"),
        (b'{"text": "x", "text": "y"}', "E_DUPKEY"),
        (b'{"text": "x", "more": [{"a": 1, "a": 1}]}', "E_DUPKEY"),
        (b"[" * 200_000, "E_DEPTH"),
        (b'{"a":' * 200_000, "E_DEPTH"),
        (b'{"text": "' + b'\\"' * 500_000, "E_JSON"),
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_each_fault_has_its_code(raw, code):
    assert code_of(raw) == code


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_the_deepest_bound_that_can_be_set_is_within_the_parser_s(opening, closing):
    """
    Python's own parser gives up at the interpreter's recursion limit.
    """
    bound = FeedSettings(max_depth=500).max_depth
    raw = f"{opening * bound}1{closing * bound}".encode()

    value = parse_json(raw, bound)

    levels = 0
    while value != 1.0:
        [value] = value.values() if isinstance(value, dict) else value
        levels += 1
    assert levels == bound
    assert code_of(b"[" + raw + b"]", bound) == "E_DEPTH"


def test_a_number_of_any_length_is_a_number():
    """
    Python refuses to make an integer of more than 4,300 digits.
    """
    parsed = parse_json(b'{"text": "x", "id": ' + b"9" * 5_000 + b"}", DEEP)

    assert parsed == {"text": "x", "id": math.inf}


def test_what_is_no_number_passes_here():
    parsed = parse_json(b'{"score": NaN, "loss": -Infinity}', DEEP)

    assert math.isnan(parsed["score"])
    assert parsed["loss"] == -math.inf


@pytest.mark.parametrize("key", ["messages", "conversations"])
class TestUnfold:
    def test_turns_in_a_text_are_read(self, key):
        turns = [{"role": "user", "content": "q"}]

        row = unfold(Row(1, 0, 0, b"", {key: json.dumps(turns)}), FeedSettings())

        assert (row.value, row.fault) == ({key: turns}, None)

    def test_turns_by_their_keys_are_read(self, key):
        columns = {"role": ["user", "assistant"], "content": ["q", "a"]}

        row = unfold(Row(1, 0, 0, b"", {key: columns}), FeedSettings())

        assert row.value[key] == [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "a"},
        ]

    @pytest.mark.parametrize(
        "turns", [{}, {"role": "user"}, {"role": ["user"], "content": []}, None, [[]]]
    )
    def test_what_is_no_turns_stays_as_it_is(self, key, turns):
        row = unfold(Row(1, 0, 0, b"", {key: turns}), FeedSettings())

        assert row.value == {key: turns}

    @pytest.mark.parametrize(
        ("text", "code", "message"),
        [
            ("[{'role': 'user'}]", "E_JSON", "got Python's way of writing it; write"),
            ("hello", "E_JSON", ": expected JSON, got: expecting value at byte 0"),
            ("[" * 100, "E_DEPTH", ": expected at most 64 levels, got more"),
            ('[{"a": "\ud800"}]', "E_UTF8", "expected text, got a lone surrogate"),
        ],
    )
    def test_another_text_says_what_it_is(self, key, text, code, message):
        row = unfold(Row(1, 0, 0, b"", {key: text}), FeedSettings())

        assert row.fault.code == code
        assert message in str(row.fault)
        assert key in str(row.fault) or code == "E_UTF8"
