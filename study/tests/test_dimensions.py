"""The dimensions of arithmetic: what is asked, and what an answer is worth."""

from collections import Counter, defaultdict
from random import Random
from statistics import fmean

import pytest
from answer_table import DECISIONS, NUMBERS

from sleepcycle.model.calculator import call_in, with_result
from sleepcycle_study.domains.arithmetic import answers
from sleepcycle_study.domains.arithmetic.dimensions import across, consistent, grade
from sleepcycle_study.domains.arithmetic.expressions import canonical, evaluate
from sleepcycle_study.domains.arithmetic.questions import Dimension, ask
from sleepcycle_study.domains.arithmetic.traps import Trap
from sleepcycle_study.domains.domain import Question
from sleepcycle_study.errors import StudyError
from sleepcycle_study.report.statistics import PARTS, composite

SOLVED = """Step 1 - Intuition: in the order of 10^4
Step 2 - Routing: DELEGATE (medium)
Tool: 847 * 93 = 78771
Step 4 - Validation: 78771 fits in the order of 10^4: VALID"""


@pytest.fixture(scope="module")
def asked():
    """Fifty questions a dimension, as the article asked."""
    return ask(Random(42), 50, ())


def of(questions, dimension):
    """Return the questions on one dimension."""
    return [question for question in questions if question.dimension == dimension]


def question(dimension, **facts):
    """Make a question as it is asked, about 847 * 93 unless told otherwise."""
    known = {"value": 78771, "stratum": "medium", **facts}
    return Question("x/01", dimension, "?", known)


def right(one):
    """Return the best answer to a question."""
    value = one.facts["value"]
    if one.dimension == Dimension.METACOGNITION:
        delegate = one.facts["should_delegate"]
        return f"Decision: {'DELEGATE TO TOOL' if delegate else 'INTERNAL COMPUTE'}"
    return f" {value}"


def scores(questions, answer):
    """Return the mean of every measure when a function answers."""
    found = defaultdict(list)
    for one in questions:
        for name, value in grade(one, answer(one)).items():
            found[name].append(value)
    return {name: fmean(values) for name, values in found.items()}


