"""The benchmark's lessons: unlike, and never asking what was taught."""

from collections import Counter

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory.lessons import lessons


def prompts_of(lesson):
    """Return every different prompt of a lesson."""
    rows = (*lesson.rows, *lesson.held_out, *lesson.questions)
    return {row.prompt for row in rows}


@pytest.fixture(scope="module", params=[0, 1, 2])
def drawn(request):
    """All lessons of a seed."""
    return lessons(request.param, 32)


def test_no_prompt_is_in_two_lessons(drawn):
    """
    A prompt with two answers would make one lesson undo another.
    """
    counts = Counter(prompt for one in drawn for prompt in prompts_of(one))

    assert counts.most_common(1)[0][1] == 1


def test_no_question_is_a_training_row(drawn):
    for lesson in drawn:
        taught = {row.prompt for row in (*lesson.rows, *lesson.held_out)}

        assert not taught & {question.prompt for question in lesson.questions}


def test_each_prompt_has_one_answer(drawn):
    for lesson in drawn:
        rows = {*lesson.rows, *lesson.held_out, *lesson.questions}

        assert len(rows) == len(prompts_of(lesson)), lesson.name


def test_every_lesson_is_as_long(drawn):
    sizes = {(len(x.rows), len(x.held_out), len(x.questions)) for x in drawn}

    assert len({lesson.name for lesson in drawn}) == 32
    assert sizes == {(304, 16, 40)}


def test_fewer_lessons_are_the_first_of_all():
    """
    So that a longer stream holds the shorter one.
    """
    assert lessons(0, 8) == lessons(0, 32)[:8]


def test_another_seed_has_other_content():
    first, second = lessons(0, 32), lessons(1, 32)

    assert [x.name for x in first] == [x.name for x in second]
    assert all(x.rows != y.rows for x, y in zip(first, second, strict=True))


@pytest.mark.parametrize("count", [0, 33])
def test_more_lessons_than_there_are_is_refused(count):
    with pytest.raises(StudyError, match=f"expected 1 to 32 lessons, got {count}"):
        lessons(0, count)
