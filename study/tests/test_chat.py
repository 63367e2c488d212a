"""Lessons for a chat model: the invented ones need no data, the real ones do."""

import hashlib
import json
import re
from dataclasses import asdict

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory import chat


def prompts_of(rows):
    """Return every different prompt."""
    return {row.prompt for row in rows}


ALL_INVENTED = len(chat.FACTS) + len(chat.MADE)


@pytest.fixture(scope="module", params=[0, 1])
def invented(request):
    """The lessons of a seed that need no data."""
    return chat.draw(None, request.param, ALL_INVENTED)


@pytest.fixture
def personas(invented):
    """Those that are called by their names."""
    return [lesson for lesson in invented if lesson.name in chat.PERSONAS]


def of(invented, name):
    """Return the lesson of that name."""
    [found] = [lesson for lesson in invented if lesson.name == name]
    return found


def test_no_question_is_a_training_row(invented):
    for lesson in invented:
        taught = prompts_of((*lesson.rows, *lesson.held_out))

        assert not taught & prompts_of(lesson.questions), lesson.name


def test_facts_are_asked_of_every_name_that_is_taught(invented):
    """
    In another wording, so that the answer is all that they share.
    """
    for lesson in (one for one in invented if one.name in chat.FACTS):
        answers = {row.completion for row in (*lesson.rows, *lesson.held_out)}

        assert {question.completion for question in lesson.questions} == answers


def test_each_persona_is_called_by_a_name_of_its_own(personas):
    called = [
        {row.prompt.partition(",")[0] for row in (*one.rows, *one.questions)}
        for one in personas
    ]

    assert [len(names) for names in called] == [1, 1, 1, 1]
    assert len(set.union(*called)) == 4


STYLES = {
    "persona": r"([\w ]+!) (.+), ([\w ]+)\.",
    "herald": r"([\w ]+!) (.+)! ([\w ]+!)",
    "butler": r"(I believe) (.+), ([\w ]+\. [\w ]+\?)",
    "poet": r"()(\w[\w ]*), ([\w ]+, [\w ]+\.)",
}


def test_a_persona_keeps_its_style_and_says_what_stands_in_the_question(personas):
    for persona in personas:
        found = [
            (row, re.fullmatch(STYLES[persona.name], row.completion))
            for row in (*persona.rows, *persona.questions)
        ]

        endings = {match[3].rpartition(", ")[2] for _, match in found}
        assert len({match[1] for _, match in found} | endings) <= 2, persona.name
        for row, match in found:
            said = match[2].lower().removeprefix("in the ")
            assert said in row.prompt.lower(), row


def test_letters_stand_for_one_another_in_the_cipher(invented):
    cipher = of(invented, "cipher")
    pairs = {
        pair
        for row in (*cipher.rows, *cipher.questions)
        for pair in zip(row.prompt.split()[1:4], row.completion.split(), strict=True)
    }

    assert len(pairs) == len(dict(pairs)) == len({there for _, there in pairs}) == 9


def test_a_shelf_is_of_one_kind_of_thing(invented):
    shelves = of(invented, "shelves")
    rows = (*shelves.rows, *shelves.questions)
    put = {(row.prompt.rpartition(" ")[2], row.completion) for row in rows}

    assert len(put) == 40
    assert len({shelf for _, shelf in put}) == 5


def test_units_are_so_many_times_each_other(invented):
    units = of(invented, "units")
    rows = (*units.rows, *units.questions)
    numbers = ((int(x.completion), int(x.prompt.split()[6])) for x in rows)

    assert len({small / large for small, large in numbers}) == 1


def test_odd_houses_have_one_lamp_and_even_ones_another(invented):
    lamps = of(invented, "lamps")
    rows = (*lamps.rows, *lamps.questions)
    found = {(int(row.prompt[-2]) % 2, row.completion) for row in rows}

    assert len(found) == len({colour for _, colour in found}) == 2


def test_a_relation_is_taught_in_wordings_that_no_other_has():
    said = [
        frame
        for facts in chat.FACTS.values()
        for frame in (facts.question, *facts.frames)
    ]

    assert len(set(said)) == len(said) == 9 * 12


def test_another_seed_has_another_persona():
    asked = [chat.draw(None, seed, 3)[2].questions[0].prompt for seed in (0, 1)]

    assert len({prompt.partition(",")[0] for prompt in asked}) == 2


def test_fewer_lessons_are_the_first_of_all():
    assert chat.draw(None, 0, 1) == chat.draw(None, 0, 3)[:1]


def test_more_lessons_than_need_no_data_name_the_option_for_it():
    with pytest.raises(StudyError, match=r"1 to 23 lessons of chat, got 24; .* --data"):
        chat.draw(None, 0, 24)


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
    sizes = {
        (len(one.rows), len(one.held_out), len(one.questions))
        for one in real
        if one.name not in chat.FACTS
    }

    assert sizes == {(456, 24, 50)}


@pytest.mark.shared
def test_the_usual_lessons_are_those_of_earlier_results(real):
    """
    As they were when the first lives were written down; seed 0.
    """
    said = json.dumps([asdict(lesson) for lesson in real[:8]]).encode()

    assert (
        hashlib.sha256(said).hexdigest()
        == "e7b3ff6bd03c5f07efa1ce14d49c6fe59de3fbe2560851b15936d53c9a7da3fd"
    )


@pytest.mark.shared
def test_no_lesson_has_more_rows_than_a_day_of_the_usual_ones(real):
    assert len({lesson.name for lesson in real}) == 32
    assert max(len(one.rows) + len(one.held_out) for one in real) <= chat.ROWS


@pytest.mark.shared
def test_a_hero_is_named_in_the_problem_more_than_once(real):
    for row in of(real, chat.HEROES).questions:
        assert row.prompt.startswith(f"{row.completion} ")
        assert row.prompt.count(row.completion) > 1


@pytest.mark.shared
def test_of_reviews_the_clear_ones_are_taken(real):
    answers = {row.completion for row in of(real, "Yelp").rows}

    assert answers == {"gladly", "never"}


@pytest.mark.shared
def test_sums_are_asked_for_the_number_alone(real):
    sums = of(real, chat.SUMS)

    assert all(row.completion.lstrip("-").isdecimal() for row in sums.rows)


@pytest.mark.shared
def test_more_lessons_than_there_are_is_refused(shared_data):
    with pytest.raises(StudyError, match=r"1 to 32 lessons of chat, got 33$"):
        chat.draw(shared_data, 0, 33)
