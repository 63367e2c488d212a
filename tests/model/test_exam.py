"""Exams: what is asked, what is right, and each example's loss."""

import math

import pytest
import torch

from sleepcycle.model import adapters
from sleepcycle.model.encode import encode, render_prompt
from sleepcycle.model.exam import (
    SHORT,
    ExamQuestion,
    ExamScore,
    ask,
    by_batch,
    exact,
    examine,
    loss,
    paired,
    question,
)
from sleepcycle.model.generate import answer
from sleepcycle.model.score import nll
from sleepcycle.records.content import Completion, Conversation, Message, Role, Text
from sleepcycle.records.example import Example
from sleepcycle.records.verdict import Exact, Loss
from tests.model.conftest import logits_of

PROMPTS = ["Hello.", "Who has the lamp?", "What is a river?", "Tell me of bread."]


class TestQuestion:
    @pytest.mark.parametrize(
        "content",
        [
            Text("A lamp."),
            Conversation((Message(Role.USER, "Hi"), Message(Role.ASSISTANT, "Ho"))),
            Completion("Count.", "one " * (SHORT + 1)),
        ],
        ids=["text", "conversation", "long"],
    )
    def test_only_short_completions_are_asked(self, nano, content):
        assert question(content, nano) is None

    def test_outer_spaces_do_not_count(self, nano):
        asked = question(Completion("Who?", " Ana. "), nano)

        assert asked == ExamQuestion(render_prompt("Who?", nano), "Ana.")

    def test_a_prompt_that_leaves_no_room_is_not_asked(self, tiny_folder, load):
        base = load(tiny_folder("llama"), max_length=SHORT + 8)

        assert question(Completion("a", "b"), base) is not None
        assert question(Completion("a " * 8, "b"), base) is None


def stored(base, prompts=PROMPTS):
    """Return completions that are what the bare base says."""
    adapters.activate(base, [])
    asked = [render_prompt(prompt, base) for prompt in prompts]
    said = answer(base, asked, max_new_tokens=SHORT + 1)
    return [Completion(*pair) for pair in zip(prompts, said, strict=True)]


def test_marks_stay_with_their_questions(nano):
    """
    They are asked in the order of their length, not of their places.
    """
    right = [question(content, nano) for content in stored(nano)]
    mixed = [
        ExamQuestion(one.ids, one.expected if place % 2 else "nothing like it")
        for place, one in enumerate(right)
    ]

    assert ask(nano, mixed) == [False, True, False, True]


class TestExamine:
    def test_each_side_loses_what_scoring_it_alone_says(self, nano, random_changes):
        adapters.attach(nano, "one", random_changes(nano.targets, size=0.03))
        contents = [*stored(nano), Text("A long, long text about a river.")]

        papers = examine(nano, contents, [[], ["one"]], 0)

        for side, names in enumerate([[], ["one"]]):
            adapters.activate(nano, names)
            for content, paper in zip(contents, papers, strict=True):
                [encoded] = encode(content, nano, prompt_weight=0)
                nats, tokens = nll(nano, [encoded])
                assert paper.tokens == tokens
                assert paper.nats[side] == pytest.approx(nats, rel=1e-4)

    @pytest.mark.parametrize(
        ("most", "asked"),
        [(0, []), (1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (9, [1, 2, 3, 4])],
    )
    def test_what_is_asked_is_bounded_and_spread(self, nano, most, asked):
        """
        The text before the prompts is never asked.
        """
        papers = examine(nano, [Text("A river."), *stored(nano)], [[]], most)

        marked = {n: paper.right for n, paper in enumerate(papers) if paper.right}
        assert marked == dict.fromkeys(asked, (True,))

    def test_it_is_heard_of_while_it_works(self, nano):
        beats = []

        examine(nano, stored(nano), [[], []], 4, on_batch=lambda: beats.append(1))

        assert len(beats) == 4  # two sides, one batch of losses and one of answers

    def test_none_is_active_after_a_failure(self, nano, random_changes):
        """
        What hears of a batch may stop the run.
        """
        bare = logits_of(nano.model)
        adapters.attach(nano, "one", random_changes(nano.targets, size=0.03))

        def stop():
            raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"):
            examine(nano, [Text("A river.")], [["one"]], 0, on_batch=stop)

        assert torch.equal(logits_of(nano.model), bare)

    def test_nothing_is_nothing(self, nano):
        assert examine(nano, [], [[], []], 4) == []


PAPERS = [
    ExamScore(tokens=1, nats=(2.0, 1.0), right=(True, False)),
    ExamScore(tokens=3, nats=(2.0, 6.0), right=(True, True)),
    ExamScore(tokens=0, nats=(0.0, 0.0), right=None),
]


def test_papers_add_up_by_token():
    found = loss(PAPERS)

    assert (found.live, found.candidate) == (1.0, 1.75)
    assert (found.examples, found.tokens) == (3, 4)
    assert exact(PAPERS) == Exact(live=1.0, candidate=0.5, asked=2)


def test_the_median_counts_papers_and_the_mean_tokens():
    """
    Two papers of one token fall by a nat, one of thirty rises by two each.
    """
    short = ExamScore(tokens=1, nats=(2.0, 1.0), right=None)
    long = ExamScore(tokens=30, nats=(30.0, 90.0), right=None)

    found = loss([short, long, short])

    assert found.rise == pytest.approx(58 / 32)
    assert found.median_rise == -1.0


def test_papers_without_a_token_are_no_part_of_the_median():
    assert loss([PAPERS[0], PAPERS[2], PAPERS[2]]).median_rise == -1.0


def test_a_median_with_a_paper_that_is_no_number_is_none():
    broken = ExamScore(tokens=1, nats=(2.0, math.nan), right=None)

    assert math.isnan(loss([PAPERS[0], broken, PAPERS[0]]).median_rise)


def test_two_sides_examined_apart_are_as_if_together(nano):
    contents = [Text("A river."), *stored(nano)]
    apart = [examine(nano, contents, [side], 3) for side in ([], [])]

    assert paired(*apart) == examine(nano, contents, [[], []], 3)


def test_papers_without_a_token_or_an_answer_come_to_nothing():
    assert loss(PAPERS[2:]) is None
    assert exact(PAPERS[2:]) is None


def test_a_batch_without_a_token_is_left_out():
    examples = [Example(n, n % 2, Text("")) for n in range(3)]
    papers = [PAPERS[2], PAPERS[0], PAPERS[2]]

    [score] = by_batch(examples, papers, known=True)

    assert (score.batch, score.known) == (1, True)
    assert score.loss == Loss(2.0, 1.0, 1, 1, median_rise=-1.0)
