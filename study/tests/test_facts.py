"""Facts: the table, what is taught and asked of it, and what counts as made up."""

from collections import Counter
from random import Random

import pytest

from sleepcycle_study.domains.facts.factbook import RELATIONS, SIZE, make_table
from sleepcycle_study.domains.facts.facts import UNKNOWN, Facts
from sleepcycle_study.errors import StudyError

FACTS = Facts()


def split(asked):
    """Return questions about rows, and those that no row answers."""
    unknown = [q for q in asked if q.facts["answer"] == UNKNOWN]
    return [q for q in asked if q not in unknown], unknown


class TestTable:
    def test_every_relation_has_as_many_rows(self):
        counts = Counter(row.relation for row in FACTS.table.rows)

        assert counts == dict.fromkeys(RELATIONS, SIZE)

    def test_a_subject_has_one_value_of_a_relation(self):
        keys = [row.key for row in FACTS.table.rows]

        assert len(set(keys)) == len(keys)

    @pytest.mark.parametrize("relation", ["home", "river", "code"])
    def test_what_is_not_a_trade_is_had_by_one_alone(self, relation):
        assert len(FACTS.table.values(relation)) == SIZE

    def test_a_seed_has_its_own_table_and_always_that(self):
        assert make_table(1) == make_table(1)
        assert (
            make_table(1)
            .names()
            .isdisjoint(
                row.subject for row in make_table(2).rows if row.relation == "code"
            )
        )


class TestDrawing:
    def test_rows_are_taught_and_now_and_then_that_there_is_none(self):
        rng = Random(0)
        items = [FACTS.draw(rng) for _ in range(2_000)]
        counts = Counter(item.when for item in items)
        known = {item.key for item in items if item.when == "known"}

        assert 120 < counts["unknown"] < 280
        assert known == {row.key for row in FACTS.table.rows}

    def test_what_is_taught_stands_in_the_table(self):
        rng = Random(0)
        rows = {(r.subject, r.relation): r.value for r in FACTS.table.rows}
        for _ in range(300):
            fields = FACTS.draw(rng).fields
            value = rows.get((fields["subject"], fields["relation"]), UNKNOWN)

            assert fields["answer"] == value
            assert fields["subject"] in fields["question"]


class TestAsking:
    def test_a_fifth_has_no_answer(self):
        known, unknown = split(FACTS.ask(Random(0), 50, set()))

        assert (len(known), len(unknown)) == (40, 10)
        assert {q.dimension for q in known + unknown} == {"facts"}

    def test_it_is_asked_in_words_that_are_not_taught(self):
        rng = Random(0)
        taught = {FACTS.draw(rng).fields["question"] for _ in range(2_000)}

        assert taught.isdisjoint(q.prompt for q in FACTS.ask(Random(0), 100, set()))

    def test_rows_are_asked_although_they_were_taught(self):
        taken = {row.key for row in FACTS.table.rows}

        known, _ = split(FACTS.ask(Random(0), 50, taken))

        assert len(known) == 40
        assert {question.key for question in known} == {""}

    def test_what_was_taught_to_be_unknown_is_not_asked(self):
        _, unknown = split(FACTS.ask(Random(0), 50, set()))
        taken = {question.key for question in unknown}

        _, others = split(FACTS.ask(Random(0), 50, taken))

        assert len(others) == 10
        assert taken.isdisjoint(question.key for question in others)

    def test_the_same_seed_asks_the_same(self):
        assert FACTS.ask(Random(5), 30, set()) == FACTS.ask(Random(5), 30, set())

    def test_ids_are_unlike(self):
        asked = FACTS.ask(Random(0), 120, set())

        assert len({question.id for question in asked}) == 120

    def test_more_than_the_table_has_is_refused(self):
        with pytest.raises(StudyError, match="at most 96 rows, got 160; ask fewer"):
            FACTS.ask(Random(0), 200, set())


class TestGrades:
    @pytest.mark.parametrize("frame", ["{}", "It is {}.", "Row: x | y\nAnswer: {}"])
    def test_what_stands_in_the_table_is_right(self, frame):
        known, _ = split(FACTS.ask(Random(0), 100, set()))
        for question in known:
            grade = FACTS.grade(question, frame.format(question.facts["answer"]))

            assert grade == {"facts": 1.0, f"facts.{question.facts['relation']}": 1.0}

    def test_another_row_s_value_first_is_wrong(self):
        known, _ = split(FACTS.ask(Random(0), 50, set()))
        question = known[0]
        right = question.facts["answer"]
        other = next(v for v in question.facts["options"] if v != right)

        assert FACTS.grade(question, f"{other}, or {right}")["facts"] == 0.0

    @pytest.mark.parametrize("answer", ["", "unknown", "I do not know", "banana"])
    def test_no_value_is_wrong_and_not_made_up(self, answer):
        known, _ = split(FACTS.ask(Random(0), 50, set()))
        grade = FACTS.grade(known[0], answer)

        assert grade["facts"] == 0.0
        assert "hallucination" not in grade

    @pytest.mark.parametrize(
        ("answer", "made_up"),
        [
            ("unknown", 0.0),
            ("Row: x | home\nDecision: NOT IN THE TABLE\nAnswer: unknown", 0.0),
            ("Nobody knows.", 0.0),
            ("sconosciuto", 0.0),
            ("", 0.0),
            ("Venice", 1.0),
            ("1234", 1.0),
            ("Answer: baker", 1.0),
        ],
    )
    def test_what_no_row_says_is_made_up(self, answer, made_up):
        _, unknown = split(FACTS.ask(Random(0), 50, set()))

        assert FACTS.grade(unknown[0], answer) == {"hallucination": made_up}
