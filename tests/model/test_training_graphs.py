"""Sizes that parts of a run are padded to; capturing itself takes a GPU."""

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import AttentionInterface

from sleepcycle.learning.distillation import TaughtTokens, taught_losses
from sleepcycle.model import adapters
from sleepcycle.model.base import find_targets
from sleepcycle.model.encode import Encoded
from sleepcycle.model.forward import token_nll
from sleepcycle.model.packed_attention import PACKED, attend
from sleepcycle.model.reading import Reader
from sleepcycle.model.token_batch import learned_tokens, token_batch
from sleepcycle.model.training_graphs import (
    FEWEST_PARTS,
    MOST_GRAPHS,
    PARTS_A_GRAPH,
    PartSize,
    StepPart,
    TrainingGraphs,
    few_sizes,
)
from tests.model.fake_cuda import cuda as cuda
from tests.model.kinds import tiny_model
from tests.model.test_reading import some_sequences

LONGEST = 20


@pytest.fixture
def parts(rng):
    """Sizes of the parts of a long run."""
    found = []
    for _ in range(40 * PARTS_A_GRAPH):
        lengths = torch.randint(1, LONGEST + 1, (8,), generator=rng)
        learned = int((lengths * torch.rand(8, generator=rng)).ceil().sum())
        found.append(PartSize(int(lengths.sum()), learned, 8))
    return found


class TestSizes:
    def test_every_part_can_be_padded_to_one(self, parts):
        sizes = few_sizes(parts, LONGEST)

        assert all(any(size.holds(part, LONGEST) for size in sizes) for part in parts)

    def test_there_are_few(self, parts):
        assert 1 < len(few_sizes(parts, LONGEST)) <= MOST_GRAPHS

    def test_the_smallest_comes_first(self, parts):
        sizes = few_sizes(parts, LONGEST)

        assert sizes == sorted(sizes)
        assert sizes[-1].tokens == max(part.tokens for part in parts)

    def test_a_short_run_has_none(self, parts):
        """
        Capturing would cost more than it saves.
        """
        assert few_sizes(parts[: FEWEST_PARTS - 1], LONGEST) == []
        assert len(few_sizes(parts[:FEWEST_PARTS], LONGEST)) == 1

    def test_parts_that_are_alike_share_one(self):
        alike = [PartSize(80, 30, 8)] * 10 * PARTS_A_GRAPH

        assert few_sizes(alike, LONGEST) == [PartSize(80, 30, 8)]


class TestHolds:
    @pytest.mark.parametrize(
        ("tokens", "learned", "sequences", "held"),
        [
            (100, 50, 8, True),
            (101, 50, 8, False),
            (100, 51, 8, False),
            (100, 50, 9, False),
            (80, 50, 7, True),
            (80, 50, 8, False),
            (79, 50, 7, False),
            (79, 50, 6, True),
        ],
    )
    def test_padding_is_sequences_too(self, tokens, learned, sequences, held):
        """
        Twenty tokens of it are one more sequence, twenty-one are two.
        """
        size, part = PartSize(100, 50, 8), PartSize(tokens, learned, sequences)

        assert size.holds(part, LONGEST) is held


class Parts:
    """Computes parts as they come, and fails where they are padded."""

    def __init__(self, model, kind):
        self.gradient = torch.zeros(3)
        self.sizes = []
        self.held = []
        self._kind = kind
        self._made = []
        self._graphs = TrainingGraphs(
            model, self._compute, [PartSize(16, 16, 16)], LONGEST, self.gradient
        )

    def run(self):
        """Return the loss of a part of two tokens."""
        rows = [Encoded((5, 6, 7), (0.0, 1.0, 1.0))]
        batch = token_batch(rows, 0, packed=True)
        part = self._graphs.fitted(StepPart(batch, learned_tokens(rows)))
        return self._graphs.run(part, torch.tensor(0.5)).item()

    def _compute(self, batch, tokens, share):
        """Add to the gradient, with a tensor that nothing else holds."""
        self.held = [one for one in self._made if one() is not None]
        activation = torch.zeros(8)
        self._made.append(weakref.ref(activation))
        self.sizes.append(batch.inputs["input_ids"].shape[1])
        self.gradient.add_(share)
        if self.sizes[-1] > 2:
            raise self._kind("no")
        return share * len(tokens)


@pytest.mark.parametrize("kind", [RuntimeError, torch.OutOfMemoryError])
class TestFailed:
    def test_parts_are_computed_as_they_come(self, cuda, kind):
        parts = Parts(nn.Linear(1, 1), kind)

        losses = [parts.run() for _ in range(2)]

        assert losses == [1.0, 1.0]
        assert parts.sizes == [16, 2, 2]
        assert parts.gradient.tolist() == [1.0, 1.0, 1.0]

    def test_nothing_of_the_attempt_is_held_meanwhile(self, cuda, kind):
        """
        Its activations may be all the memory that there is.
        """
        parts = Parts(nn.Linear(1, 1), kind)
        gc.disable()

        try:
            parts.run()
        finally:
            gc.enable()

        assert parts.held == []

    def test_the_next_run_tries_again_only_where_memory_was_full(self, cuda, kind):
        model = nn.Linear(1, 1)
        Parts(model, kind).run()
        parts = Parts(model, kind)

        parts.run()

        tries = 1 if kind is torch.OutOfMemoryError else 0
        assert parts.sizes == [*[16] * tries, 2]


