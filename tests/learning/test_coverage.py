"""What dreams have brought back of a lesson, and what not."""

import pytest

from sleepcycle.learning.coverage import missing_mass, uncontradicted, undreamt
from sleepcycle.records.content import Completion, Conversation, Message, Role, Text

FRAMES = ("What is the capital of {}?", "Name the capital of {}.")
FACTS = {"Nitevia": "Rovan", "Oskaro": "Belit", "Tamurn": "Dosk"}
LESSON = [
    Completion(frame.format(what), answer)
    for what, answer in FACTS.items()
    for frame in FRAMES
]


class TestMissingMass:
    def test_it_is_the_share_of_draws_that_came_once(self):
        assert missing_mass({"a": 3, "b": 1, "c": 1}) == pytest.approx(2 / 5)

    def test_without_a_draw_all_is_missing(self):
        assert missing_mass({}) == 1

    def test_what_always_comes_again_leaves_nothing(self):
        assert missing_mass({"a": 4, "b": 2}) == 0


class TestUndreamt:
    def test_a_fact_is_told_in_any_of_its_wordings(self):
        """
        Its names are its rarest words, so other wordings of it need no dream.
        """
        left = undreamt(LESSON, [LESSON[0], LESSON[3]])

        assert left == LESSON[4:]

    def test_a_name_with_another_answer_does_not_tell_of_it(self):
        wrong = Completion("What is the capital of Nitevia?", "Belit")

        assert undreamt(LESSON, [wrong]) == LESSON

    def test_two_dreams_do_not_tell_of_it_together(self):
        halves = [Text("Nitevia"), Text("Rovan")]

        assert undreamt(LESSON[:2], halves) == LESSON[:2]

    def test_texts_and_conversations_are_looked_up_too(self):
        talk = Conversation(
            (Message(Role.USER, "Who is Odrin?"), Message(Role.ASSISTANT, "A keeper."))
        )
        today = [talk, Text("The winter lamp is on.")]

        assert undreamt(today, [Text("The winter lamp is on.")]) == [talk]
        assert undreamt(today, today) == []

    def test_what_has_no_words_needs_no_dream(self):
        assert undreamt([Text(" ")], [LESSON[0]]) == []


class TestAgreeing:
    def test_another_answer_to_a_prompt_of_today_is_left_out(self):
        dreams = [
            Completion("what is the capital of Nitevia?", "Belit"),
            Completion("What is the capital of Oskaro?", "Belit"),
        ]

        assert uncontradicted(dreams, LESSON) == dreams[1:]

    def test_any_of_several_answers_of_today_agrees(self):
        today = [*LESSON, Completion(LESSON[0].prompt, "Hunem")]

        assert uncontradicted([today[-1], LESSON[0]], today) == [today[-1], LESSON[0]]

    def test_what_today_does_not_ask_stays(self):
        dreams = [Completion("What is the capital of Ferun?", "Mitzo"), Text("Rovan")]

        assert uncontradicted(dreams, LESSON) == dreams
