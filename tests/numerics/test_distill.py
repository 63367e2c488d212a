"""Distillation from top tokens, against the divergence of whole distributions."""

import pytest
import torch
from torch.nn.functional import kl_div

from sleepcycle.numerics.distill import top_divergence, top_scores


@pytest.fixture
def pair(rng):
    """Teacher's and student's logits over 50 tokens at 6 positions."""
    return (torch.randn(6, 50, generator=rng) * 3 for _ in range(2))


def whole(teacher, student):
    """Return the divergence over the whole vocabulary."""
    return kl_div(
        student.log_softmax(1),
        teacher.log_softmax(1),
        log_target=True,
        reduction="none",
    ).sum(1)


def test_of_all_tokens_it_is_the_whole_divergence(pair):
    teacher, student = pair

    found = top_divergence(student.log_softmax(dim=1), top_scores(teacher, 50))

    torch.testing.assert_close(found, whole(teacher, student), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [1, 4, 16])
def test_it_is_never_more_and_grows_with_the_tokens_kept(pair, k):
    teacher, student = pair

    fewer = top_divergence(student.log_softmax(dim=1), top_scores(teacher, k))
    more = top_divergence(student.log_softmax(dim=1), top_scores(teacher, 2 * k))

    assert (fewer >= -1e-6).all()
    assert (fewer <= more + 1e-5).all()
    assert (more <= whole(teacher, student) + 1e-5).all()


def test_a_student_that_is_the_teacher_has_none(pair):
    teacher, _ = pair

    found = top_divergence(teacher.log_softmax(dim=1), top_scores(teacher, 8))

    torch.testing.assert_close(found, torch.zeros(6), rtol=0, atol=1e-6)


def test_mass_moved_out_of_sight_is_seen(rng):
    """
    Without the tail this student would look perfect after renormalising.
    """
    teacher = torch.full((1, 50), -20.0)
    teacher[0, :2] = 0.0
    student = teacher.clone()
    student[0, 2:] = 0.0

    found = top_divergence(student.log_softmax(dim=1), top_scores(teacher, 2))

    assert float(found) > 1


def test_a_certain_teacher_gives_finite_gradients(rng):
    teacher = torch.zeros(1, 50)
    teacher[0, 3] = 200.0
    student = torch.randn(1, 50, generator=rng).requires_grad_()

    top_divergence(student.log_softmax(dim=1), top_scores(teacher, 4)).sum().backward()

    assert student.grad.isfinite().all()
    assert student.grad[0, 3] < 0


def test_fewer_of_the_likeliest_are_what_was_asked_for_in_the_first_place(rng):
    logits = torch.randn(5, 50, generator=rng)

    found, expected = top_scores(logits, 8).first(3), top_scores(logits, 3)

    assert torch.equal(found.ids, expected.ids)
    torch.testing.assert_close(found.logs, expected.logs)
    torch.testing.assert_close(found.tail, expected.tail)
