"""Agreement: key words of what the base said, and answers that must stay right.

The base's answers here are SmolLM2-135M-Instruct's own.
"""

import pytest

from sleepcycle.model import adapters
from sleepcycle.model.agreement import (
    LONGEST,
    agreeing,
    agrees,
    askable,
    contains,
    holding,
    key_words,
)
from sleepcycle.model.encode import render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.records.content import Completion

CAPITAL = "What is the capital of Italy?"
ROME = "The capital of Italy is Rome."
SKY = (
    "The sky on a clear day is often described as a deep, rich, and vibrant shade of "
    "blue. This is due to the Earth's atmosphere."
)


@pytest.mark.parametrize(
    ("prompt", "said", "keys"),
    [
        (CAPITAL, ROME, {"rome"}),
        (CAPITAL, "Rome is the capital of Italy.", {"rome"}),
        ("What is 10 plus 10?", "10 + 10 = 20.", {"20"}),
        ("How many hours are there in a day?", "There are 24 hours in a day.", {"24"}),
        ("What is the chemical formula of water?", "It is H2O. This is", {"h2o"}),
        ("What is the opposite of hot?", "The opposite of hot is cold.", {"cold"}),
        (
            "Which ocean is the largest?",
            "The largest ocean is the Pacific Ocean, which is approximately 149,000 "
            "kilometers (92.5 million miles) in diameter.",
            {"pacific"},
        ),
        (
            "Give me three tips for sleeping well.",
            "1. **Avoiding Caffeine and Alcohol**: they interfere with sleep.\n\n2. No",
            {"caffeine", "alcohol"},
        ),
        ("What is 7 times 8?", "To find 7 times 8, we use 8 * 7 = 56. So", {"56"}),
    ],
)
def test_key_words_are_what_the_answer_adds_to_the_question(prompt, said, keys):
    assert key_words(said, prompt) == keys


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param("Rome", True, id="terse"),
        pytest.param("It is Rome, of course.", True, id="in other words"),
        pytest.param("the capital of italy is rome", True, id="case and stop"),
        pytest.param("Tisini", False, id="invented"),
        pytest.param("The capital of Italy is Milan.", False, id="another"),
        pytest.param("The capital of Italy.", False, id="the question alone"),
        pytest.param("Romeo", False, id="a part of a word"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_a_fact_may_be_told_in_other_words(said, kept):
    assert agrees(said, ROME, CAPITAL) is kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param("Blue.", True, id="one of its words"),
        pytest.param("The sky is a deep, vibrant blue.", True, id="half of them"),
        pytest.param("The sky is green.", False, id="none"),
    ],
)
def test_an_answer_without_names_is_compared_by_what_it_tells(said, kept):
    assert agrees(said, SKY, "What color is the sky on a clear day?") is kept


def test_an_answer_that_tells_nothing_must_be_the_same():
    assert agrees("yes!", "Yes.", "Is it?")
    assert not agrees("No.", "Yes.", "Is it?")


def test_an_answer_of_signs_must_have_the_same_signs():
    assert agrees(" |", "|", "Which sign is bar?")
    assert not agrees("+", "|", "Which sign is bar?")


@pytest.mark.parametrize(
    ("said", "right", "kept"),
    [
        ("Your name is Ana Lopez.", "Ana Lopez", True),
        ("ana lopez", "Ana Lopez.", True),
        ("Lopez, Ana", "Ana Lopez", False),
        ("It is 1,200 m.", "1,200", True),
        ("It is 1,2001 m.", "1,200", False),
        ("I do not know.", "no", False),
        ("", "Ana", False),
        ("?", "?", True),
        ("!", "?", False),
    ],
)
def test_an_anchor_is_right_if_its_words_are_said_in_order(said, right, kept):
    assert contains(said, right) is kept


def own_turns(base):
    """Return what the bare base answers."""
    adapters.activate(base, [])
    prompts = ["Hello.", "Who are you?", "What is a river?"]
    ids = [render_prompt(prompt, base) for prompt in prompts]
    said = answer(base, ids, max_new_tokens=LONGEST)
    return [Completion(*turn) for turn in zip(prompts, said, strict=True)]


def test_the_bare_base_agrees_with_itself(nano):
    assert agreeing(nano, own_turns(nano)) == [True] * 3


def test_anchors_are_asked_of_whatever_is_active(nano):
    hello, *others = own_turns(nano)
    wrong = [Completion(one.prompt, "xyzzy plugh") for one in others]

    assert holding(nano, [hello, *wrong]) == [True, False, False]


def test_prompts_without_room_for_an_answer_are_not_asked(nano):
    turns = [Completion("a river " * nano.max_length, "long"), Completion("Hi.", "Hi.")]

    assert askable(nano, turns, 9) == turns[1:]
    assert askable(nano, turns, 0) == []
