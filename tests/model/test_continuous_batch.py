"""Answers that join and leave while others are written say what they say alone."""

import random

import pytest
import torch

from sleepcycle.model.continuous_batch import AnswerOrder, ContinuousBatch
from sleepcycle.model.encode import render_prompt
from sleepcycle.model.generate import GREEDY, generate
from sleepcycle.model.next_token import TokenChoice
from tests.model.conftest import load as load
from tests.model.conftest import nano as nano
from tests.model.conftest import tiny as tiny
from tests.model.conftest import tiny_folder as tiny_folder

PROMPTS = (
    "What is the capital of France?",
    "Hi",
    "Say a word, and then another one, and say why you chose both of them.",
    "1+1=",
    "Why?",
    "Which animal barks, and which animal says meow in the night?",
    "Go",
)
MOST = 24


def encoded(base):
    """Return the prompts as ids."""
    return [tuple(render_prompt(prompt, base)) for prompt in PROMPTS]


@pytest.fixture
def llama(tiny_folder, load):
    """A random model, which goes on as long as it may."""
    return load(tiny_folder("llama"))


class Desk:
    """Takes what a batch writes."""

    def __init__(self, base):
        self.batch = ContinuousBatch(base)
        self.said = {}

    def join(self, *orders):
        """Let answers join."""
        self._take(self.batch.join(orders))

    def step(self):
        """Write one token more."""
        self._take(self.batch.step())

    def finish(self):
        """Write until nothing is left."""
        while len(self.batch):
            self.step()

    def _take(self, written):
        for one in written:
            ids = self.said.setdefault(one.key, [])
            if not one.ended:
                ids.append(one.token.id)


def alone(base, prompt, most=MOST):
    """Return what is said to one prompt by itself."""
    with torch.no_grad():
        [said] = generate(base, [prompt], max_new_tokens=most, sampling=GREEDY)
    return list(said.ids)


def test_each_says_what_it_says_alone(tiny, load):
    base = load(tiny)
    prompts = encoded(base)
    desk, rng = Desk(base), random.Random(str(base.width))
    waiting = list(enumerate(prompts))

    while waiting or len(desk.batch):
        if waiting and (not len(desk.batch) or rng.random() < 0.3):
            count = rng.randint(1, 3)
            joining, waiting = waiting[:count], waiting[count:]
            desk.join(*((key, AnswerOrder(p, MOST)) for key, p in joining))
        else:
            desk.step()

    assert [desk.said[key] for key in range(len(prompts))] == [
        alone(base, prompt) for prompt in prompts
    ]
    assert max(map(len, desk.said.values())) > 4


def test_one_goes_on_past_the_room_that_a_cache_begins_with(llama):
    base = llama
    prompt = encoded(base)[1]
    desk = Desk(base)

    desk.join((0, AnswerOrder(prompt, 100)))
    desk.finish()

    assert desk.said[0] == alone(base, prompt, 100)


def test_who_is_dropped_is_written_no_more(llama):
    base = llama
    first, second, *_ = encoded(base)
    desk = Desk(base)
    desk.join((0, AnswerOrder(first, MOST)), (1, AnswerOrder(second, MOST)))

    desk.batch.drop({0})
    desk.finish()

    assert len(desk.said[0]) == 1
    assert desk.said[1] == alone(base, second)


def test_an_answer_has_no_more_tokens_than_it_may(llama):
    desk = Desk(llama)

    desk.join((0, AnswerOrder((5, 6), 1)))

    assert len(desk.said[0]) == 1
    assert len(desk.batch) == 0


def test_what_is_drawn_hangs_on_nothing_beside_it(llama):
    base = llama
    first, second, third, *_ = encoded(base)
    order = AnswerOrder(first, MOST, TokenChoice(temperature=1.0, seed=7))
    by_itself, beside = Desk(base), Desk(base)

    by_itself.join((0, order))
    by_itself.finish()
    beside.join((1, AnswerOrder(second, MOST)))
    beside.step()
    beside.join((2, AnswerOrder(third, MOST)), (0, order))
    beside.finish()

    assert beside.said[0] == by_itself.said[0]


def test_a_penalty_of_the_model_counts(nano):
    nano.model.generation_config.repetition_penalty = 1.3
    prompt = encoded(nano)[0]
    desk = Desk(nano)

    desk.join((0, AnswerOrder(prompt, MOST)))
    desk.finish()

    assert desk.said[0] == alone(nano, prompt)
