"""Facts as a domain: rows to remember, asked in words that are not taught."""

from collections.abc import Collection
from itertools import islice
from random import Random

from sleepcycle_study.domains.domain import Item, Measures, Question
from sleepcycle_study.domains.facts.factbook import (
    RELATIONS,
    Fact,
    Factbook,
    make_table,
)
from sleepcycle_study.domains.fresh import fresh, name_of
from sleepcycle_study.domains.short_replies import is_confident, picked
from sleepcycle_study.domains.words import invented_name
from sleepcycle_study.errors import StudyError

UNKNOWN = "unknown"
TAUGHT_UNKNOWN = 0.1
"""Part of the items that teach to say so where the table has no row."""

ASKED_UNKNOWN = 0.2
"""Part of the questions that no row answers."""


class Facts:
    """Recall of a table, and whether what is not in it is made up."""

    name = "facts"

    def __init__(self, seed: int = 0) -> None:
        self.table: Factbook = make_table(seed)

    def draw(self, rng: Random) -> Item:
        """Draw a row to teach, or what is not in the table; rows come again.

        `known` and `unknown` say which it is.
        """
        known = rng.random() >= TAUGHT_UNKNOWN
        row = rng.choice(self.table.rows) if known else self._absent(rng)
        relation = RELATIONS[row.relation]
        fields = {
            "subject": row.subject,
            "relation": row.relation,
            "sort": relation.sort,
            "question": relation.taught.format(row.subject),
            "answer": row.value,
        }
        return Item(row.key, "known" if known else "unknown", fields)

    def ask(
        self, rng: Random, count: int, taken: Collection[str], language: str = "en"
    ) -> list[Question]:
        """Draw `count` questions, a fifth of which no row answers.

        Rows are there to be taught and asked, so that `taken` bears on the others
        alone: nothing is asked of which it was taught that it is unknown.

        Raises:
            StudyError: The table has not so many rows.
        """
        unknown = round(count * ASKED_UNKNOWN)
        if count - unknown > len(self.table.rows):
            raise StudyError(
                f"expected to ask about at most {len(self.table.rows)} rows, got "
                f"{count - unknown}; ask fewer questions"
            )
        absent = fresh(lambda: self._absent(rng), lambda row: row.key, taken)
        rows = rng.sample(self.table.rows, count - unknown)
        return [
            *(self._question(row, "") for row in rows),
            *(self._question(row, row.key) for row in islice(absent, unknown)),
        ]

    def grade(self, question: Question, answer: str) -> Measures:
        """Return whether a row is recalled, or what is in no row was made up."""
        facts = question.facts
        if facts["answer"] == UNKNOWN:
            return {"hallucination": float(is_confident(answer))}
        options = facts["options"]
        words = [str(word) for word in options] if isinstance(options, list) else []
        right = float(picked(answer, words) == facts["answer"])
        return {"facts": right, f"facts.{facts['relation']}": right}

    def _absent(self, rng: Random) -> Fact:
        """Invent a subject of which the table says nothing."""
        known = self.table.names()
        while (name := invented_name(rng)) in known:
            pass
        return Fact(name, rng.choice(list(RELATIONS)), UNKNOWN)

    def _question(self, row: Fact, key: str) -> Question:
        """Ask about a row, in the wording that is not taught."""
        prompt = RELATIONS[row.relation].asked.format(row.subject)
        return Question(
            id=name_of(f"facts/{row.relation}", prompt),
            dimension="facts",
            prompt=prompt,
            facts={
                "relation": row.relation,
                "answer": row.value,
                "options": list(self.table.values(row.relation)),
            },
            key=key,
        )
