"""Reading numbers: what an answer means, in figures and words of two languages."""

import time
from fractions import Fraction

import pytest
from answer_table import DECISIONS, NUMBERS, shown
from hypothesis import given
from hypothesis import strategies as st

from sleepcycle_study.numbers import numberwords
from sleepcycle_study.numbers.numbers import (
    leading_number,
    magnitude_only,
    read_exact,
    read_number,
)

UNITS = [word for word, value in numberwords.ENGLISH.items() if value < 20]
TENS = {value: word for word, value in numberwords.ENGLISH.items() if value % 10 == 0}


def below_hundred(number):
    """Return a number below 100 in English."""
    if number < 20:
        return UNITS[number]
    unit = f"-{UNITS[number % 10]}" if number % 10 else ""
    return f"{TENS[number - number % 10]}{unit}"


def in_english(number):
    """Return a number below a million in English."""
    parts = []
    if number >= 1_000:
        parts.append(f"{in_english(number // 1_000)} thousand")
    if number % 1_000 >= 100:
        parts.append(f"{UNITS[number % 1_000 // 100]} hundred")
    if number % 100 or not parts:
        parts.append(f"{'and ' if parts else ''}{below_hundred(number % 100)}")
    return " ".join(parts)


class TestTable:
    def test_it_is_long_enough(self):
        assert len(NUMBERS) >= 60
        assert len({row["text"] for row in NUMBERS}) == len(NUMBERS)

    @pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row["text"][:30])
    def test_an_answer_means_the_number_of_the_table(self, row):
        assert shown(read_number(row["text"])) == row["ours"]

    @pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row["text"][:30])
    def test_an_answer_gives_the_exact_number_of_the_table(self, row):
        assert shown(read_exact(row["text"])) == row.get("exact", row["ours"])

    @pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row["text"][:30])
    def test_only_an_order_is_told_from_a_number(self, row):
        assert magnitude_only(row["text"]) == row.get("order", False)

    @pytest.mark.parametrize(
        "row", [*NUMBERS, *DECISIONS], ids=lambda row: row["text"][:30]
    )
    def test_it_says_why_where_the_rules_differ_and_only_there(self, row):
        assert ("why" in row) == (row["ours"] != row["article"])


class TestReadNumber:
    @given(st.integers(-(10**12), 10**12))
    def test_every_way_to_write_an_integer_gives_it_back(self, number):
        italian = f"{number:,}".replace(",", ".")

        assert read_number(f"{number}") == number
        assert read_number(f"{number:,}") == number
        assert read_number(f"La risposta è {italian}.") == number

    @given(st.integers(0, 999_999))
    def test_english_words_give_their_number_back(self, number):
        assert read_number(f"it is minus {in_english(number)}") == -number

    @given(st.integers(1, 999), st.integers(0, 999))
    def test_italian_words_of_thousands_give_their_number_back(self, many, rest):
        """
        The same words alone and joined, so that a thousand and what follows add up.
        """
        words = {value: word for word, value in reversed(numberwords.ITALIAN.items())}
        left = "mille" if many == 1 else f"{words[many]}mila"

        assert read_number(left + (words[rest] if rest else "")) == 1_000 * many + rest

    def test_every_italian_number_below_a_thousand_has_its_name(self):
        assert set(numberwords.ITALIAN.values()) == set(range(1_000))

    @pytest.mark.parametrize(
        ("word", "value"),
        [
            ("ventuno", 21),
            ("ventotto", 28),
            ("trentatré", 33),
            ("cento", 100),
            ("centouno", 101),
            ("duecentoquarantotto", 248),
            ("novecentonovantanove", 999),
        ],
    )
    def test_italian_names_are_the_ones_people_use(self, word, value):
        assert read_number(word) == value

    @given(st.text(max_size=60))
    def test_no_text_is_too_odd_to_be_read(self, text):
        for read in (read_number, read_exact, leading_number):
            assert isinstance(read(text), Fraction | None)

    @given(st.text("0123456789.,-+*/^= ()eE\nandofthousmil", max_size=40))
    def test_no_text_like_a_number_is_too_odd_to_be_read(self, text):
        assert isinstance(read_number(text), Fraction | None)
        assert magnitude_only(text) in {True, False}

    @pytest.mark.parametrize(
        "text",
        [
            "9" * 100_000,
            "1 " * 50_000,
            "one " * 20_000,
            "exactly " * 9_000,
            "1/" * 30_000,
            "(" * 50_000,
            "9" + " trillion" * 9_000,
            "9^999 " * 9_000,
            "10^" + "9" * 9_000,
            "1e" + "9" * 9_000,
            "\n" * 50_000,
        ],
        ids=lambda text: text[:12],
    )
    def test_what_a_looping_model_writes_is_read_in_no_time(self, text):
        """
        A second is twenty times what the slowest takes.
        """
        start = time.process_time()

        read_number(text)
        read_exact(text)

        assert time.process_time() - start < 1

    def test_a_number_of_a_thousand_digits_is_none(self):
        assert read_number("9" * 1_001) is None


class TestLeadingNumber:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            (" 78771", 78771),
            (" about -40, or so", -40),
            ("**12**", 12),
            ("meno circa 3 mila", -3000),
            ("12 * 13", None),
            ("error 12", None),
            ("\n12", None),
            ("", None),
        ],
    )
    def test_a_number_counts_where_the_text_begins_with_it(self, text, value):
        assert leading_number(text) == value
