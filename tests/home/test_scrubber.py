"""What is private is taken out of every field, and ordinary numbers stay."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepcycle.errors import ConfigError
from sleepcycle.home.scrubber import scrubber_of
from sleepcycle.settings.captureconfig import CaptureSettings
from sleepcycle.settings.configfile import settings_from

ALL = scrubber_of(CaptureSettings())
WORDS = st.sampled_from(["see", "and", "the", "of 3 (", "ä:", "\n", "— ", "x=1;", "«"])
DIGIT = st.sampled_from("0123456789")


def luhn(digits):
    """Return the digit that makes a card's number of these."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 if place % 2 else 2)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


CARDS = [
    ("4", 16, (4, 4, 4)),
    ("52", 16, (4, 4, 4)),
    ("37", 15, (4, 6)),
    ("6011", 16, (4, 4, 4)),
    ("36", 14, (4, 6)),
    ("62", 19, (4, 4, 4)),
]
"""How numbers begin, how many digits they have, and their groups but for the last."""

PHONES = [
    "+49 17# #######",
    "+1 (2##) ###-####",
    "+33#########",
    "+44 (0)20 #### ####",
    "0049 3# ######",
    "00491##########",
    "01#########",
    "06 ## ## ## ##",
    "030/1######",
    "(030) #######",
    "(2##) ###-####",
    "2##-###-####",
    "1-800-###-####",
    "2##.###.####",
    "call me at 5#########",
    "tel: 5## ## ##",
    "Phone number is 5#######",
]


@st.composite
def cards(draw):
    """Draw a number of a card, as people write them."""
    left, length, groups = draw(st.sampled_from(CARDS))
    missing = length - len(left) - 1
    left += "".join(draw(st.lists(DIGIT, min_size=missing, max_size=missing)))
    left += luhn(left)
    parts = []
    for group in groups:
        parts.append(left[:group])
        left = left[group:]
    return draw(st.sampled_from(["", " ", "-", "\u00a0"])).join([*parts, left])


@st.composite
def phones(draw):
    """Draw a telephone number, as people write them."""
    form = draw(st.sampled_from(PHONES))
    return "".join(draw(DIGIT) if sign == "#" else sign for sign in form)


@st.composite
def addresses(draw):
    """Draw an address of e-mail."""
    local = draw(
        st.sampled_from(["anna", "o'brien", "a.b+c", "x_1", '"a b"', "jürgen"])
    )
    name = draw(st.from_regex(r"[a-z]{1,12}", fullmatch=True))
    end = draw(st.sampled_from(["com", "co.uk", "museum", "xn--p1ai", "example.org"]))
    return (
        f"{local}{name}@{name}.{end}" if local != '"a b"' else f"{local}@{name}.{end}"
    )


def everywhere(text):
    """Return messages, an answer and metadata that have a text in every field."""
    call = {
        "id": "c",
        "function": {"name": "f", "arguments": json.dumps({"to": [text]})},
    }
    return {
        "messages": [
            {"role": "system", "content": text},
            {"role": "user", "content": [{"type": "text", "text": text}], "name": text},
            {"role": "tool", "content": text, "tool_call_id": "c"},
        ],
        "answer": {"role": "assistant", "content": text, "tool_calls": [call]},
        "metadata": {"key": text, text: "value"},
        "tools": [{"function": {"description": text}}],
    }


class TestWhatIsPrivate:
    @settings(max_examples=300, deadline=None)
    @given(st.one_of(cards(), phones(), addresses()), WORDS, WORDS)
    def test_nothing_planted_survives_in_any_field(self, planted, before, after):
        kept = json.dumps(ALL.plain(everywhere(f"{before} {planted} {after}")))

        assert planted not in kept
        assert json.dumps(planted)[1:-1] not in kept
        number = "".join(sign for sign in planted if sign.isdecimal())
        found = "".join(sign for sign in kept if sign.isdecimal())
        assert len(number) < 7 or number not in found

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("write to Anna@Example.com.", "write to [email]."),
            ("mailto:a@b.co?subject=x", "mailto:[email]?subject=x"),
            ("my card: 4111-1111-1111-1111, 12/27", "my card: [card], 12/27"),
            ("call +49 (0)170 1234567 now", "call [phone] now"),
            ("Tel.: 5551234567", "Tel.: [phone]"),
        ],
    )
    def test_what_stands_in_its_place(self, text, kept):
        assert ALL.text(text) == kept

    def test_json_of_a_call_is_read_so_that_no_escape_hides_it(self):
        arguments = '{"to": "anna\\u0040example.com", "card": 4111111111111111, "n": 2}'

        kept = ALL.plain({"function": {"arguments": arguments}})

        written = kept["function"]["arguments"]
        assert json.loads(written) == {"to": "[email]", "card": "[card]", "n": 2}

    def test_half_a_character_is_replaced(self):
        assert ALL.text("a\ud800b") == "a?b"


