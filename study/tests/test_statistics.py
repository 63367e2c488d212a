"""Estimates, paired differences, corrections and the composite."""

import itertools
import math
import random

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.report.statistics import (
    composite,
    dimensions,
    estimate,
    holm,
    paired,
)

WHOLE = {
    "exact": 0.5,
    "sense.strict": 0.2,
    "sense.magnitude": 0.8,
    "delegation.balanced": 0.75,
    "adversarial": 0.25,
    "errors.catastrophic_all": 0.1,
}


def right(count: int, of: int) -> list[float]:
    """Return scores of which some are right."""
    return [1.0] * count + [0.0] * (of - count)


def binomial_quantile(of: int, share: float, level: float) -> float:
    """Return the least share of successes whose cumulated chance reaches a level."""
    total = 0.0
    for hits in range(of + 1):
        total += math.comb(of, hits) * share**hits * (1 - share) ** (of - hits)
        if total >= level:
            return hits / of
    return 1.0


def keyed(values: list[float], seed: int = 0) -> dict[str, float]:
    """Return values as the scores of numbered questions."""
    return {f"{seed}/q{place}": value for place, value in enumerate(values)}


class TestEstimate:
    def test_each_seed_weighs_the_same(self):
        """
        However many questions it has; the spread is that of the seeds' means.
        """
        found = estimate({0: right(1, 2), 1: right(3, 4), 2: [1.0]})

        assert found.mean == pytest.approx((0.5 + 0.75 + 1.0) / 3)
        assert found.std == pytest.approx(0.25)
        assert found.count == 7

    def test_a_single_seed_has_no_spread(self):
        assert estimate({7: right(3, 4)}).std is None

    @pytest.mark.parametrize(("hits", "of"), [(30, 50), (5, 50), (20, 40)])
    def test_the_interval_of_shares_is_the_binomial_one(self, hits, of):
        """
        Resampling right and wrong answers draws from a binomial: its quantiles are
        known. One question either way is left for the finite number of resamples.
        """
        found = estimate({0: right(hits, of)})

        assert found.low == pytest.approx(
            binomial_quantile(of, hits / of, 0.025), abs=1.01 / of
        )
        assert found.high == pytest.approx(
            binomial_quantile(of, hits / of, 0.975), abs=1.01 / of
        )

    def test_the_interval_of_many_scores_is_nearly_the_normal_one(self):
        """
        With n scores in each of s seeds, the standard error is that of s n scores,
        less what lies between seeds: questions are drawn within seeds.
        """
        draw = random.Random(1)
        by_seed = {
            seed: [seed + draw.gauss(0, 1) for _ in range(400)] for seed in range(3)
        }
        variance = 0.0
        for values in by_seed.values():
            middle = math.fsum(values) / 400
            variance += math.fsum((v - middle) ** 2 for v in values) / 400 / 400 / 9

        found = estimate(by_seed)

        half = 1.96 * math.sqrt(variance)
        assert found.low == pytest.approx(found.mean - half, rel=0, abs=0.15 * half)
        assert found.high == pytest.approx(found.mean + half, rel=0, abs=0.15 * half)

    def test_equal_scores_leave_nothing_open(self):
        found = estimate({0: [1.0] * 5, 1: [1.0] * 5})

        assert (found.mean, found.std, found.low, found.high) == (1.0, 0.0, 1.0, 1.0)

    def test_the_same_seed_gives_the_same_interval(self):
        """
        Another seed gives another one, if only a little.
        """
        draw = random.Random(3)
        by_seed = {0: [draw.random() for _ in range(30)]}

        assert estimate(by_seed, seed=4) == estimate(by_seed, seed=4)
        assert estimate(by_seed, seed=4) != estimate(by_seed, seed=5)

    def test_the_order_of_seeds_does_not_matter(self):
        a, b = right(3, 10), right(6, 10)

        assert estimate({0: a, 1: b}) == estimate({1: b, 0: a})

    @pytest.mark.parametrize(
        ("by_seed", "message"),
        [
            ({}, "at least one seed, got none"),
            ({0: []}, "at least one score of each seed, got none"),
            ({0: [1.0], 1: []}, "at least one score of each seed"),
            ({0: [math.nan]}, "scores that are numbers"),
            ({0: [1.0, math.inf]}, "scores that are numbers"),
        ],
    )
    def test_what_has_no_mean_is_refused(self, by_seed, message):
        with pytest.raises(StudyError, match=message):
            estimate(by_seed)


