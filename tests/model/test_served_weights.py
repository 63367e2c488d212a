"""Versions side by side on one base, each of them exact."""

import pytest
import torch

from sleepcycle.errors import AdapterError
from sleepcycle.model import adapters
from sleepcycle.model.served_weights import BARE, ServedWeights
from tests.model.conftest import load as load
from tests.model.conftest import nano as nano
from tests.model.conftest import random_changes as random_changes

IDS = torch.tensor([[5, 9, 12, 40, 7]])


def logits(base):
    """Return what the base says now."""
    with torch.no_grad():
        return base.model(IDS).logits


@pytest.fixture
def change(random_changes, nano):
    """Return what makes a random change of the base that ships."""
    return lambda: random_changes(nano.targets)


def test_each_is_what_its_adapter_makes_of_the_base(nano, change):
    bare = logits(nano)
    first, second = change(), change()
    expected = []
    for one in (first, second):
        with adapters.attached(nano, "alone", one):
            expected.append(logits(nano))
    weights = ServedWeights(nano)
    weights.add("v1", first)
    weights.add("v2", second)

    for name, wanted in (
        ("v1", expected[0]),
        ("v2", expected[1]),
        (BARE, bare),
        ("v1", expected[0]),
    ):
        weights.use(name)
        assert torch.allclose(logits(nano), wanted, atol=1e-4)


def test_the_base_is_itself_again_to_the_bit(nano, change):
    bare = logits(nano)
    weights = ServedWeights(nano)
    weights.add("v1", change())
    weights.use("v1")

    weights.drop("v1")

    assert torch.equal(logits(nano), bare)
    assert list(weights.names) == [BARE]


def test_a_version_without_a_change_is_the_base(nano):
    bare = logits(nano)
    weights = ServedWeights(nano)
    weights.add("v0", {})

    weights.use("v0")

    assert torch.equal(logits(nano), bare)


def test_one_that_does_not_fit_leaves_the_others(nano, change):
    weights = ServedWeights(nano)
    weights.add("v1", change())
    weights.use("v1")
    there = logits(nano)

    with pytest.raises(AdapterError, match="changes no_such_layer"):
        weights.add("v2", {"no_such_layer": next(iter(change().values()))})

    weights.use("v1")
    assert torch.equal(logits(nano), there)


def test_where_weights_cannot_be_copied_versions_stay_adapters(nano, change):
    bare, one = logits(nano), change()
    with adapters.attached(nano, "alone", one):
        expected = logits(nano)
    weights = ServedWeights(nano, copies=False)

    weights.add("v1", one)
    weights.use("v1")
    as_version = logits(nano)
    weights.drop("v1")

    assert torch.equal(as_version, expected)
    assert torch.equal(logits(nano), bare)
