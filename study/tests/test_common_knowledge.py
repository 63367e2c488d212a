"""Questions of common knowledge, and how much of it is kept."""

import pytest

from sleepcycle_study.experiment.common_knowledge import (
    QUESTIONS,
    Knowledge,
    KnownQuestion,
    knowledge,
)
from sleepcycle_study.memory import chat

ICE = KnownQuestion("What is frozen water called?", ("ice",))


def test_no_question_is_there_twice():
    assert len({one.prompt for one in QUESTIONS}) == len(QUESTIONS) == 63


def test_none_is_taught_in_a_lesson():
    taught = {
        row.prompt
        for lesson in chat.draw(None, 0, len(chat.FACTS) + len(chat.MADE))
        for row in (*lesson.rows, *lesson.held_out, *lesson.questions)
    }

    assert not taught & {one.prompt for one in QUESTIONS}


@pytest.mark.parametrize("said", ["ice", "It is called Ice.", "Hark! Ice, my friend."])
def test_a_right_word_in_any_sentence_is_right(said):
    assert ICE.is_right(said)


@pytest.mark.parametrize("said", ["", "rice", "icebergs", "water"])
def test_other_words_are_wrong(said):
    """
    Also where the right one is a part of them.
    """
    assert not ICE.is_right(said)


def test_one_right_answer_does_for_another():
    five = next(one for one in QUESTIONS if one.prompt == "What is 2 + 3?")

    assert five.is_right("The answer is five.")
    assert five.is_right("5")
    assert not five.is_right("15")


def test_what_is_kept_is_of_what_was_known():
    """
    Two of four were known, of which one is left; one is new.
    """
    before = [True, True, False, False]

    assert knowledge([True, False, True, False], before) == Knowledge(0.5, 0.5)
    assert knowledge(before, before) == Knowledge(0.5, 1.0)


def test_where_nothing_was_known_nothing_can_be_kept():
    assert knowledge([True, False], [False, False]) == Knowledge(0.5, None)