def by_starts(_module, query, key, value, _mask, **given):
    """Attend as the kernel does: it knows where sequences begin, and the longest.

    What stands further back in its sequence than the longest has no value.
    """
    packed = given["packed"]
    places = torch.arange(query.shape[2], dtype=torch.int32)
    which = torch.searchsorted(packed.starts, places, right=True)
    depth = places - packed.starts[which - 1]
    seen = (which[:, None] == which) & (places[:, None] >= places)
    groups = query.shape[1] // key.shape[1]
    key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
    scores = (given["scaling"] * query @ key.mT).masked_fill(~seen, -torch.inf)
    out = (scores.softmax(dim=-1) @ value).transpose(1, 2)
    return out.masked_fill((depth >= packed.longest)[:, None, None], torch.nan), None


@pytest.fixture
def kernel():
    """Let packed sequences be attended to by where they begin alone."""
    AttentionInterface.register(PACKED, by_starts)
    yield
    AttentionInterface.register(PACKED, attend)


@pytest.fixture(params=["llama", "qwen3", "gpt2"])
def base(request, llama, random_changes):
    """A base with an adapter active that is not zero."""
    model = tiny_model(request.param)
    targets = find_targets(model, ["all-linear"])
    base = replace(llama, model=model, targets=targets)
    with adapters.attached(base, "day", random_changes(targets)):
        yield base


class Learner:
    """Adds gradients of parts; a graph of it computes again when it is replayed."""

    def __init__(self, base, cuda, losses=token_nll):
        self.gradient = torch.zeros(
            sum(one.numel() for one in adapters.parameters(base, "day"))
        )
        self.captured = self.replayed = 0
        self._factors = adapters.parameters(base, "day")
        self._reader = Reader(base)
        self._cuda = cuda
        self._losses = losses

    def compute(self, batch, tokens, share):
        """Add a part's gradient, or let a graph do it; return its share of the loss."""
        loss = torch.zeros(())

        def add():
            with self._reader.apart():
                found = share * self._reader.summed_loss(batch, tokens, self._losses)
                parts = torch.autograd.grad(found, self._factors)
            self.gradient.add_(torch.cat([part.flatten() for part in parts]))
            loss.copy_(found.detach())

        def replay():
            self.replayed += 1
            add()

        if self._cuda.capturing is None:
            add()
        else:
            self.captured += 1
            self._cuda.capturing.replay = replay
        return loss


def part(rng, lengths, gather=learned_tokens):
    """Return random sequences in a batch, their learned tokens, and a share."""
    rows = some_sequences(rng, lengths)
    batch = token_batch(rows, 0, packed=True)
    return batch, gather(rows), torch.rand((), generator=rng)


def by_graph(graphs, given):
    """Compute a part by its graph; return its share of the loss."""
    batch, tokens, share = given
    return graphs.run(graphs.fitted(StepPart(batch, tokens)), share)


def size_of(given):
    """Return how large a part is."""
    batch, tokens, _ = given
    lengths = batch.inputs["packed"].lengths
    return PartSize(sum(lengths), len(tokens), len(lengths))


def judged(rows):
    """Return learned tokens with what a teacher thinks of each."""
    tokens = learned_tokens(rows)
    logs = torch.linspace(0, 1, 5).log_softmax(dim=0).repeat(len(tokens), 1)
    ids = torch.arange(3, 6).repeat(len(tokens), 1)
    return TaughtTokens(
        **vars(tokens),
        gold=torch.full((len(tokens),), 0.25),
        top_ids=ids,
        top_logs=logs[:, :3],
        tail=logs[:, 3:].logsumexp(dim=1),
    )


@pytest.mark.usefixtures("kernel")
class TestPadded:
    """Parts of other sizes, computed by one graph as they are without."""

    @pytest.mark.parametrize(
        "size", [PartSize(60, 60, 8), PartSize(95, 70, 12)], ids=str
    )
    @pytest.mark.parametrize(
        ("losses", "gather"),
        [(token_nll, learned_tokens), (taught_losses, judged)],
        ids=["nll", "taught"],
    )
    def test_loss_and_gradient_are_those_of_the_part(
        self, base, cuda, rng, size, losses, gather
    ):
        learner, plain = (Learner(base, cuda, losses) for _ in range(2))
        graphs = TrainingGraphs(
            base.model, learner.compute, [size], LONGEST, learner.gradient
        )

        for lengths in [(21, 5, 2, 13), (4, 4), (20,), (9, 21, 21)]:
            given = part(rng, lengths, gather)
            found, expected = by_graph(graphs, given), plain.compute(*given)

            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(
                learner.gradient, plain.gradient, rtol=1e-3, atol=1e-5
            )
        assert (learner.captured, learner.replayed) == (1, 4)

    def test_a_part_that_fits_exactly_is_not_padded(self, base, cuda, rng):
        given = part(rng, (21, 5, 2))
        size = size_of(given)
        learner, plain = (Learner(base, cuda) for _ in range(2))
        graphs = TrainingGraphs(
            base.model, learner.compute, [size], LONGEST, learner.gradient
        )

        found, expected = by_graph(graphs, given), plain.compute(*given)

        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            learner.gradient, plain.gradient, rtol=1e-3, atol=1e-5
        )
        assert (learner.captured, learner.replayed) == (1, 1)


def test_without_the_kernel_parts_are_computed_as_they_come(base, cuda, rng):
    """
    As on a GPU that flash attention does not know.
    """
    given = part(rng, (21, 5, 2))
    learner, plain = (Learner(base, cuda) for _ in range(2))
    graphs = TrainingGraphs(
        base.model, learner.compute, [size_of(given)], LONGEST, learner.gradient
    )

    found, expected = by_graph(graphs, given), plain.compute(*given)

    assert learner.captured == 0
    assert found == expected
    assert torch.equal(learner.gradient, plain.gradient)
