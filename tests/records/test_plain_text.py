"""Text that is shown steers nothing, and reads as it was written otherwise."""

import json

import pytest

from sleepcycle.records.codec import dumps
from sleepcycle.records.plain_text import one_line, printable

READABLE = [
    "caf\u00e9 \u00a0na\u00efve",
    "\u05e9\u05dc\u05d5\u05dd\u200f!",
    "\u0645\u0631\u062d\u0628\u0627\u200e",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a non-joiner
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
    "\u65e5\u672c\u8a9e",
    "two\nlines\tand a tab",
]
STEERING = ["\x00", "\x07", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029"]
STEERING += [*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]


@pytest.mark.parametrize("text", READABLE)
def test_letters_of_all_scripts_stay_as_they_are(text):
    assert printable(text) == text


@pytest.mark.parametrize("sign", STEERING)
def test_what_steers_is_shown_by_its_code(sign):
    shown = printable(f"a{sign}b")

    assert sign not in shown
    assert (
        shown
        == f"a\\{'xu'[ord(sign) > 255]}{ord(sign):0{2 if ord(sign) < 256 else 4}x}b"
    )


def test_a_byte_that_was_no_utf_8_is_shown_as_that_byte():
    assert printable("caf\udce9") == "caf\\xe9"


def test_ends_of_lines_and_tabs_can_be_shown_too():
    assert one_line("a\nb\tc") == r"a\nb\tc"


@pytest.mark.parametrize("sign", [*STEERING, "\u061c", "\u200e", "\u200f", "\udce9"])
def test_json_has_no_sign_that_steers_and_means_the_same(sign):
    text = dumps({"name": f"a{sign}b"})

    assert sign not in text
    assert json.loads(text) == {"name": f"a{sign}b"}


def test_json_keeps_letters_of_all_scripts():
    assert dumps("\u05e9\u05dc") == '"\u05e9\u05dc"'
