"""The article's rules, oddities and all, so that its figures can be met again."""

import pytest
from answer_table import DECISIONS, NUMBERS, shown

from sleepcycle_study.domains.arithmetic import article
from sleepcycle_study.numbers.deviations import ErrorKind
from sleepcycle_study.report.article_figures import MEASURES


def mean(rows, measure):
    """Return a score as a report does: over the answers that have the measure."""
    values = [row[measure] for row in rows if measure in row]
    return sum(values) / len(values)


class TestFirstInteger:
    @pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row["text"][:30])
    def test_it_is_the_one_of_the_table(self, row):
        assert shown(article.first_integer(row["text"])) == row["article"]

    def test_a_number_too_long_for_python_is_none(self):
        assert article.first_integer("9" * 5_000) is None


class TestEstimated:
    @pytest.mark.parametrize(
        ("text", "number", "order"),
        [
            ("about 300 (exactly: 301)", 300, 2),
            ("in the order of 3 thousand (exactly: 3110)", 3000, 3),
            ("in the order of -3 thousand", -3000, 3),
            ("in the order of 10^5 (exactly: 123456)", 10**5, 5),
            ("in the order of -10^5", 10**5, 5),  # its sign is lost
            ("(exact: 6221)", 6221, 3),
            ("6,221", 6221, 3),
            ("12 * 13 = 156", 156, 2),  # the last number
            ("5-6 thousand", -6000, 3),
            ("1,2,3 thousand", 123_000, 5),
            ("circa -40", -40, 1),
            ("order of thousands", None, 3),
            ("hundred thousand", None, 5),
            ("tens", None, 1),
            ("0", 0, None),
            ("10^9999999", None, None),
            ("9" * 5_000, None, None),
            ("no idea", None, None),
        ],
    )
    def test_a_form_of_estimate_is_read(self, text, number, order):
        assert article.estimated(text) == number
        assert article.order_meant(text) == order


class TestDelegates:
    @pytest.mark.parametrize("row", DECISIONS, ids=lambda row: row["text"][:30])
    def test_it_is_as_the_table_says(self, row):
        assert article.delegates(row["text"]) == row["article"]

    def test_what_the_prompt_of_the_article_ended_in_is_left_out(self):
        """
        Its models went on behind "Complexity:", so the same words must score the same.
        """
        behind = " elementary\nDecision: INTERNAL COMPUTE"

        assert article.delegates(f"Complexity:{behind}") == article.delegates(behind)


class TestKindOf:
    @pytest.mark.parametrize(
        ("predicted", "exact", "kind"),
        [
            (None, 5, ErrorKind.NO_ANSWER),
            (5, 5, ErrorKind.NONE),
            (-5, 5, ErrorKind.SIGN),
            (999, 1001, ErrorKind.OFF_BY_ONE),
            (0, 78771, ErrorKind.WRONG),
            (5, 0, ErrorKind.WRONG),
            (-300, 310, ErrorKind.SAME_MAGNITUDE),
            (4, 400, ErrorKind.CATASTROPHIC),
            (105, 100, ErrorKind.CLOSE),
            (140, 100, ErrorKind.ROUGH),
            (300, 100, ErrorKind.SAME_MAGNITUDE),
        ],
    )
    def test_an_error_has_the_kind_the_article_gave_it(self, predicted, exact, kind):
        assert article.kind_of(predicted, exact) is kind


class TestMeasures:
    def test_routing_all_right_has_the_rate_of_what_should_be_delegated(self):
        """
        The article's flat arm: a rate of 58.7 % and 100 % self-aware are one thing.
        """
        rows = [
            article.delegation("Decision: DELEGATE" if should else "66", should)
            for should in [True] * 88 + [False] * 62
        ]

        assert mean(rows, "article.delegation.rate") == pytest.approx(0.587, abs=1e-3)
        assert mean(rows, "article.delegation.self_aware") == 1
        assert mean(rows, "article.delegation.accuracy") == 1

    def test_delegating_all_has_full_accuracy_and_is_half_aware(self):
        """
        The article's dream arm: 100 % rate and accuracy, 58.7 % self-aware.
        """
        rows = [
            article.delegation("Decision: DELEGATE", should)
            for should in [True] * 88 + [False] * 62
        ]

        assert mean(rows, "article.delegation.rate") == 1
        assert mean(rows, "article.delegation.accuracy") == 1
        aware = mean(rows, "article.delegation.self_aware")
        assert aware == pytest.approx(0.587, abs=1e-3)

    @pytest.mark.parametrize(
        ("answer", "value", "strict", "magnitude"),
        [
            ("about 1000", 994, 1, 1),
            ("about 1000", 770, 1, 1),
            ("about 1000", 700, 0, 1),
            ("in the order of 10^4", 98765, 0, 1),
            ("about -1000", 994, 0, 1),  # the sign of an order is not looked at
            ("about 9", 0, 1, 1),
            ("about 10", 0, 0, 1),
            ("about 100", 0, 0, 0),
            ("0", 5, 0, 0),
            ("no idea", 5, 0, 0),
        ],
    )
    def test_an_estimate_is_strict_or_of_the_order(
        self, answer, value, strict, magnitude
    ):
        assert article.sense(answer, value) == {
            "article.sense.strict": strict,
            "article.sense.magnitude": magnitude,
        }

    def test_errors_are_counted_over_wrong_answers(self):
        rows = [article.errors(text, 400) for text in ("400", "4", "410", "none")]

        assert mean(rows, "article.errors.sensible") == pytest.approx(1 / 3)
        assert mean(rows, "article.errors.catastrophic") == pytest.approx(2 / 3)

    def test_the_names_are_those_of_the_figures_it_reports(self):
        named = {
            *article.exact("1", 1),
            *article.sense("1", 1),
            *article.delegation("1", True),
            *article.adversarial("1", 1),
            *article.errors("2", 1),
        }

        assert named == set(MEASURES)