class TestAsk:
    @pytest.mark.parametrize("dimension", Dimension)
    @pytest.mark.parametrize("count", [0, 1, 2, 7, 9, 10, 50])
    def test_there_are_as_many_as_asked_for(self, dimension, count):
        found = of(ask(Random(1), count, ()), dimension)

        assert len(found) == count
        assert [one.id for one in found] == [
            f"{dimension}/{number:02d}" for number in range(1, count + 1)
        ]

    def test_the_same_seed_asks_the_same(self, asked):
        assert ask(Random(42), 50, ()) == asked
        assert ask(Random(43), 50, ()) != asked

    def test_a_larger_count_begins_with_the_smaller(self):
        few, many = ask(Random(3), 6, ()), ask(Random(3), 12, ())

        same = set(map(repr, few)) & set(map(repr, many))
        assert len(same) >= len(few) - 3  # unless asked about elsewhere in between

    def test_no_expression_is_asked_about_twice(self, asked):
        others = [one for one in asked if one.dimension != Dimension.ABILITY]
        texts = Counter(one.facts["expression"] for one in others)
        keys = Counter(o.key for o in others if o.facts.get("trap") != "twin")

        assert max(texts.values()) == 1
        assert max(keys.values()) == 1

    def test_the_expression_is_in_the_prompt_and_the_value_is_its_value(self, asked):
        for one in asked:
            assert one.facts["expression"] in one.prompt
            assert evaluate(one.facts["expression"]) == one.facts["value"]

    def test_the_key_is_the_same_for_commuted_operands_alone(self):
        assert canonical("93 * 48") == canonical("48 * 93")
        assert canonical("10 + 3 * 4") == canonical("4 * 3 + 10")
        assert canonical("10 - 3 - 4") == canonical("10 - 4 - 3")
        assert canonical("5 - 2") != canonical("2 - 5")
        assert canonical("10 + 3 * 4") != canonical("3 + 10 * 4")

    def test_nothing_taken_is_asked(self):
        """
        The first questions are taken, then those asked in their place, and so on.
        """
        taken = set()
        for _ in range(5):
            keys = {one.key for one in ask(Random(9), 20, taken)}
            assert not keys & taken
            taken |= keys

    def test_a_twin_is_not_asked_where_the_other_is_taken(self, asked):
        twins = [one for one in asked if one.facts.get("trap") == "twin"]
        first, second = twins[:2]

        again = {one.key for one in ask(Random(42), 50, [second.key])}

        assert not again & {first.key, second.key}

    def test_where_all_is_taken_it_says_so(self):
        single = [
            f"{a} {s} {b}" for a in range(1, 10) for s in "+-*" for b in range(10)
        ]

        with pytest.raises(StudyError, match="expected something new within"):
            ask(Random(1), 1, [canonical(text) for text in single])

    @pytest.mark.parametrize(
        ("dimension", "prompt"),
        [
            ("exact", "Calculate: {} ="),
            ("number_sense", "Estimate: {} ="),
            ("metacognition", "Analyze: {}"),
            ("adversarial", "Calculate: {} ="),
            ("errors", "Calculate: {} ="),
            ("effective", "Solve: {}"),
            ("ability", "Calculate: {} ="),
        ],
    )
    def test_each_dimension_has_its_prompt(self, asked, dimension, prompt):
        for one in of(asked, dimension):
            assert one.prompt == prompt.format(one.facts["expression"])

    def test_italian_is_asked_in_italian(self, asked):
        """
        About the same expressions, so that the two can be compared.
        """
        found = ask(Random(42), 50, (), "it")

        assert {one.prompt.split(":")[0] for one in found} == {
            "Calcola",
            "Stima",
            "Analizza",
            "Risolvi",
        }
        pairs = zip(asked, found, strict=True)
        assert all(one.facts == other.facts for one, other in pairs)
        with pytest.raises(StudyError, match="expected the language en or it, got 'f"):
            ask(Random(42), 5, (), "fr")

    def test_what_is_to_be_decided_is_also_to_be_calculated(self, asked):
        by_id = {one.id: one for one in asked}

        for one in of(asked, "ability"):
            decided = by_id[one.facts["of"]]
            assert decided.dimension == "metacognition"
            assert decided.facts["expression"] == one.facts["expression"]

    def test_the_tool_answers_in_one_dimension_alone(self, asked):
        assert {one.dimension for one in asked if one.uses_tool} == {"effective"}

    def test_strata_are_even(self, asked):
        exact = Counter(one.facts["stratum"] for one in of(asked, "exact"))
        effective = Counter(one.facts["stratum"] for one in of(asked, "effective"))

        assert max(exact.values()) - min(exact.values()) == 1
        assert len(exact) == 3
        assert effective == {"simple": 25, "hard": 25}

    def test_half_should_be_delegated(self, asked):
        found = of(asked, "metacognition")

        assert sum(one.facts["should_delegate"] for one in found) == 25

    def test_length_alone_does_not_tell_what_to_delegate(self):
        """
        The best line between short and long is right on three of four and a few more.
        """
        found = [
            (len(one.facts["expression"]), one.facts["should_delegate"])
            for one in of(ask(Random(5), 400, ()), "metacognition")
        ]

        best = max(
            fmean((length > line) == should for length, should in found)
            for line in range(20)
        )

        assert best < 0.85

    def test_every_trap_is_set(self, asked):
        traps = Counter(one.facts["trap"] for one in of(asked, "adversarial"))

        assert set(traps) == set(Trap)
        assert traps["twin"] == 10

    def test_traps_are_what_they_are_called(self, asked):
        by_trap = {one.facts["trap"]: one for one in of(asked, "adversarial")}

        assert by_trap["times_zero"].facts["value"] == 0
        assert by_trap["zero_times"].facts["expression"].startswith("0 * ")
        assert by_trap["minus_itself"].facts["value"] == 0
        assert by_trap["negative"].facts["value"] < 0
        left, _, more = by_trap["carry"].facts["expression"].split()
        assert len(more) <= 2
        assert int(left) // 100 < by_trap["carry"].facts["value"] // 100

    def test_twins_name_each_other_and_have_one_value(self, asked):
        by_id = {one.id: one for one in asked}
        twins = [one for one in asked if one.facts.get("trap") == "twin"]

        for one in twins:
            other = by_id[one.facts["twin"]]
            assert other.facts["twin"] == one.id
            text = one.facts["expression"]
            assert other.facts["expression"].split() == text.split()[::-1]
            assert other.facts["expression"] != text
            assert other.key == one.key