class TestPaired:
    def test_right_and_wrong_give_the_exact_sign_test(self):
        """
        Seven pairs of which one goes the other way: McNemar's exact two-sided p is
        2 (C(7, 0) + C(7, 1)) / 2^7; ties do not count.
        """
        found = paired(keyed(right(6, 9)), keyed([0.0] * 6 + [1.0, 0.0, 0.0]))

        assert found.p == 2 * (1 + 7) / 2**7
        assert found.difference == pytest.approx(5 / 9)
        assert found.count == 9

    def test_each_seed_has_its_own_difference(self):
        """
        One seed that goes the other way is not hidden by the mean.
        """
        ours = {"42/a": 1.0, "42/b": 1.0, "43/a": 0.0, "43/b": 0.5, "44/a": 1.0}
        theirs = {"42/a": 0.0, "42/b": 1.0, "43/a": 1.0, "43/b": 0.5, "45/a": 1.0}

        found = paired(ours, theirs)

        assert found.by_seed == {"42": 0.5, "43": -0.5}
        assert found.difference == 0

    def test_few_differences_are_flipped_in_every_way(self):
        """
        The p is the share of the 2^n sign patterns whose sum is as large.
        """
        differences = [0.3, -0.1, 0.7, 0.2, 0.5]
        reached = abs(math.fsum(differences)) - 1e-9
        signs = list(itertools.product([1, -1], repeat=5))
        sums = [
            math.fsum(s * d for s, d in zip(row, differences, strict=True))
            for row in signs
        ]

        found = paired(keyed(differences), keyed([0.0] * 5))

        assert found.p == sum(abs(total) >= reached for total in sums) / 32

    def test_many_differences_are_nearly_normal(self):
        """
        Under random signs the sum has the variance of the squares: a sum of two of its
        standard deviations has a two-sided p of about 4.6 %.
        """
        draw = random.Random(5)
        sizes = [0.5 + draw.random() for _ in range(300)]
        raw = [size * draw.choice([1, -1]) for size in sizes]
        wanted = 2 * math.sqrt(math.fsum(d * d for d in sizes))
        place = 0
        while math.fsum(raw) < wanted - 0.5:
            raw[place], place = abs(raw[place]), place + 1
        while math.fsum(raw) > wanted + 0.5:
            raw[place], place = -abs(raw[place]), place + 1
        z = math.fsum(raw) / math.sqrt(math.fsum(d * d for d in sizes))

        found = paired(keyed(raw), keyed([0.0] * 300))

        assert found.p == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.15)

    def test_drawn_signs_never_give_zero(self):
        """
        The observed signs are among those that could have been.
        """
        values = [1.0 + place / 100 for place in range(60)]

        assert 0 < paired(keyed(values), keyed([0.0] * 60)).p < 1e-3

    def test_swapping_the_arms_turns_the_sign_and_keeps_the_p(self):
        draw = random.Random(6)
        a = keyed([draw.random() for _ in range(40)])
        b = keyed([draw.random() for _ in range(40)])

        there, back = paired(a, b), paired(b, a)

        assert there.difference == -back.difference
        assert there.p == back.p
        assert there.low == pytest.approx(-back.high)
        assert there.effect == pytest.approx(-back.effect)

    def test_an_arm_does_not_differ_from_itself(self):
        a = keyed(right(3, 7))

        found = paired(a, a)

        assert (found.difference, found.low, found.high) == (0, 0, 0)
        assert found.p == 1
        assert found.effect is None

    def test_the_effect_is_in_standard_deviations_of_the_differences(self):
        """
        Differences 1, 2, 3: mean 2, sample standard deviation 1.
        """
        found = paired(keyed([1.0, 2.0, 3.0]), keyed([0.0] * 3))

        assert found.effect == pytest.approx(2.0)

    def test_seeds_are_resampled_and_pairs_within_them(self):
        """
        Where seeds differ and their questions do not, other seeds could have given
        what either of these gave.
        """
        a = keyed([1.0] * 4, seed=0) | keyed([0.5] * 4, seed=1)
        b = dict.fromkeys(a, 0.0)

        found = paired(a, b)

        assert (found.difference, found.low, found.high) == (0.75, 0.5, 1.0)
        assert found.p == 2 / 2**8

    def test_questions_of_one_arm_alone_do_not_count(self):
        found = paired(
            keyed(right(3, 3)) | {"1/x": 1.0}, keyed(right(0, 3)) | {"2/y": 1.0}
        )

        assert (found.count, found.unpaired) == (3, 2)
        assert found.difference == 1

    def test_the_same_seed_gives_the_same_result(self):
        draw = random.Random(8)
        a = keyed([draw.random() for _ in range(30)])
        b = keyed([draw.random() for _ in range(30)])

        assert paired(a, b, seed=1) == paired(a, b, seed=1)
        assert paired(a, b, seed=1) != paired(a, b, seed=2)

    @pytest.mark.parametrize(
        ("a", "b", "message"),
        [
            ({}, {}, "both arms were asked, got none"),
            ({"0/a": 1.0}, {"1/a": 1.0}, "both arms were asked, got none"),
            ({"0/a": math.nan}, {"0/a": 1.0}, "scores that are numbers"),
        ],
    )
    def test_arms_that_share_nothing_are_refused(self, a, b, message):
        with pytest.raises(StudyError, match=message):
            paired(a, b)

    def test_p_values_are_uniform_where_nothing_differs(self):
        """
        Of 200 comparisons of noise, about a twentieth has p below 0.05: six standard
        deviations either side are left.
        """
        draw = random.Random(9)
        small = 0
        for _ in range(200):
            values = [draw.gauss(0, 1) for _ in range(10)]
            small += paired(keyed(values), keyed([0.0] * 10)).p < 0.05

        assert small <= 10 + 6 * math.sqrt(200 * 0.05 * 0.95)


