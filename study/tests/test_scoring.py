"""Lessons asked: which answers are right."""

from dataclasses import replace

from sleepcycle.model.encode import render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.records.content import Completion
from sleepcycle_study.memory.lessons import TaughtLesson, lessons
from sleepcycle_study.memory.scoring import ask


def test_the_bare_base_knows_no_lesson(base):
    assert ask(base, {}, lessons(0, 2)) == [0.0, 0.0]


def test_the_beginning_is_enough_where_the_lesson_says_so(base):
    """
    The bare base's own answer is expected: whole, its first half, and another.
    """
    [asked, *_] = lessons(0, 1)[0].questions
    [said] = answer(base, [render_prompt(asked.prompt, base)], max_new_tokens=20)
    said = said.strip()
    expected = [said, said[: len(said) // 2], said[1:]]
    taught = [
        TaughtLesson("", (), (), (Completion(asked.prompt, words),))
        for words in expected
    ]

    assert ask(base, {}, taught) == [1.0, 0.0, 0.0]
    beginning = [replace(lesson, begins=True) for lesson in taught]
    assert ask(base, {}, beginning) == [1.0, 1.0, 0.0]
