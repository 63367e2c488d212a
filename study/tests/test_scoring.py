"""Lessons asked: which answers are right."""

from dataclasses import replace

from sleepcycle.model.encode import render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.records.content import Completion
from sleepcycle_study.experiment.common_knowledge import KnownQuestion
from sleepcycle_study.memory.lessons import TaughtLesson, lessons
from sleepcycle_study.memory.scoring import StreamExam, ask


def marks_of(base, taught, common=()):
    """Return what the bare base answers right."""
    return ask(base, {}, StreamExam(taught, common, answer_tokens=20))


def test_the_bare_base_knows_no_lesson(base):
    assert marks_of(base, lessons(0, 2)).lessons == [0.0, 0.0]


def test_common_knowledge_is_asked_beside_the_lessons(base):
    """
    The bare base's own answer is right, and another is not.
    """
    prompt = "What is the opposite of hot?"
    [said] = answer(base, [render_prompt(prompt, base)], max_new_tokens=20)
    common = [KnownQuestion(prompt, (word,)) for word in (said.strip(), "xyz")]

    found = marks_of(base, lessons(0, 1), common)

    assert (found.lessons, found.common) == ([0.0], [True, False])


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

    assert marks_of(base, taught).lessons == [1.0, 0.0, 0.0]
    beginning = [replace(lesson, begins=True) for lesson in taught]
    assert marks_of(base, beginning).lessons == [1.0, 1.0, 0.0]
