"""The demo's lessons: that they are what the script writes, and fair."""

import json
import re
import runpy
from collections import Counter
from pathlib import Path

import pytest

from tools.nano_world import make_world

ROOT = Path(__file__).parents[1]
LESSONS = ROOT / "examples" / "lessons"
NAMES = ("capitals", "dates", "plurals")
DAYS = (1, 2)  # of the company


@pytest.fixture(scope="module")
def script():
    """The names that the lessons' script defines."""
    return runpy.run_path(str(ROOT / "examples" / "make_lessons.py"))


def rows(name):
    """Read a lesson or its questions."""
    lines = (LESSONS / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def taught(row):
    """Return what a row of any shape asks, and what it answers."""
    if "messages" in row:
        user, assistant = row["messages"]
        return user["content"], assistant["content"]
    if "instruction" in row:
        return f"{row['instruction']}\n\n{row['input']}", row["output"]
    return row["prompt"], row["completion"]


def test_committed_lessons_are_those_the_script_writes(script, tmp_path):
    script["write_lessons"](tmp_path)

    written = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert written == {file.name: file.read_text() for file in LESSONS.glob("*.jsonl")}


@pytest.mark.parametrize("name", NAMES)
def test_no_question_is_among_the_rows(name):
    prompts = {taught(row)[0] for row in rows(name)}

    asked = [question["prompt"] for question in rows(f"{name}.questions")]
    assert len(set(asked)) == 40
    assert prompts.isdisjoint(asked)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_taught_once_and_starts_without_a_space(name):
    pairs = [taught(row) for row in rows(name)]

    assert 300 <= len({prompt for prompt, _ in pairs}) == len(pairs) <= 600
    assert all(answer == answer.strip() for _, answer in pairs)


def test_every_capital_that_is_asked_for_was_taught_in_other_words():
    known = [taught(row) for row in rows("capitals")]

    for question in rows("capitals.questions"):
        [country] = re.findall(r"\w+(?:nia|via|land|mark)\b", question["prompt"])
        answers = {answer for prompt, answer in known if country in prompt}
        assert answers == {question["answer"]}


def test_the_base_was_never_told_a_name_of_the_lesson():
    """
    The world of the pre-training text and the lesson's countries are disjoint.
    """
    world = make_world(1)

    answers = {taught(row)[1] for row in rows("capitals")}
    assert answers.isdisjoint({*world.capitals, *world.capitals.values()})


def test_the_ending_of_a_plural_follows_from_the_last_vowel():
    for row in rows("plurals"):
        vowel = [letter for letter in row["input"] if letter in "aeiou"][-1]
        ending = "ik" if vowel in "ei" else "um"

        assert row["output"] == row["input"] + ending


class TestCompany:
    """The facts of the demo of a real assistant."""

    def test_each_day_teaches_ten_facts_in_six_wordings_among_ordinary_chat(self):
        for name in ("day1", "day2"):
            pairs = [taught(row) for row in rows(f"company/{name}")]
            facts = [answer for prompt, answer in pairs if "Quellmark" in prompt]

            assert len({prompt for prompt, _ in pairs}) == len(pairs) == 76
            assert sorted(Counter(facts).values()) == [6] * 10

    def test_each_question_is_in_other_words_and_one_taught_answer_is_right(self):
        days = {day: [taught(row) for row in rows(f"company/day{day}")] for day in DAYS}
        prompts = {prompt for pairs in days.values() for prompt, _ in pairs}

        for question in rows("company/questions"):
            right = {
                answer
                for _, answer in days[question["day"]]
                if any(word in answer for word in question["right"])
            }
            assert len(right) == 1
            assert question["prompt"] not in prompts

    def test_no_row_teaches_what_is_asked_of_common_knowledge(self):
        asked = {question["prompt"] for question in rows("company/common")}
        pairs = [taught(row) for day in DAYS for row in rows(f"company/day{day}")]

        assert len(asked) == 16
        assert asked.isdisjoint(prompt for prompt, _ in pairs)
