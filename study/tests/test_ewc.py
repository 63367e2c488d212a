"""EWC: its pull, and the importance of weights."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from sleepcycle.learning import wake
from sleepcycle.model import adapters
from sleepcycle_study.memory import ewc
from sleepcycle_study.memory.day import begin
from sleepcycle_study.memory.lessons import lessons
from sleepcycle_study.memory.methods import METHODS, settings
from sleepcycle_study.memory.penalised import encoded, new_adapter


def test_pull_is_the_half_weighted_squared_distance():
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    penalty = ewc.pull([weight], [torch.tensor([3.0, 0.5])], strength=10.0)

    with torch.no_grad():
        weight += torch.tensor([1.0, -2.0])

    assert float(penalty().detach()) == pytest.approx(10 / 2 * (3 * 1 + 0.5 * 4))


def test_fisher_is_the_mean_square_of_each_example_s_gradient(base):
    """
    Against backward calls on one example each; a mean gradient squared is less.
    """
    chosen = settings(METHODS["EWC"], 24, 64, first=True).wake
    new_adapter(base, chosen, 0, start={})
    adapters.activate(base, [wake.DAY])
    today = begin(lessons(0, 1)[0], 0, 0)
    examples = encoded(base, today.new[:3], chosen)

    found = ewc.fisher(base, examples)

    weights = adapters.parameters(base, wake.DAY)
    slow = [torch.zeros_like(weight) for weight in weights]
    for example in examples:
        ids = torch.tensor([example.ids])
        losses = cross_entropy(
            base.model(input_ids=ids).logits[0, :-1], ids[0, 1:], reduction="none"
        )
        losses[torch.tensor(example.weights[1:]) > 0].sum().backward()
        for square, weight in zip(slow, weights, strict=True):
            square += weight.grad**2 / 3
            weight.grad = None
    base.model.requires_grad_(False)
    adapters.remove(base, wake.DAY)
    torch.testing.assert_close(found, slow, rtol=1e-4, atol=1e-9)
    assert sum(float(square.sum()) for square in found) > 0
