"""Arithmetic: what is drawn, and how large it is said to be."""

import random
import re
from collections import Counter
from random import Random

import pytest

from sleepcycle.errors import CalculationError, ConfigError
from sleepcycle_study.domains.arithmetic.arithmetic import Arithmetic
from sleepcycle_study.domains.arithmetic.expressions import (
    Difficulty,
    Expression,
    approximate,
    canonical,
    draw,
    draw_of,
    evaluate,
)
from sleepcycle_study.numbers.numbers import read_number

TWO = re.compile(r"(\d+) ([+*-]) (\d+)")
THREE = re.compile(r"(\d+) ([+-]) (\d+) ([+*-]) (\d+)")


def drawn(difficulty, max_number=9_999, count=2_000):
    """Draw many expressions of one difficulty."""
    rng = Random(7)
    return [draw_of(rng, difficulty, max_number) for _ in range(count)]


class TestDraw:
    def test_difficulties_come_in_their_shares(self):
        """
        Of 10,000 the standard error of a share is at most half a percent.
        """
        rng = Random(1)
        counts = Counter(draw(rng).difficulty for _ in range(10_000))

        shares = [counts[difficulty] / 10_000 for difficulty in Difficulty]
        assert shares == pytest.approx([0.35, 0.40, 0.25], abs=0.02)

    def test_elementary_ones_have_two_numbers_below_100(self):
        found = [TWO.fullmatch(e.text) for e in drawn(Difficulty.ELEMENTARY)]

        assert {m[2] for m in found} == set("+-*")
        for place in (1, 3):
            numbers = [int(m[place]) for m in found]
            assert (min(numbers), max(numbers)) == (1, 99)

    def test_medium_sums_have_larger_numbers(self):
        found = [TWO.fullmatch(e.text) for e in drawn(Difficulty.MEDIUM)]
        sums = [(int(m[1]), int(m[3])) for m in found if m[2] != "*"]

        assert {m[2] for m in found} == set("+-*")
        assert all(100 <= a <= 9_999 and 10 <= b <= 999 for a, b in sums)
        assert max(a for a, _ in sums) > 9_500
        assert max(b for _, b in sums) > 950

    def test_medium_products_have_two_or_three_digits(self):
        found = [TWO.fullmatch(e.text) for e in drawn(Difficulty.MEDIUM)]
        products = [(int(m[1]), int(m[3])) for m in found if m[2] == "*"]

        assert 500 < len(products) < 850
        assert all(10 <= a <= 999 and 2 <= b <= 99 for a, b in products)

    def test_complex_ones_have_three_numbers(self):
        found = [THREE.fullmatch(e.text) for e in drawn(Difficulty.COMPLEX)]

        assert {m[2] for m in found} == set("+-")
        assert {m[4] for m in found} == set("+-*")
        assert all(10 <= int(m[1]) <= 500 for m in found)
        assert all(2 <= int(m[n]) <= 50 for m in found for n in (3, 5))

    @pytest.mark.parametrize("difficulty", Difficulty)
    def test_the_value_is_that_of_the_text(self, difficulty):
        """
        A product in third place is worked out first.
        """
        for expression in drawn(difficulty, count=300):
            assert expression.value == eval(expression.text)
            assert expression.difficulty is difficulty

    @pytest.mark.parametrize("difficulty", Difficulty)
    @pytest.mark.parametrize("max_number", [100, 250, 9_999])
    def test_no_number_is_above_the_largest(self, difficulty, max_number):
        texts = [e.text for e in drawn(difficulty, max_number, count=500)]

        assert max(int(n) for text in texts for n in re.findall(r"\d+", text)) <= (
            max_number
        )

    def test_a_seed_draws_the_same_again(self):
        first, second = Random("study/3"), Random("study/3")

        assert [draw(first) for _ in range(50)] == [draw(second) for _ in range(50)]

    def test_a_draw_leaves_the_global_generator_alone(self):
        state = random.getstate()
        draw(Random(1))

        assert random.getstate() == state

    @pytest.mark.parametrize("max_number", [-1, 0, 99, 10_000])
    def test_a_largest_number_out_of_range_is_refused(self, max_number):
        with pytest.raises(
            ConfigError, match=rf"largest number in 100\.\.9999, got {max_number}$"
        ):
            draw(Random(1), max_number)

    def test_all_but_the_elementary_ones_are_for_the_tool(self):
        delegated = [
            difficulty
            for difficulty in Difficulty
            if Expression("1 + 1", 2, difficulty).should_delegate
        ]

        assert delegated == [Difficulty.MEDIUM, Difficulty.COMPLEX]


