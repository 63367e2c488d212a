"""Patterns of layers: what PEFT's regular expressions mean, and never a slow one."""

import random
import re

import pytest

from sleepcycle.errors import AdapterError
from sleepcycle.model.layer_pattern import MOST, value_for

PATH = "model.layers.10.self_attn.q_proj"


def is_of(key, path=PATH):
    """Return whether a key is one of a layer."""
    return value_for({key: "own"}, path, "usual") == "own"


@pytest.mark.parametrize(
    "key",
    [
        "q_proj",
        "self_attn.q_proj",
        PATH,
        f"^{PATH}$",
        r"layers\.10\..*_proj",
        r"layers\.\d+\.self_attn\.q_proj",
        r"^model.*q_proj",
        r"\w+_proj$",
        r"x?q_?proj",
    ],
)
def test_the_layers_that_peft_takes_are_matched(key):
    assert re.fullmatch(rf"(.*\.)?({key})", PATH)
    assert is_of(key)


@pytest.mark.parametrize(
    "key", ["proj", "_proj", "layers", "^self_attn.q_proj", r"layers\.1\..*", r"\d+"]
)
def test_no_other_is(key):
    assert not re.fullmatch(rf"(.*\.)?({key})", PATH)
    assert not is_of(key)


def test_any_pattern_of_these_signs_means_what_it_means_to_peft():
    """
    Against Python's own, on names short enough for it to be fast.
    """
    rng = random.Random(0)
    signs = ["a", "b", "1", ".", r"\.", r"\d", r"\w", "_"]
    found = {True: 0, False: 0}
    for _ in range(20_000):
        parts = rng.choices(signs, k=rng.randint(1, 4))
        key = "".join(part + rng.choice(["", "", "*", "+", "?"]) for part in parts)
        key = rng.choice(["", "^"]) + key + rng.choice(["", "$"])
        path = "".join(rng.choices("ab1._", k=rng.randint(1, 6)))
        if re.fullmatch(r"[\w.-]+", key):
            continue  # a name, of which a dot is a dot

        expected = re.fullmatch(rf"(.*\.)?({key})", path) is not None

        assert is_of(key, path) is expected, (key, path)
        found[expected] += 1
    assert min(found.values()) > 1000


def test_the_first_that_fits_counts():
    table = {"k_proj": 1, "q_proj": 2, PATH: 3}

    assert value_for(table, PATH, 0) == 2


@pytest.mark.parametrize("table", [None, {}, [], "q_proj", 3])
def test_without_a_table_the_usual_value_counts(table):
    assert value_for(table, PATH, 8) == 8


def test_one_that_would_take_years_takes_no_time():
    """
    Backtracking would try each way to share the name out among the stars.
    """
    assert not is_of(".*" * 60 + "x")
    assert is_of(".*" * 60 + "_proj")


@pytest.mark.parametrize(
    "key",
    [
        "(a+)+$",
        "(.*)*x",
        r"(.*.*)*\Z",
        "(q|v)_proj",
        "[qv]_proj",
        "a{1000}{1000}",
        ".*?",
        "*",
        "^$",
        "",
        "(?=a)",
        r"\bq",
        r"q\1",
        "a\\",
        "x*" * 201,
    ],
)
def test_other_regular_expressions_are_refused(key):
    with pytest.raises(
        AdapterError, match=r"the pattern .* is not valid: .* write the"
    ):
        is_of(key)


def test_a_refusal_quotes_little():
    with pytest.raises(AdapterError, match="is not valid") as refusal:
        is_of("(" * 1_000_000)

    assert len(str(refusal.value)) < 400


def test_too_many_are_refused():
    with pytest.raises(AdapterError, match=f"at most {MOST} patterns, got {MOST + 1}"):
        value_for({str(number): 1 for number in range(MOST + 1)}, PATH, 1)