class TestHolm:
    @pytest.mark.parametrize(
        ("raw", "corrected"),
        [
            ({}, {}),
            ({"a": 0.04}, {"a": 0.04}),
            ({"a": 0.01, "b": 0.04, "c": 0.03}, {"a": 0.03, "b": 0.06, "c": 0.06}),
            ({"a": 0.5, "b": 0.9}, {"a": 1.0, "b": 1.0}),
            ({"a": 0.02, "b": 0.02}, {"a": 0.04, "b": 0.04}),
        ],
    )
    def test_each_p_is_weighed_by_how_many_are_left(self, raw, corrected):
        assert holm(raw) == pytest.approx(corrected)

    def test_arms_keep_their_order(self):
        assert list(holm({"b": 0.9, "a": 0.1})) == ["b", "a"]


class TestComposite:
    def test_it_is_the_mean_of_five_dimensions(self):
        expected = (0.5 + (0.2 + 0.8) / 2 + 0.75 + 0.25 + (1 - 0.1)) / 5

        assert composite(WHOLE) == pytest.approx(expected)

    def test_the_best_is_one_and_the_worst_zero(self):
        best = dict.fromkeys(WHOLE, 1.0) | {"errors.catastrophic_all": 0.0}
        worst = dict.fromkeys(WHOLE, 0.0) | {"errors.catastrophic_all": 1.0}

        assert composite(best) == 1
        assert composite(worst) == 0

    def test_its_terms_can_be_seen(self):
        assert dimensions(WHOLE) == pytest.approx(
            {
                "exact": 0.5,
                "number sense": 0.5,
                "delegation": 0.75,
                "adversarial": 0.25,
                "no catastrophic error": 0.9,
            }
        )

    def test_a_term_whose_measures_are_not_there_is_none(self):
        assert dimensions({"exact": 0.5, "sense.strict": 1.0}) == {"exact": 0.5}

    @pytest.mark.parametrize("name", list(WHOLE))
    def test_a_missing_measure_is_refused(self, name):
        short = {key: value for key, value in WHOLE.items() if key != name}

        with pytest.raises(StudyError, match=f"expected a score for {name}, got"):
            composite(short)

    @pytest.mark.parametrize("value", [-0.1, 1.1, 50.0, math.nan])
    def test_what_is_no_share_is_refused(self, value):
        with pytest.raises(StudyError, match=r"expected exact in \[0, 1\], got"):
            composite(WHOLE | {"exact": value})