class TestCalibrated:
    @pytest.mark.parametrize(
        ("answer", "decision", "calibrated"),
        [
            ("78771", "Decision: INTERNAL COMPUTE", 1),
            ("78771", "Decision: DELEGATE TO TOOL", 0),
            ("78772", "Decision: DELEGATE TO TOOL", 1),
            ("78772", "Decision: INTERNAL COMPUTE", 0),
            ("", "", 0),
        ],
    )
    def test_it_is_to_delegate_what_one_cannot_do(self, answer, decision, calibrated):
        """
        Whatever the lessons say is to be delegated.
        """
        decide = Question("m/1", "metacognition", "?", {"should_delegate": True})
        able = Question("a/1", "ability", "?", {"value": 78771, "of": "m/1"})

        found = across([decide, able], {"m/1": decision, "a/1": answer})

        assert found == {"m/1": {"delegation.calibrated": calibrated}}

    def test_what_was_not_answered_is_not_judged(self):
        able = Question("a/1", "ability", "?", {"value": 78771, "of": "m/1"})

        assert across([able], {"a/1": "78771"}) == {}


class TestGrade:
    def test_right_answers_score_all_there_is(self, asked):
        found = scores(asked, right)

        for part in list(PARTS.values())[:-1]:
            assert [found[name] for name in part] == [1.0] * len(part)
        assert found["effective"] == found["errors.right"] == 1
        assert found["errors.catastrophic_all"] == found["delegation.over"] == 0
        assert "errors.catastrophic" not in found  # there is no wrong answer

    def test_silence_scores_nothing_but_what_it_leaves_alone(self, asked):
        found = scores(asked, lambda _: "")

        assert composite(found) == pytest.approx(0.1)  # half of delegation
        assert found["delegation.recall"] == found["delegation.rate"] == 0
        assert found["errors.kind.no_answer"] == found["errors.catastrophic"] == 1

    def test_delegating_all_is_half_right(self, asked):
        found = scores(asked, lambda _: "Decision: DELEGATE")

        assert found["delegation.rate"] == found["delegation.recall"] == 1
        assert found["delegation.over"] == 1
        assert found["delegation.precision"] == 0.5
        assert found["delegation.balanced"] == found["delegation.right"] == 0.5

    @pytest.mark.parametrize(
        "row", [*NUMBERS, *DECISIONS], ids=lambda r: r["text"][:30]
    )
    def test_no_answer_is_too_odd_to_be_graded(self, asked, row):
        for one in asked[::47]:
            measures = grade(one, row["text"])
            assert all(0 <= value <= 1 for value in measures.values())

    def test_a_question_of_another_domain_is_refused(self):
        with pytest.raises(
            StudyError, match=r"expected a question on exact, .* 'logic'"
        ):
            grade(question("logic"), "yes")

    @pytest.mark.parametrize(
        ("answer", "value", "ours", "theirs"),
        [
            (" 78771", 78771, 1, 1),
            ("847 * 93 = 78771", 78771, 1, 0),
            ("78,771", 78771, 1, 0),
            ("about 80000 (exactly: 78771)", 78771, 1, 0),
            ("847 * 93", 847, 0, 1),
            ("in the order of 1000", 1000, 0, 1),
            ("78771\nCalculate: 3 + 4 = 7", 78771, 1, 1),
            ("\nCalculate: 3 + 4 = 7", 7, 1, 0),
            ("I see.\nCalculate: 3 + 4 = 7", 7, 0, 0),
            ("78771.5", 78771, 0, 1),
            ("-78771", 78771, 0, 0),
            ("", 0, 0, 0),
        ],
    )
    def test_exact_is_what_the_answer_gives_as_exact(self, answer, value, ours, theirs):
        found = grade(question("exact", value=value), answer)

        assert found["exact"] == found["exact.medium"] == ours
        assert found["article.exact"] == theirs

    @pytest.mark.parametrize(
        ("answer", "exact", "final", "form"),
        [
            (" 78771\n", 1, 1, 1),
            ("-5", 0, 0, 1),
            ("78770", 0, 0, 1),
            ("847 * 93 = 78771", 1, 1, 0),
            (SOLVED, 0, 1, 0),
            (SOLVED.replace("78771", "5"), 0, 0, 0),
            ("Step 1 - Intuition: about 78771\nStep 3 - Compute: 7", 0, 0, 0),
            ("about 78771", 0, 1, 0),
            ("in the order of 10^4", 0, 0, 0),
            ("", 0, 0, 0),
        ],
    )
    def test_a_lost_form_is_told_from_a_lost_skill(self, answer, exact, final, form):
        """
        Whoever is asked to calculate and goes through the steps has forgotten the
        form; the result may be right all the same.
        """
        found = grade(question("exact"), answer)

        assert found["exact"] == exact
        assert found["exact.final"] == final
        assert found["exact.form"] == form

    @pytest.mark.parametrize(
        ("answer", "value", "strict", "magnitude", "order_only"),
        [
            ("about 1000 (exactly: 994)", 994, 1, 1, 0),
            ("about 1000 (exactly: 700)", 700, 0, 1, 0),
            ("about 1000 (exactly: 7)", 7, 0, 0, 0),
            ("in the order of 10^5", 123_456, 1, 1, 1),
            ("in the order of 10^4", 78_771, 0, 1, 1),
            ("in the order of 3 thousand", 3_110, 1, 1, 0),
            ("nell'ordine delle 3 migliaia", 3_110, 1, 1, 0),
            ("about 130", 100, 1, 1, 0),
            ("about 131", 100, 0, 1, 0),
            ("about -300", 310, 0, 0, 0),
            ("minus about 300", -310, 1, 1, 0),
            ("0", 0, 1, 1, 0),
            ("about 1", 0, 0, 1, 0),
            ("about 50", 0, 0, 1, 0),
            ("about 100", 0, 0, 0, 0),
            ("0", 7, 0, 1, 0),
            ("0", 400, 0, 0, 0),
            ("large", 400, 0, 0, 0),
        ],
    )
    def test_an_estimate_is_judged_by_what_is_not_in_brackets(
        self, answer, value, strict, magnitude, order_only
    ):
        found = grade(question("number_sense", value=value), answer)

        assert found["sense.strict"] == strict
        assert found["sense.magnitude"] == magnitude
        assert found["sense.order_only"] == order_only

    @pytest.mark.parametrize(
        ("should", "answer", "expected"),
        [
            (True, "Decision: DELEGATE", {"recall": 1, "precision": 1, "right": 1}),
            (True, "Complexity: complex", {"recall": 0, "right": 0, "decided": 0}),
            (True, "Decision: INTERNAL", {"recall": 0, "right": 0, "decided": 1}),
            (False, "Decision: DELEGATE", {"over": 1, "precision": 0, "right": 0}),
            (False, "Decision: INTERNAL", {"over": 0, "right": 1, "balanced": 1}),
            (True, "Tool: 847 * 93 =", {"recall": 1, "rate": 1, "decided": 1}),
        ],
    )
    def test_delegation_is_measured_where_it_applies(self, should, answer, expected):
        found = grade(question("metacognition", should_delegate=should), answer)

        assert {name: found[f"delegation.{name}"] for name in expected} == expected
        absent = "over" if should else "recall"
        assert f"delegation.{absent}" not in found
        assert ("delegation.precision" in found) == bool(found["delegation.rate"])

    def test_a_trap_is_graded_by_its_name(self):
        found = grade(question("adversarial", trap="carry"), "78771")

        assert found["adversarial"] == found["adversarial.carry"] == 1
        assert found["article.adversarial"] == 1

    @pytest.mark.parametrize(
        ("answer", "kind", "sensible", "catastrophic"),
        [
            ("78772", "close", 1, 0),
            ("100000", "rough", 1, 0),
            ("-78771", "sign", 1, 0),
            ("20000", "same_magnitude", 1, 0),
            ("7877", "off_by_one", 0, 0),
            ("0", "catastrophic", 0, 1),
            ("", "no_answer", 0, 1),
            ("-7", "catastrophic", 0, 1),
            ("in the order of 10^5", "rough", 1, 0),
        ],
    )
    def test_a_wrong_answer_has_one_kind(self, answer, kind, sensible, catastrophic):
        found = grade(question("errors"), answer)

        kinds = [name for name in found if name.startswith("errors.kind.")]
        assert [name for name in kinds if found[name]] == [f"errors.kind.{kind}"]
        assert len(kinds) == 8
        assert found["errors.sensible"] == sensible
        assert found["errors.catastrophic"] == catastrophic
        assert found["errors.catastrophic_all"] == catastrophic
        assert found["errors.right"] == 0

    def test_an_order_that_is_the_value_is_close_and_not_right(self):
        found = grade(question("errors", value=1000), "in the order of 1000")

        assert found["errors.right"] == 0
        assert found["errors.kind.close"] == 1

    @pytest.mark.parametrize(
        ("answer", "effective", "used"),
        [
            (SOLVED, 1, 1),
            (SOLVED.replace("Tool: 847 * 93 = 78771", "Step 3 - Compute: 78771"), 1, 0),
            ("Tool: 847 * 39 = 33033", 0, 1),
            ("Tool: 847 * 93 = 78771\nAnswer: 78717", 0, 1),
            ("Tool: 8 = 8\nTool: 847 * 93 = 78771", 1, 1),
            ("Tool: 847 * 93 = error", 0, 1),
            ("Passo 3 - Calcolo: 78771\nPasso 4 - Verifica: VALIDO", 1, 0),
            ("The answer is 78771", 1, 0),
            ("78771", 1, 0),
            ("Routing: DELEGATE", 0, 0),
            ("78771\nSolve: 3 + 4\nTool: 3 + 4 = 7", 1, 0),
        ],
    )
    def test_effective_is_what_a_user_is_left_with(self, answer, effective, used):
        found = grade(question("effective", stratum="hard"), answer)

        assert found == {
            "effective": effective,
            "effective.hard": effective,
            "effective.tool_used": used,
        }

    def test_what_the_tool_answers_is_what_is_read(self, asked):
        """
        With the protocol itself: a call as written, and the result it gets.
        """
        for one in of(asked, "effective"):
            written = f"Routing: DELEGATE\nTool: {one.facts['expression']} ="
            text, failed = with_result(written, call_in(written))

            assert failed is None
            assert grade(one, text)["effective"] == 1


