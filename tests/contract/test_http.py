"""The routes of the service: who is answered what, and who is refused how."""

import pytest

from tests.contract import golden

GOLDEN = "http.json"


def test_requests_are_the_same(record):
    """
    What a life asks for is what the file has, so that no route is left out.
    """
    assert list(golden.routes(record)) == golden.parts(GOLDEN)


@pytest.mark.parametrize("name", golden.parts(GOLDEN))
def test_answer_has_its_status_and_keys(record, name):
    """
    Clients of another release go by both; an error is known by its name.
    """
    assert golden.routes(record)[name] == golden.read(GOLDEN)[name]
