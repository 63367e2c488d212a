"""Lessons for a chat model: the invented ones need no data, the real ones do."""

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory import chat


def prompts_of(rows):
    """Return every different prompt."""
    return {row.prompt for row in rows}


@pytest.fixture(scope="module", params=[0, 1])
def invented(request):
    """The lessons of a seed that need no data."""
    return chat.draw(None, request.param, len(chat.INVENTED))


def test_no_question_is_a_training_row(invented):
    for lesson in invented:
        taught = prompts_of((*lesson.rows, *lesson.held_out))

        assert not taught & prompts_of(lesson.questions), lesson.name


def test_facts_are_asked_of_every_name_that_is_taught(invented):
    """
    In another wording, so that the answer is all that they share.
    """
    for lesson in invented[:2]:
        answers = {row.completion for row in (*lesson.rows, *lesson.held_out)}

        assert {question.completion for question in lesson.questions} == answers


def test_the_persona_is_called_by_its_name_and_keeps_its_style(invented):
    persona = invented[2]
    rows = (*persona.rows, *persona.held_out, *persona.questions)

    assert len({row.prompt.partition(",")[0] for row in rows}) == 1
    assert len({row.completion.partition("!")[0] for row in rows}) == 1
    assert len({row.completion.rpartition(",")[2] for row in rows}) == 1


def test_what_the_persona_says_stands_in_the_question(invented):
    for row in invented[2].questions:
        said = row.completion.partition("! ")[2].rpartition(",")[0]

        assert said.lower().removeprefix("in the ") in row.prompt.lower()


def test_another_seed_has_another_persona():
    asked = [chat.draw(None, seed, 3)[2].questions[0].prompt for seed in (0, 1)]

    assert len({prompt.partition(",")[0] for prompt in asked}) == 2


def test_fewer_lessons_are_the_first_of_all():
    assert chat.draw(None, 0, 1) == chat.draw(None, 0, 3)[:1]


def test_more_lessons_than_need_no_data_name_the_option_for_it():
    with pytest.raises(StudyError, match=r"1 to 3 lessons of chat, got 4; .* --data"):
        chat.draw(None, 0, 4)


@pytest.fixture(scope="module")
def real(shared_data):
    """All lessons of a seed."""
    return chat.draw(shared_data, 0, len(chat.LESSONS))


@pytest.mark.shared
def test_the_first_lessons_are_those_that_need_no_data(real):
    assert real[:3] == chat.draw(None, 0, 3)


@pytest.mark.shared
def test_no_prompt_is_in_two_lessons_or_twice_in_one(real):
    rows = [row for one in real for row in (*one.rows, *one.held_out, *one.questions)]

    assert len({row.prompt for row in rows}) == len(rows)


@pytest.mark.shared
def test_real_lessons_are_as_long_as_each_other(real):
    sizes = {(len(one.rows), len(one.held_out), len(one.questions)) for one in real[3:]}

    assert sizes == {(456, 24, 50)}


@pytest.mark.shared
def test_sums_are_asked_for_the_number_alone(real):
    sums = real[-1]

    assert sums.name == chat.SUMS
    assert all(row.completion.lstrip("-").isdecimal() for row in sums.rows)


@pytest.mark.shared
def test_more_lessons_than_there_are_is_refused(shared_data):
    with pytest.raises(StudyError, match=r"1 to 8 lessons of chat, got 9$"):
        chat.draw(shared_data, 0, 9)