class TestWhatIsOrdinary:
    @pytest.mark.parametrize(
        "text",
        [
            "in 1984, 2026 and 1999-2001",
            "it costs 1,299.00 €, $12.50 or 1 299 000 yen",
            "order 4210 0000 0001, id 421000000001",
            "on 2026-11-30 at 09:30, or 30.11.2026 10:15, or 01/02/2026 10 20",
            "2026-11-30T09:30:00.123456+01:00",
            "192.168.100.200, 10.0.0.1:8080 and 127.0.0.1",
            "3.14159265358979 and 0.0123456789",
            "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
            "c0ffee00-1234-4321-8765-0123456789ab",
            "numpy@1.26.4 and @app.get('/x')",
            "it took 1732999999 s, or 1732999999123 ms",
            "ISBN 978-3-16-148410-0",
            "4111 1111 1111 1112 is no card",
            "v1.2.3, 5+7=12, -40 °C, 50 %, 3-4 people",
            "2 4 6 8 10 12 14 16 18 20 22 24 26 28",
            "call 20 people on 2026-11-30",
        ],
    )
    def test_it_stays(self, text):
        assert ALL.text(text) == text

    @settings(max_examples=300, deadline=None)
    @given(st.from_regex(r"[1-9][0-9]{11}", fullmatch=True), WORDS, WORDS)
    def test_an_id_of_twelve_digits_stays(self, number, before, after):
        text = f"{before} {number} {after}"

        assert ALL.text(text) == text

    @settings(max_examples=300, deadline=None)
    @given(st.from_regex(r"[2-6][0-9]{15}", fullmatch=True))
    def test_a_long_id_stays_unless_it_checks_as_a_card(self, number):
        is_card = luhn(number[:-1]) == number[-1]

        assert ALL.text(number) == ("[card]" if is_card else number)

    def test_numbers_and_truths_of_plain_data_stay(self):
        data = {"a": [1, 2.5, True, None, 2026], "b": {"c": 123456789012}}

        assert ALL.plain(data) == data


class TestSettings:
    def test_only_what_is_asked_for_is_taken_out(self):
        cards_alone = scrubber_of(CaptureSettings(redact=["card"]))

        text = cards_alone.text("a@b.com +49 170 1234567 4111111111111111")

        assert text == "a@b.com +49 170 1234567 [card]"

    def test_own_patterns_are_taken_out_too(self):
        own = scrubber_of(CaptureSettings(redact=[], patterns=[r"(?i)project \w+"]))

        assert own.text("on Project Nightjar.") == "on [redacted]."

    def test_a_pattern_that_is_none_is_refused(self):
        expected = r"capture.patterns.*expected a regular expression .*unterminated"
        with pytest.raises(ConfigError, match=expected):
            settings_from({"capture": {"patterns": ["ok", "(a"]}})

    def test_a_pattern_that_fits_nothing_at_all_is_refused(self):
        with pytest.raises(ConfigError, match="no empty text fits"):
            settings_from({"capture": {"patterns": ["a*"]}})

    def test_an_unknown_kind_is_refused(self):
        with pytest.raises(ConfigError, match=r"capture.redact"):
            settings_from({"capture": {"redact": ["fax"]}})


def test_long_text_takes_time_in_proportion():
    """
    A text of one sign after the other is where patterns that try again are slow.
    """
    for sign in ("a", "1", "a@", "0 ", "+1 ", "(", '"'):
        text = sign * (200_000 // len(sign))

        assert ALL.text(text)
