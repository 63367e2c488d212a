"""Dreams of the embedded base, and what is filtered out of them."""

from dataclasses import replace

import pytest
import torch

from sleepcycle.files.dream_archive import normalised
from sleepcycle.learning.dreams import AT_ONCE, DreamPlan, dream, is_degenerate
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import encode, render_prompt
from sleepcycle.model.forward import token_nll
from sleepcycle.model.reading import Reader
from sleepcycle.model.token_batch import learned_tokens
from sleepcycle.records.content import Completion, Text
from sleepcycle.settings.config import ModelSettings

PLAN = DreamPlan(count=24, temperature=0.7, max_tokens=48, seed=1)


@pytest.fixture
def nano(tmp_path):
    """The embedded base, which dreams turns and answers them."""
    return load_base(ModelSettings(), device="cpu", cache=tmp_path)


@pytest.fixture
def plain_nano(tmp_path):
    """The same without its chat template, which dreams texts."""
    return load_base(ModelSettings(chat="never"), device="cpu", cache=tmp_path)


def test_a_chat_model_dreams_questions_and_answers_them(nano):
    """
    The base was pre-trained on such questions, so most of its dreams are sound.
    """
    dreams = dream(nano, PLAN, set()).contents

    assert len(dreams) > 16
    assert all(isinstance(dreamt, Completion) for dreamt in dreams)
    asked = [dreamt.prompt for dreamt in dreams]
    assert len({normalised(prompt) for prompt in asked}) == len(asked)


def test_only_answers_it_is_sure_of_are_kept(nano):
    """
    Asked again by scoring, each of their tokens has at least that probability.
    """

    def least(dreamt):
        [encoded] = encode(dreamt, nano, prompt_weight=0)
        said = Reader(nano).logits([encoded], learned_tokens([encoded]))
        losses = torch.cat([token_nll(*part) for part in said])
        return float((-losses).exp().min())

    everything = dream(nano, PLAN, set()).contents
    ranked = sorted(map(least, everything))
    between = (ranked[7] + ranked[8]) / 2

    sure = dream(nano, replace(PLAN, confidence=between), set()).contents

    assert sure == [dreamt for dreamt in everything if least(dreamt) > between]
    assert len(sure) == len(everything) - 8


def test_what_it_cost_counts_filtered_dreams_too(nano):
    """
    None is kept, and all tokens passed forward all the same.
    """
    plan = replace(PLAN, confidence=1.0)

    assert dream(nano, plan, set()).tokens == dream(nano, PLAN, set()).tokens > 24 * 5


def test_it_ends_where_hardly_a_new_one_is_left(nano):
    """
    So cold that nearly all its beginnings are one: the first of them say so.
    """
    plan = replace(PLAN, count=3 * AT_ONCE, temperature=0.01, enough=0.1)

    whole, cut = dream(nano, replace(plan, enough=0.0), set()), dream(nano, plan, set())

    assert set(cut.contents) <= set(whole.contents)
    assert cut.contents
    assert cut.tokens < whole.tokens / 2


def test_the_same_seed_dreams_the_same(nano):
    assert dream(nano, PLAN, set()) == dream(nano, PLAN, set())


def test_what_was_dreamt_before_is_not_dreamt_again(nano):
    known: set[str] = set()
    first = dream(nano, PLAN, known).contents

    assert len(known) >= len(first)
    assert dream(nano, PLAN, known).contents == []


def test_without_a_template_texts_are_dreamt(plain_nano):
    dreams = dream(plain_nano, PLAN, set()).contents

    assert dreams
    assert all(isinstance(dreamt, Text) and dreamt.text.strip() for dreamt in dreams)


@pytest.mark.parametrize(
    ("text", "degenerate"),
    [
        ("the river runs " * 12, True),
        ("a b c d a b c d a b c d a b c d", True),
        ("The old miller took the sack to the mill and ground the corn.", False),
        ("5", False),
        ("yes yes", False),
        ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12", False),
    ],
)
def test_repetition_is_seen(text, degenerate):
    assert is_degenerate(text) is degenerate


def test_near_duplicates_share_their_words():
    assert normalised("Which  DAY, comes next") == normalised("which day , comes next")
    assert normalised("day 1") != normalised("day 2")


def test_none_leads_past_the_last_position(nano):
    """
    Of a model of few positions: turns are cut there, and only what leaves place for an
    answer is asked.
    """
    tight = replace(nano, positions=PLAN.max_tokens + 16)

    dreams = dream(tight, PLAN, set()).contents

    assert 0 < len(dreams) < len(dream(nano, PLAN, set()).contents)
    longest = max(len(render_prompt(one.prompt, nano)) for one in dreams)
    assert longest <= 16


def test_answers_that_do_not_end_are_kept_where_they_may_be_cut(nano):
    short = replace(PLAN, count=128, max_tokens=8)

    whole = dream(nano, short, set()).contents
    with_cut = dream(nano, replace(short, cut=True), set()).contents

    assert len(with_cut) > len(whole)
    assert set(map(str, whole)) < set(map(str, with_cut))


def test_dreams_begin_with_what_is_given(nano):
    plan = replace(PLAN, beginnings=("What is the", "Who"))

    dreams = dream(nano, plan, set()).contents

    begun = {dreamt.prompt.startswith("Who") for dreamt in dreams}
    assert all(dreamt.prompt.startswith(plan.beginnings) for dreamt in dreams)
    assert begun == {True, False}
