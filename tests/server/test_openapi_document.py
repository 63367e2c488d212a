"""The OpenAPI document: whole, and only for who may read."""

import pytest

from sleepcycle import __version__
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.scoped_tokens import TokenScope, new_token
from sleepcycle.server import server
from sleepcycle.server.access import table_of
from sleepcycle.server.routes import create_app
from sleepcycle.settings.config import ServeSettings
from tests.server.conftest import TOKEN, FakeConductor, ask


@pytest.fixture(scope="module")
def read(made_once):
    """The document, as a program gets it, and a way to ask for it."""
    paths = HomePaths(made_once)
    running = server.start(FakeConductor(), TOKEN, paths, ServeSettings())
    token, _ = new_token(paths, (TokenScope.READ,))
    yield ask(running, "GET", "/openapi.json", token=token)
    running.stop()
    paths.tokens.unlink()


@pytest.fixture(scope="module")
def document(read):
    return read[1]


@pytest.fixture(scope="module")
def table(made_once):
    return table_of(create_app(None, "", HomePaths(made_once)).routes).routes


def operations(document):
    """Return each operation by path and method."""
    return {
        (path, method.upper()): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def references(part):
    """Yield the names of all schemas that a part of the document refers to."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"].removeprefix("#/components/schemas/")
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_it_is_titled(read):
    status, document = read

    assert status == 200
    assert document["info"]["title"] == "sleepcycle"
    assert document["info"]["version"] == __version__
    assert document["info"]["description"]


def test_every_route_is_in_it(document, table):
    routes = {(route.path, method) for route, _ in table for method in route.methods}

    assert set(operations(document)) == routes


def test_each_says_what_token_it_needs(document, table):
    for route, access in table:
        for method in route.methods:
            security = operations(document)[route.path, method]["security"]

            assert security == [{"token": [scope]} for scope in access.scopes]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_each_is_told_of_in_words_under_a_name_of_its_own(document):
    found = operations(document).values()

    assert all(operation["description"] for operation in found)
    assert len({operation["operationId"] for operation in found}) == len(found)


def test_a_refusal_has_the_shape_that_we_answer(document):
    for (path, _), operation in operations(document).items():
        content = operation["responses"]["4XX"]["content"]["application/json"]
        name = "OpenaiError" if path.startswith("/v1/") else "Error"

        assert content["schema"]["$ref"] == f"#/components/schemas/{name}"
        assert "422" not in operation["responses"]


def test_what_it_refers_to_is_there(document):
    names = set(references(document["paths"]))

    assert names <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_what_answers_before_it_is_done_says_so(document):
    for kind in ("wake", "sleep"):
        assert "202" in operations(document)[f"/api/{kind}", "POST"]["responses"]


def test_it_says_which_paths_are_taken(document):
    path = document["components"]["schemas"]["ImportBody"]["properties"]["path"]

    assert (path["pattern"], path["maxLength"]) == ("^/", 4096)
