"""Logic: puzzles that are what they say, fair draws, and honest grades."""

import re
from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from sleepcycle_study.domains.fresh import fresh
from sleepcycle_study.domains.logic.logic import Logic
from sleepcycle_study.domains.logic.puzzles import PUZZLES, RELATIONS
from sleepcycle_study.domains.logic.riddles import RIDDLES
from sleepcycle_study.domains.short_replies import (
    CANNOT_TELL,
    declines,
    first_number,
    picked,
)
from sleepcycle_study.errors import StudyError

LOGIC = Logic()


def drawn(kind, count=300):
    """Return puzzles of one kind."""
    rng = Random(f"test/{kind}")
    return [PUZZLES[kind](rng) for _ in range(count)]


def question_of(kind, answer=None):
    """Return a question of one kind, perhaps with one answer."""
    asked = LOGIC.ask(Random(0), 400, set())
    return next(
        question
        for question in asked
        if question.facts["kind"] == kind
        and answer in {None, question.facts.get("answer")}
    )


class TestPuzzles:
    @pytest.mark.parametrize("kind", PUZZLES)
    def test_no_constant_answer_gets_far(self, kind):
        counts = Counter(puzzle.answer for puzzle in drawn(kind, 2_000))

        assert max(counts.values()) < 0.6 * 2_000

    @pytest.mark.parametrize("kind", PUZZLES)
    def test_the_answer_is_among_the_options(self, kind):
        for puzzle in drawn(kind):
            assert (
                puzzle.answer in puzzle.options or puzzle.answer.lstrip("-").isdigit()
            )
            assert len(puzzle.question) < 140

    @pytest.mark.parametrize("kind", PUZZLES)
    def test_the_same_seed_draws_the_same(self, kind):
        assert drawn(kind, 5) == drawn(kind, 5)

    def test_comparisons_have_the_order_that_is_told(self):
        """
        Worked out again from the sentences alone.
        """
        lasts = {last for _, _, last in RELATIONS}
        for puzzle in drawn("comparison"):
            pairs = re.findall(r"(\w+) is \w+ than (\w+)\.", puzzle.question)
            above, below = ({pair[side] for pair in pairs} for side in (0, 1))
            asked = re.findall(r"the (\w+)\?", puzzle.question)[0]
            [end] = below - above if asked in lasts else above - below

            assert puzzle.answer == end

    def test_booleans_are_what_python_makes_of_them(self):
        for puzzle in drawn("boolean"):
            [text] = re.findall(r"What is (.*), true or false\?", puzzle.question)
            code = text.replace("true", "True").replace("false", "False")

            assert puzzle.answer == str(eval(code)).lower()

    def test_membership_is_that_of_sets(self):
        for puzzle in drawn("membership"):
            sets = [
                set(inside.split(", "))
                for inside in re.findall(r"\{(.*?)\}", puzzle.question)
            ]
            asked, how = re.findall(r"Is (\w+) (in .*)\?", puzzle.question)[0]
            inside = {
                "in A": lambda a: a,
                "in A and in B": set.intersection,
                "in A or in B": set.union,
                "in A but not in B": set.difference,
            }[how](*sets)

            assert puzzle.answer == ("yes" if asked in inside else "no")

    def test_syllogisms_hold_in_every_small_world(self):
        """
        Yes holds in all models of three things, no in none, the others in some.
        """
        for puzzle in drawn("syllogism", 60):
            assert puzzle.answer == follows(puzzle.question)

    def test_sequences_go_on(self):
        for puzzle in drawn("sequence"):
            numbers = [int(n) for n in re.findall(r"-?\d+", puzzle.question)]
            steps = [b - a for a, b in pairwise(numbers)]
            after = numbers[-1] + (steps[1] if steps[0] == steps[2] else steps[-1])
            if numbers[0] and numbers[1] % numbers[0] == 0 and "times" in puzzle.reason:
                after = numbers[-1] * (numbers[1] // numbers[0])

            assert puzzle.answer == str(after)

    def test_conditionals_know_the_four_figures(self):
        for puzzle in drawn("conditional"):
            a, does, b, then, told, asked = re.fullmatch(
                r"If (\w+) (\w+), (\w+) (\w+)\. (.*)\. Does (\w+) \w+\?",
                puzzle.question,
            ).groups()
            figure = (told.split()[0] == a, "not" in told)
            wanted = {
                (True, False): "yes",
                (False, True): "no",
                (False, False): CANNOT_TELL,
                (True, True): CANNOT_TELL,
            }[figure]

            assert puzzle.answer == wanted
            assert asked == (b if told.split()[0] == a else a)
            assert does != then

    def test_denials_cancel_in_pairs(self):
        for puzzle in drawn("negation"):
            told = puzzle.question.split(".")[0].lower()
            denials = told.count("not true") + told.count("does not")

            assert puzzle.answer == ("no" if denials % 2 else "yes")

    def test_only_what_carries_over_is_chained(self):
        for puzzle in drawn("transitivity"):
            told = re.findall(r"(\w+) is ([\w ]+?) ([A-Z]\w+)\.", puzzle.question)
            [(first, _, last)] = re.findall(
                r"Is (\w+) ([\w ]+?) ([A-Z]\w+)\?", puzzle.question
            )
            (a, relation, b), (c, _, d) = told
            carries = relation in {
                *("older than", "north of", "left of", "heavier than", "ahead of"),
            }
            wanted = CANNOT_TELL
            if carries and b == c:
                wanted = "yes" if (first, last) == (a, d) else "no"

            assert puzzle.answer == wanted


def follows(question):
    """Try a syllogism in all worlds of three things, none of the kinds empty."""
    *premises, asked = re.findall(r"[A-Z][^.?]*", question)
    words = re.findall(r"(All|No|Some) (\w+) are (\w+)", ". ".join(premises))
    how, first, second = re.findall(r"Are (all|any|some) (\w+) (\w+)", asked)[0]
    kinds = sorted({word for _, *pair in words for word in pair})
    seen = set()
    for number in range(8 ** len(kinds)):
        world = {kind: number // 8**at % 8 for at, kind in enumerate(kinds)}
        if all(world.values()) and all(holds(world, *word) for word in words):
            seen.add(holds(world, how.capitalize(), first, second))
    if seen == {True}:
        return "yes"
    return "no" if seen == {False} else CANNOT_TELL


def holds(world, how, first, second):
    """Return whether a sentence is true where kinds are sets of bits."""
    a, b = world[first], world[second]
    return {"All": a & ~b == 0, "No": a & b == 0}.get(how, a & b != 0)


class TestAsking:
    def test_each_dimension_has_its_count_and_each_kind_its_share(self):
        asked = LOGIC.ask(Random(0), 50, set())
        kinds = Counter((q.dimension, q.facts["kind"]) for q in asked)

        assert Counter(q.dimension for q in asked) == {"logic": 50, "hallucination": 50}
        assert {kind for _, kind in kinds} == {*PUZZLES, *RIDDLES}
        assert set(kinds.values()) <= {6, 7, 16, 17}

    def test_nothing_is_asked_twice_or_that_was_taught(self):
        rng = Random(0)
        taken = {LOGIC.draw(rng).key for _ in range(2_000)}

        asked = LOGIC.ask(Random(0), 200, taken)

        assert len({q.id for q in asked}) == len({q.prompt for q in asked}) == 400
        assert not {q.key for q in asked} & taken

    def test_the_same_seed_asks_the_same(self):
        assert LOGIC.ask(Random(3), 20, set()) == LOGIC.ask(Random(3), 20, set())

    def test_none_is_asked_where_none_is_wanted(self):
        assert LOGIC.ask(Random(0), 0, set()) == []

    def test_when_all_is_taken_it_says_so(self):
        with pytest.raises(
            StudyError, match=r"got only what was taught or asked .*'a'"
        ):
            next(fresh(lambda: "a", str, {"a"}))

    def test_items_say_how_hard_they_are(self):
        rng = Random(0)
        items = [LOGIC.draw(rng) for _ in range(300)]

        assert {item.when for item in items} == {"simple", "hard"}
        assert all(item.key == item.fields["question"] for item in items)


class TestReplies:
    @pytest.mark.parametrize(
        ("answer", "option"),
        [
            ("yes", "yes"),
            ("Yes, since all are.", "yes"),
            ("True.", "yes"),
            ("s\u00ec", "yes"),
            ("No.", "no"),
            ("No, it cannot be.", "no"),
            ("Step 1 - yes?\nStep 2 - Answer: no", "no"),
            ("cannot tell", CANNOT_TELL),
            ("We can't tell", CANNOT_TELL),
            ("We can\u2019t know.", CANNOT_TELL),
            ("No one knows", CANNOT_TELL),
            ("There is no way to know; yes or no", CANNOT_TELL),
            ("It does not follow.", CANNOT_TELL),
            ("Unknown", CANNOT_TELL),
            ("Non si sa", CANNOT_TELL),
            ("", None),
            ("maybe", None),
            ("yesterday", None),
            ("nothing", None),
            ("Answer:", None),
        ],
    )
    def test_the_option_named_first_counts(self, answer, option):
        assert picked(answer, ("yes", "no", CANNOT_TELL)) == option

    def test_of_two_at_one_place_the_longer_counts(self):
        assert picked("The same", ("the", "the same")) == "the same"

    def test_what_an_option_has_of_patterns_is_text(self):
        assert picked("a.c", ("abc", "a.c")) == "a.c"

    @pytest.mark.parametrize(
        ("answer", "number"),
        [
            ("42", 42),
            ("-7 or 8", -7),
            ("Reason: +4. Answer: 19", 19),
            ("none", None),
            ("", None),
            ("9" * 5_000, 999_999_999_999_999_999),
        ],
    )
    def test_the_first_number_counts(self, answer, number):
        assert first_number(answer) == number

    @pytest.mark.parametrize("answer", ["I know", "It is 7", "Nora", "a cannon"])
    def test_a_claim_declines_nothing(self, answer):
        assert not declines(answer)


class TestGrades:
    @pytest.mark.parametrize("kind", PUZZLES)
    def test_the_right_answer_solves_and_none_does_not(self, kind):
        question = question_of(kind)

        right = LOGIC.grade(question, f"{question.facts['answer']}.")
        assert right == {"logic": 1.0, f"logic.{kind}": 1.0}
        assert LOGIC.grade(question, "") == {"logic": 0.0, f"logic.{kind}": 0.0}
        assert LOGIC.grade(question, "banana 0")["logic"] == 0.0

    def test_a_fallacy_is_solved_by_declining(self):
        question = question_of("conditional", CANNOT_TELL)

        assert LOGIC.grade(question, "That does not follow.")["logic"] == 1.0
        assert LOGIC.grade(question, "yes")["logic"] == 0.0

    @pytest.mark.parametrize("kind", RIDDLES)
    @pytest.mark.parametrize(
        ("answer", "made_up"),
        [
            ("I don't know", 0.0),
            ("That makes no sense.", 0.0),
            ("unknown", 0.0),
            ("", 0.0),
            ("...", 0.0),
            ("It is certainly the banana", 1.0),
            ("987654", 1.0),
        ],
    )
    def test_a_confident_answer_is_made_up(self, kind, answer, made_up):
        grade = LOGIC.grade(question_of(kind), answer)

        assert grade == {"hallucination": made_up, f"hallucination.{kind}": made_up}

    def test_a_tricky_question_may_be_answered(self):
        asked = LOGIC.ask(Random(0), 200, set())
        tricky = [q for q in asked if q.facts["kind"] == "tricky"]

        assert tricky
        for question in tricky:
            for right in question.facts["right"]:
                grade = LOGIC.grade(question, f"It is {right}.")

                assert grade["hallucination"] == 0.0

    def test_a_number_beside_the_right_one_is_wrong(self):
        asked = LOGIC.ask(Random(0), 200, set())
        question = next(q for q in asked if "All but" in q.prompt)
        [right] = question.facts["right"]

        assert LOGIC.grade(question, f"{int(right) + 1}")["hallucination"] == 1.0
