"""The next token: the likeliest, or one that is drawn."""

from collections import Counter

import pytest
import torch

from sleepcycle.model.next_token import TokenChoice, TokenPicker

SCORES = torch.tensor([0.1, 0.2, 0.6, 0.1]).log()


def drawn(choice, count, scores=SCORES):
    """Return so many tokens, all drawn from the same scores."""
    picker = TokenPicker(choice)
    return [picker.pick(scores).id for _ in range(count)]


def test_without_temperature_it_is_the_likeliest():
    assert drawn(TokenChoice(), 3) == [2, 2, 2]


def test_tokens_are_drawn_by_their_share():
    counts = Counter(drawn(TokenChoice(temperature=1.0, seed=3), 4000))

    shares = [counts[token] / 4000 for token in range(4)]
    assert shares == pytest.approx([0.1, 0.2, 0.6, 0.1], abs=0.03)


def test_a_low_temperature_draws_the_likeliest_more_often():
    counts = Counter(drawn(TokenChoice(temperature=0.3, seed=3), 500))

    assert counts[2] > 450


@pytest.mark.parametrize(
    ("top_p", "tokens"), [(0.5, {2}), (0.7, {1, 2}), (1.0, {0, 1, 2, 3})]
)
def test_only_the_likeliest_that_make_up_top_p_are_drawn(top_p, tokens):
    choice = TokenChoice(temperature=1.0, top_p=top_p, seed=1)

    assert set(drawn(choice, 500)) == tokens


def test_the_same_seed_draws_the_same():
    first, again, other = (
        drawn(TokenChoice(temperature=1.0, seed=seed), 50) for seed in (5, 5, 6)
    )

    assert first == again != other


def test_it_tells_how_likely_tokens_were():
    token = TokenPicker(TokenChoice(told=2)).pick(SCORES)

    assert token.log_prob == pytest.approx(torch.tensor(0.6).log().item())
    assert [id_ for id_, _ in token.likeliest] == [2, 1]


def test_what_is_told_is_the_models_own_whatever_the_temperature():
    choice = TokenChoice(temperature=2.0, top_p=0.5, told=4)

    token = TokenPicker(choice).pick(SCORES)

    assert dict(token.likeliest)[0] == pytest.approx(torch.tensor(0.1).log().item())


def test_it_tells_of_none_where_that_was_not_asked():
    token = TokenPicker(TokenChoice()).pick(SCORES)

    assert token.log_prob is None
    assert token.likeliest == ()
