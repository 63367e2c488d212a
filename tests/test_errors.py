"""Errors: what another process says of one becomes that error again."""

import errno
import inspect

import pytest

from sleepcycle import errors
from sleepcycle.errors import (
    DiskError,
    DivergedError,
    HomeError,
    ModelError,
    RunError,
    ServiceError,
    SleepcycleError,
    error_named,
)

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, SleepcycleError)
]
MADE_OF_MORE = {"RowError", "ChildStartError", "ChildResultError"}
MADE_OF_MORE |= {"ExampleError", "UnlearnableError", "BusyError", "TuningError"}
"""They take a code, a program, an exit code, examples, a time or a parameter."""


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_class_is_made_from_its_name_and_a_message(kind):
    expected = ServiceError if kind.__name__ in MADE_OF_MORE else kind

    error = error_named(kind.__name__, "words", otherwise=ServiceError)

    assert (type(error), str(error)) == (expected, "words")


@pytest.mark.parametrize("name", ["", "None", "os", "DISK_FAILED", "ValueError"])
def test_any_other_name_is_the_fallback(name):
    assert type(error_named(name, "words", otherwise=RunError)) is RunError


@pytest.mark.parametrize("kind", [DiskError, HomeError])
def test_the_systems_number_is_kept(kind):
    error = error_named(kind.__name__, "words", errno.ENOSPC, otherwise=ServiceError)

    assert (error.errno, str(error)) == (errno.ENOSPC, "words")


@pytest.mark.parametrize(
    ("kind", "expected"), [(ModelError, ServiceError), (DivergedError, DivergedError)]
)
def test_a_class_that_is_not_among_those_allowed_is_the_fallback(kind, expected):
    error = error_named(
        kind.__name__, "words", otherwise=ServiceError, among=(RunError,)
    )

    assert type(error) is expected
