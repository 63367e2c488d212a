"""The calculator: exact where it answers, and clear where it does not."""

import time
from fractions import Fraction
from random import Random

import pytest

from sleepcycle.errors import CalculationError, SleepcycleError
from sleepcycle.model.calculator import MAX_CHARACTERS, MAX_DEPTH, calculate, written

HINT = r"an expression has only numbers, \+ - \* / and parentheses"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("847 * 93", "78771"),
        ("25 - 285", "-260"),
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("10 - 4 - 3", "3"),
        ("2 - 3 + 4", "3"),
        ("100 / 10 / 5", "2"),
        ("100 / 10 * 5", "50"),
        ("5/2", "2.5"),
        ("1 / 3", "1/3"),
        ("-1 / 3", "-1/3"),
        ("0.1 + 0.2", "0.3"),
        ("-1 / 40", "-0.025"),
        ("2.50", "2.5"),
        ("3 * (1 / 3)", "1"),
        ("-(2 - 5)", "3"),
        ("--5", "5"),
        ("2 - - 3", "5"),
        ("2 * -3", "-6"),
        ("-2 * -3", "6"),
        ("007", "7"),
        ("0 / 7", "0"),
        ("-0", "0"),
        (" \t7\t", "7"),
        ("((((1))))", "1"),
        ("1+2*(3-4)/5", "0.6"),
        ("9" * 50 + " + 1", "1" + "0" * 50),
    ],
)
def test_an_expression_has_its_exact_value(text, value):
    assert written(calculate(text)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", rf'expected a number, "-" or "\(" at character 1, got the end; {HINT}'),
        ("  ", r"expected a number.* at character 3, got the end"),
        ("2 +", r"expected a number.* at character 4, got the end"),
        ("-", r"expected a number.* at character 2, got the end"),
        ("+5", r"expected a number.* at character 1, got '\+'"),
        ("2 ** 3", rf"expected a number.* at character 4, got '\*'; {HINT}"),
        ("7 // 2", r"expected a number.* at character 4, got '/'"),
        ("7 % 2", r"expected an operator or the end at character 3, got '%'"),
        ("2 ^ 3", r"expected an operator or the end at character 3, got '\^'"),
        ("1 2", r"expected an operator or the end at character 3, got '2'"),
        ("1,000 + 2", r"expected an operator or the end at character 2, got ','"),
        ("2 + 3 =", r"expected an operator or the end at character 7, got '='"),
        ("1)", r"expected an operator or the end at character 2, got '\)'"),
        ("2(3)", r"expected an operator or the end at character 2, got '\('"),
        ("(1 + 2", r'expected an operator or "\)" at character 7, got the end'),
        ("(1 2)", r'expected an operator or "\)" at character 4, got \'2\''),
        ("()", r"expected a number.* at character 2, got '\)'"),
        (".5", r"expected a number.* at character 1, got '\.'"),
        ("5.", r"expected an operator or the end at character 2, got '\.'"),
        ("1.2.3", r"expected an operator or the end at character 4, got '\.'"),
        ("1e9", r"expected an operator or the end at character 2, got 'e'"),
        ("0x10", r"expected an operator or the end at character 2, got 'x'"),
        ("1_000", r"expected an operator or the end at character 2, got '_'"),
        ("x + 1", r"expected a number.* at character 1, got 'x'"),
        ("__import__('os')", r"expected a number.* at character 1, got '_'"),
        ("1 + exit()", r"expected a number.* at character 5, got 'e'"),
        ("1; 2", r"expected an operator or the end at character 2, got ';'"),
        ("1\n+ 2", r"expected an operator or the end at character 2, got '\\n'"),
        ("1\0", r"expected an operator or the end at character 2, got '\\x00'"),
        ("٣ + ٤", r"expected a number.* at character 1, got '\\u0663'"),
        ("２", r"expected a number.* at character 1, got '\\uff12'"),  # noqa: RUF001
        ("1²", r"expected an operator or the end at character 2, got '\\xb2'"),
        ("2 × 3", r"at character 3, got '\\xd7'"),  # noqa: RUF001
        ("2 − 3", r"at character 3, got '\\u2212'"),  # noqa: RUF001
        ("1\u00a0+ 2", r"at character 2, got '\\xa0'"),
        ("\ud800", r"at character 1, got '\\ud800'"),
        ("1 / 0", r"expected a divisor other than 0 at character 5, got 0"),
        ("1/0.00", r"expected a divisor other than 0 at character 3, got 0"),
        ("8 / (2 - 2) + 1", r"expected a divisor other than 0 at character 5, got 0"),
        ("1 / -0", r"expected a divisor other than 0 at character 5, got 0"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected_and_where(text, message):
    with pytest.raises(CalculationError, match=message):
        calculate(text)


class TestBounds:
    def test_a_text_of_200_characters_is_calculated(self):
        assert calculate("1" + "+1" * 99 + " ") == 100

    def test_a_longer_text_is_refused(self):
        with pytest.raises(
            CalculationError, match=r"at most 200 characters, got 201; calculate its"
        ):
            calculate("1" + " " * MAX_CHARACTERS)

    def test_parentheses_nest_forty_deep(self):
        assert calculate("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH) == 1

    def test_deeper_parentheses_are_refused(self):
        with pytest.raises(
            CalculationError, match=r"at most 40 parentheses .* at character 41$"
        ):
            calculate("(" * 41 + "1" + ")" * 41)

    def test_depth_counts_open_parentheses_alone(self):
        assert calculate("+".join(["(1)"] * 50)) == 50

    def test_a_number_has_at_most_100_digits(self):
        assert calculate("9" * 100) == 10**100 - 1
        with pytest.raises(
            CalculationError,
            match=r"at most 100 digits at character 5, got 101 digits",
        ):
            calculate("1 + " + "9" * 101)

    @pytest.mark.parametrize(
        "text",
        [
            "9" * 100 + " + 1",
            "-" + "9" * 100 + " - 1",
            "9" * 60 + " * " + "9" * 60,
            "1 / " + "9" * 60 + " / " + "9" * 60,
            f"1/{10**48 + 1} + 1/{10**48 + 3} + 1/{10**48 + 7}",
            f"0 * ({'9' * 60} * {'9' * 60})",
            f"(1/{'9' * 60} / {'9' * 60}) * 0",
        ],
    )
    def test_no_value_on_the_way_is_longer(self, text):
        """
        Even one that would have vanished: the bound is of the work, not the answer.
        """
        with pytest.raises(CalculationError, match=r"values of at most 100 digits"):
            calculate(text)


class TestWritten:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (Fraction(78771), "78771"),
            (Fraction(-260), "-260"),
            (Fraction(0), "0"),
            (Fraction(5, 2), "2.5"),
            (Fraction(-1, 8), "-0.125"),
            (Fraction(1, 100), "0.01"),
            (Fraction(-101, 100), "-1.01"),
            (Fraction(1, 3), "1/3"),
            (Fraction(-22, 7), "-22/7"),
            (Fraction(1, 6), "1/6"),
            (Fraction(7, 2**10), "0.0068359375"),
        ],
    )
    def test_a_value_is_written_in_full(self, value, text):
        assert written(value) == text

    def test_what_is_written_is_read_as_the_same_value(self):
        rng = Random(3)
        for _ in range(2_000):
            value = Fraction(rng.randint(-(10**6), 10**6), rng.randint(1, 1_000))

            assert calculate(written(value)) == value


def leaf(rng):
    """Draw a number, as text and as Python source."""
    if rng.random() < 0.3:
        text = f"{rng.randint(0, 999)}.{rng.randint(0, 99)}"
    else:
        text = str(rng.randint(0, 10 ** rng.randint(1, 6)))
    return text, f"F('{text}')"


def tree(rng, depth):
    """Draw an expression, as text and as Python source with exact numbers."""
    if depth == 0 or rng.random() < 0.2:
        return leaf(rng)
    text, source = tree(rng, depth - 1)
    shape = rng.random()
    if shape < 0.15:
        return f"-{text}", f"-{source}"
    if shape < 0.4:
        return f"({text})", f"({source})"
    space, sign = rng.choice(("", " ", "  ")), rng.choice("+-*/")
    other, other_source = tree(rng, depth - 1)
    return f"{text}{space}{sign}{space}{other}", f"{source}{sign}{other_source}"


def test_the_value_is_that_of_pythons_own_arithmetic():
    """
    Operators stand without parentheses too, so this tests which binds stronger.
    """
    rng = Random(1)
    seen = {"value": 0, "zero": 0}
    while seen["value"] < 2_000:
        text, source = tree(rng, 4)
        if len(text) > MAX_CHARACTERS:
            continue
        try:
            expected = eval(source, {"F": Fraction})
        except ZeroDivisionError:
            seen["zero"] += 1
            with pytest.raises(CalculationError, match="divisor other than 0"):
                calculate(text)
            continue
        seen["value"] += 1

        assert calculate(text) == expected, text

    assert seen["zero"] > 10


def outcome(text):
    """Return the value of a text, or the refusal; anything else is raised."""
    try:
        return calculate(text)
    except CalculationError as error:
        return error


ALPHABETS = {
    "arithmetic": "0123456789+-*/(). \t",
    "signs": "+-*/()",
    "nested": "((((((1)",
    "python": "0123456789+-*/()._eEjxbo'\"[]{}:;,%@~<>=!&|^ import lambda",
    "anything": "".join(map(chr, range(0x250))) + "٣２²½×÷−\u2028\u00a0\ud800😀",  # noqa: RUF001
}


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS.keys())
def test_random_text_has_a_value_or_is_refused(alphabet):
    rng = Random(2)
    for _ in range(3_000):
        text = "".join(rng.choices(alphabet, k=rng.randint(0, MAX_CHARACTERS + 5)))
        found = outcome(text)

        assert isinstance(found, Fraction) or str(found).isprintable()


def test_a_valid_expression_with_one_character_changed_does_no_harm():
    rng = Random(4)
    marks = "0123456789+-*/(). eE_٣"
    answered = 0
    for _ in range(3_000):
        text = list(tree(rng, 3)[0])
        text[rng.randrange(len(text))] = rng.choice(marks)
        found = outcome("".join(text))
        answered += isinstance(found, Fraction)

        assert isinstance(found, Fraction) or str(found).startswith("expected ")

    assert 100 < answered < 2_900


@pytest.mark.parametrize(
    "text",
    [
        "(" * 200,
        "-" * 200,
        "-" * 199 + "1",
        "(-" * 100,
        " " * 200,
        "1" * 200,
        "1." * 100,
        "1/" * 99 + "3",
        "9*" * 99 + "9",
        "+".join(f"1/{n}" for n in range(61, 100)),
        "(" * 40 + "1" + ")" * 40 + "+1" * 50,
    ],
)
def test_no_text_takes_long(text):
    start = time.process_time()
    found = outcome(text[:MAX_CHARACTERS])

    assert time.process_time() - start < 0.2
    assert len(str(found)) < 300


def test_a_text_of_any_length_is_refused_at_once():
    start = time.process_time()
    with pytest.raises(CalculationError, match="got 50000000"):
        calculate("(" * 50_000_000)

    assert time.process_time() - start < 1


def test_a_refusal_is_one_of_our_errors_and_a_value_error():
    assert issubclass(CalculationError, SleepcycleError)
    assert issubclass(CalculationError, ValueError)
