"""Keys that no shape knows, of any name and value, on rows of every shape.

Such a key is kept beside the row, whose content stays, or the row is refused and the
reason names the key. There is no third thing.
"""

import copy
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import HARMLESS, RULES, TELLS_OF, rule_of
from sleepcycle.feed.shapes import KEYS, Format, shape_of
from tests.feed.rows import WHOLE, read_as_fed

WORDS = sorted(set().union(*(rule.words for rule in RULES)))
OTHERS = [*TELLS_OF, *HARMLESS, "note", "score", "my", "x", "is", "created", "Über"]
READ = {
    "system", "system_prompt", "tools", "functions", "chat_template_kwargs", "label",
    "template_args", "weight", "train", "history", "input", "context", "error",
    "current_node", "extra",
}  # fmt: skip
"""Keys that some shape reads: what becomes of them is no matter of this."""

FORMS = {
    "snake": "_".join,
    "kebab": "-".join,
    "camel": lambda words: words[0] + "".join(word.title() for word in words[1:]),
    "pascal": lambda words: "".join(word.title() for word in words),
    "upper": lambda words: "_".join(words).upper(),
    "spaced": " ".join,
    "joined": "".join,
    "numbered": lambda words: "_".join(words) + "_2",
}
keys = st.one_of(
    st.builds(
        lambda words, form: FORMS[form](words),
        st.lists(st.sampled_from(WORDS + OTHERS), min_size=1, max_size=3),
        st.sampled_from(sorted(FORMS)),
    ),
    st.text(string.printable, min_size=1, max_size=12),
)
plain = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=6),
    st.sampled_from(["0", "false", "no", "good"]),
)  # fmt: skip
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)
runs = settings(max_examples=400, deadline=None)


def is_known(key):
    """Return whether a key is one that a shape reads, or that makes a row a shape's."""
    name = key.strip().lower()
    return name in READ or any(name in needed for needed in KEYS.values())


def is_empty(value):
    """Return whether a value says nothing."""
    return value is None or value in ("", [], {}) or value != value


def check(row, key, value, place):
    """Assert that one of the two things became of a key; return whether it was kept."""
    shape = shape_of(row)
    plain_row = copy.deepcopy(row)
    place(row)[key] = value
    assert shape_of(row) is shape
    reading, refused = None, ""
    try:
        reading = read_as_fed(row)
    except RowError as fault:
        refused = str(fault)
    if reading is None:
        assert f"{key!a:.60}" in refused
        return False
    assert reading.content == read_as_fed(plain_row).content
    if is_empty(value):
        return False
    assert {key, f"turns[].{key}"} & reading.provenance.keys()
    return True


def is_refused(row, word):
    """Return whether a row is refused by a reason that has a word."""
    try:
        read_as_fed(row)
    except RowError as fault:
        return word in str(fault)
    return False


@runs
@given(shape=st.sampled_from(list(Format)), key=keys, value=values)
def test_a_key_of_a_row_is_kept_or_named(shape, key, value):
    if is_known(key) or key in WHOLE[shape]:
        return

    was_kept = check(copy.deepcopy(WHOLE[shape]), key, value, lambda row: row)

    rule = rule_of(key)
    assert not (was_kept and rule is not None and rule.counts(value))


@runs
@given(
    shape=st.sampled_from([Format.MESSAGES, Format.SHAREGPT]),
    number=st.integers(0, 1),
    key=keys,
    value=values,
)
def test_a_key_of_a_turn_is_kept_or_named(shape, number, key, value):
    row = copy.deepcopy(WHOLE[shape])
    [turns] = row.values()
    known = {"role", "from", "content", "value", "text", "parts", "name"}
    known |= {"reasoning", "reasoning_content", "thinking", "tool_calls"}
    known |= {"function_call", "tool_call_id", "weight", "train"}
    if key.lower() in known:
        return

    was_kept = check(row, key, value, lambda whole: next(iter(whole.values()))[number])

    rule = rule_of(key)
    assert len(turns) == 2
    assert not (was_kept and rule is not None and rule.counts(value))


@pytest.mark.parametrize("shape", Format)
def test_a_word_of_meaning_is_never_kept_in_silence(shape):
    silent = [
        (word, value)
        for word in WORDS
        for value in ("x", True, False, 1, 0, ["x"], {"a": 1})
        if not is_known(word)
        and rule_of(word).counts(value)
        and not is_refused({**copy.deepcopy(WHOLE[shape]), word: value}, word)
    ]

    assert silent == []
