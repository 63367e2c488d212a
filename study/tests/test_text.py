"""Real lessons in classification."""

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory import text
from sleepcycle_study.memory.streams import STREAMS

pytestmark = pytest.mark.shared


def test_no_prompt_is_in_two_lessons_or_twice_in_one(shared_data):
    drawn = STREAMS["text"](shared_data).draw(0, len(text.TASKS))
    rows = [row for x in drawn for row in (*x.rows, *x.held_out, *x.questions)]

    assert len({row.prompt for row in rows}) == len(rows)
    assert {len(lesson.questions) for lesson in drawn} == {text.QUESTIONS}
    assert {len(x.rows) + len(x.held_out) for x in drawn} == {text.ROWS}


def test_every_question_has_a_label_that_was_taught(shared_data):
    for lesson in text.draw(shared_data, 0, len(text.TASKS)):
        taught = {row.completion for row in lesson.rows}

        assert {question.completion for question in lesson.questions} <= taught


def test_more_tasks_than_there_are_is_refused(shared_data):
    with pytest.raises(StudyError, match="expected 1 to 6 lessons of text, got 7"):
        text.draw(shared_data, 0, 7)