class TestEvaluate:
    def test_a_whole_value_is_an_int(self):
        value = evaluate("5 - 6 / 2")

        assert value == 2
        assert type(value) is int

    def test_a_broken_value_is_refused(self):
        with pytest.raises(
            CalculationError, match=r"'5 / 2' to have a whole value, got 2\.5"
        ):
            evaluate("5 / 2")

    def test_no_expression_is_refused(self):
        with pytest.raises(CalculationError, match="expected a number"):
            evaluate("")


class TestApproximate:
    @pytest.mark.parametrize(
        ("value", "english", "italian"),
        [
            (0, "about 0", "circa 0"),
            (7, "about 7", "circa 7"),
            (-7, "about -7", "circa -7"),
            (9, "about 9", "circa 9"),
            (10, "about 10", "circa 10"),
            (14, "about 10", "circa 10"),
            (15, "about 20", "circa 20"),
            (25, "about 30", "circa 30"),
            (94, "about 90", "circa 90"),
            (99, "about 100", "circa 100"),
            (100, "about 100", "circa 100"),
            (149, "about 100", "circa 100"),
            (150, "about 200", "circa 200"),
            (-849, "about -800", "circa -800"),
            (-250, "about -300", "circa -300"),
            (999, "about 1000", "circa 1000"),
            (
                1_000,
                "in the order of 1 thousand",
                "nell'ordine delle 1 migliaia",
            ),
            (
                2_500,
                "in the order of 3 thousand",
                "nell'ordine delle 3 migliaia",
            ),
            (
                -3_499,
                "in the order of -3 thousand",
                "nell'ordine delle -3 migliaia",
            ),
            (
                9_999,
                "in the order of 10 thousand",
                "nell'ordine delle 10 migliaia",
            ),
            (10_000, "in the order of 10^4", "nell'ordine di 10^4"),
            (99_999, "in the order of 10^4", "nell'ordine di 10^4"),
            (100_000, "in the order of 10^5", "nell'ordine di 10^5"),
            (-123_456, "in the order of -10^5", "nell'ordine di -10^5"),
        ],
    )
    def test_a_value_is_said_as_roughly_as_it_is_large(self, value, english, italian):
        assert approximate(value) == english
        assert approximate(value, "it") == italian

    @pytest.mark.parametrize("language", ["en", "it"])
    def test_what_is_said_is_read_as_a_number_near_the_value(self, language):
        """
        At worst a half off, as at 1,499; from 10,000 on only the digits agree.
        """
        for size in (*range(1, 1_100), *range(1_100, 10_000, 47)):
            for value in (size, -size):
                read = read_number(approximate(value, language))

                assert abs(read - value) <= size / 2
        assert read_number(approximate(-987_654, language)) == -100_000

    @pytest.mark.parametrize("language", ["en", "it"])
    def test_a_negative_value_is_said_as_its_opposite_with_a_sign(self, language):
        for value in range(1, 200_000, 37):
            said = approximate(value, language)
            opposite = approximate(-value, language)

            assert opposite == re.sub(r"(\d+)", r"-\1", said, count=1)

    def test_another_language_is_refused(self):
        with pytest.raises(ConfigError, match=r"language en or it, got 'de'"):
            approximate(5, "de")


class TestArithmetic:
    def test_an_item_has_what_every_phase_needs_in_both_languages(self):
        rng = Random(1)
        items = [Arithmetic().draw(rng) for _ in range(200)]

        for item in items:
            fields = item.fields
            assert item.key == canonical(fields["expression"])
            assert int(fields["value"]) == eval(fields["expression"])
            assert fields["approx"] == approximate(int(fields["value"]))
            assert fields["approx_it"] == approximate(int(fields["value"]), "it")
            assert (item.when == "simple") == (fields["complexity"] == "elementary")
        names = {(i.fields["complexity"], i.fields["complexity_it"]) for i in items}
        assert names == {
            ("elementary", "elementare"),
            ("medium", "media"),
            ("complex", "complessa"),
        }
        assert {item.when for item in items} == {"simple", "hard"}

    def test_a_form_is_filled_from_an_items_fields(self):
        item = Arithmetic().draw(Random(1))

        filled = "Estimate: {expression} = {approx} (exact: {value})".format(
            **item.fields
        )
        assert filled.startswith(f"Estimate: {item.fields['expression']} = ")

    def test_no_question_is_about_a_taken_key(self):
        arithmetic = Arithmetic()
        rng = Random(2)
        taken = {arithmetic.draw(rng).key for _ in range(2_000)}

        questions = arithmetic.ask(Random(3), 20, taken)

        assert questions
        assert taken.isdisjoint(question.key for question in questions)

    def test_every_question_is_graded_for_any_answer(self):
        arithmetic = Arithmetic()
        for question in arithmetic.ask(Random(3), 4, ()):
            for answer in ("", "42", "no idea"):
                measures = arithmetic.grade(question, answer)

                assert measures
                assert all(0 <= value <= 1 for value in measures.values())