class TestConsistent:
    def pair(self):
        """Return two questions that are twins."""
        return [
            Question(f"adversarial/{own}", "adversarial", "?", {"twin": other})
            for own, other in (
                ("99", "adversarial/100"),
                ("100", "adversarial/99"),
            )
        ]

    @pytest.mark.parametrize(
        ("one", "other", "agree"),
        [
            ("921", "921", 1),
            ("921", "598 + 323 = 921", 1),
            ("920", "920", 1),
            ("921", "920", 0),
            ("", "", 0),
            ("921", "", 0),
        ],
    )
    def test_a_pair_agrees_where_both_mean_one_number(self, one, other, agree):
        given = {"adversarial/99": one, "adversarial/100": other}

        found = consistent(self.pair(), given)

        assert found == {"adversarial/99": {"adversarial.consistent": agree}}

    def test_a_pair_that_was_half_answered_is_not_measured(self):
        assert consistent(self.pair(), {"adversarial/99": "921"}) == {}
        assert consistent(self.pair(), {"adversarial/100": "921"}) == {}

    def test_all_pairs_of_a_study_are_measured(self, asked):
        given = {one.id: str(one.facts["value"]) for one in asked}

        found = consistent(asked, given)

        assert len(found) == 5
        assert all(
            measures["adversarial.consistent"] == 1 for measures in found.values()
        )


class TestAnswers:
    @pytest.mark.parametrize("row", DECISIONS, ids=lambda row: row["text"][:30])
    def test_an_answer_delegates_as_the_table_says(self, row):
        assert answers.delegates(row["text"]) == row["ours"]

    def test_a_next_question_is_not_part_of_an_answer(self):
        assert answers.own_part("7\n\nSolve: 3 + 4\n7") == "7\n\n"

    def test_the_question_itself_may_be_repeated(self):
        assert answers.own_part("Calculate: 3 + 4 = 7") == "Calculate: 3 + 4 = 7"
