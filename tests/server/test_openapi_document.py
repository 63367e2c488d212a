"""The OpenAPI document: whole, only for who may read, and as it is answered."""

import json
import shutil
from collections import defaultdict
from http.client import HTTPConnection

import pytest

from sleepcycle import __version__
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.home import Home
from sleepcycle.home.scoped_tokens import TokenScope, new_token
from sleepcycle.server import server
from sleepcycle.server.access import table_of
from sleepcycle.server.routes import create_app
from sleepcycle.settings.config import ServeSettings, Settings
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


DEAR = {
    ("/api/doctor", "GET"): "starts a process that loads torch",
    ("/api/evaluate", "POST"): "starts one too",
}
"""Operations that are not asked here, and why."""

LARGE = {
    ("/v1/chat/completions", "POST"): "tests/server/test_openai.py",
    ("/v1/completions", "POST"): "tests/server/test_openai.py",
}
"""Operations that are asked here for nothing that loads a base."""

NAMES = {"{run}": "1", "{batch}": "1", "{job}": "1", "{id}": "1", "{alias}": "own"}
NAMES |= {"{name}": "v0", "{first}": "v0", "{second}": "none"}
FORM = (
    "--x\r\nContent-Disposition: form-data; name=purpose\r\n\r\nfine-tune\r\n"
    "--x\r\nContent-Disposition: form-data; name=file; filename=a.jsonl\r\n\r\n"
    '{"text": "a"}\n\r\n--x--\r\n'
)
BODIES = {
    "/api/feed": ("application/x-ndjson", '{"text": "a"}\n'),
    "/api/tokens": ("application/json", '{"scope": "read"}'),
    "/api/versions/{name}/alias": ("application/json", '{"alias": "own"}'),
    "/v1/files": ("multipart/form-data; boundary=x", FORM),
}
"""What is sent so that it is taken; an empty object elsewhere."""

LONG_S = 60  # a process starts for what shows examples
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(scope="module")
def walk(document, made_once, tmp_path_factory):
    """What each operation answered: status, type, and JSON where it is."""
    root = tmp_path_factory.mktemp("walked") / "home"
    shutil.copytree(made_once, root)
    scheduler, paths = FakeConductor(), HomePaths(root)
    scheduler.cancel_tuning = Home(paths, Settings(), "me").tuning.cancel
    running = server.start(scheduler, TOKEN, paths, ServeSettings())
    found = defaultdict(list)
    # What makes comes before what looks, and that before what deletes.
    order = {"POST": 0, "GET": 1, "DELETE": 2}
    names = {"file": "none"}
    for path, method in sorted(operations(document), key=lambda it: order[it[1]]):
        if (path, method) in DEAR:
            continue
        for accept in ("*/*", OPENMETRICS)[: 1 + (path == "/metrics")]:
            told = request(running, method, place_of(path, names), path, accept)
            found[path, method].append(told)
        if (path, method) == ("/v1/files", "POST"):
            names["file"] = told[2]["id"]
    yield found
    running.stop()


class TestWalk:
    """Every operation is asked, and answers what the document says."""

    def test_every_answer_is_of_a_status_and_type_of_the_document(self, document, walk):
        for (path, method), answers in walk.items():
            documented = operations(document)[path, method]["responses"]
            for status, kind, _ in answers:
                said = documented.get(str(status)) or documented[f"{status // 100}XX"]

                assert kind in said["content"], (method, path, status)
                assert status != 500

    def test_each_json_has_the_shape_of_the_document(self, document, walk):
        for (path, method), answers in walk.items():
            documented = operations(document)[path, method]["responses"]
            for status, kind, told in answers:
                said = documented.get(str(status)) or documented[f"{status // 100}XX"]

                if kind == "application/json":
                    expect(told, said["content"][kind]["schema"], document, path)

    def test_what_is_no_json_was_answered_in_each_of_its_types(self, document, walk):
        for operation, content in operations(document).items():
            types = content["responses"].get("200", {}).get("content", {}).keys()
            if types - {"application/json"} and operation not in LARGE:
                answered = {
                    kind for status, kind, _ in walk[operation] if status == 200
                }

                assert answered == types, operation

    def test_most_were_answered_and_not_refused(self, walk):
        """
        Else the walk would compare errors alone.
        """
        done = [path for path, answers in walk.items() if answers[0][0] < 300]

        assert len(done) > len(walk) / 2, sorted(set(walk) - set(done))


def place_of(path, names):
    """Return an address of a route."""
    if path.startswith("/v1/files/"):
        return path.replace("{name}", names["file"])
    for name, value in NAMES.items():
        path = path.replace(name, value)
    return (
        path.replace("{name}", "v0").replace("{first}", "v0").replace("{second}", "x")
    )


def request(running, method, place, path, accept):
    """Send one request; return status, type and JSON, and read no stream."""
    kind, body = BODIES.get(path, ("application/json", "{}"))
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept}
    if method == "POST":
        headers["Content-Type"] = kind
    connection = HTTPConnection("127.0.0.1", running.port, timeout=LONG_S)
    try:
        connection.request(method, place, body if method == "POST" else None, headers)
        answer = connection.getresponse()
        found = answer.headers.get_content_type()
        told = json.loads(answer.read()) if found == "application/json" else None
        return answer.status, found, told
    finally:
        connection.close()


def expect(told, schema, document, path):
    """Hold JSON to what of a schema is used here."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        schema = document["components"]["schemas"][name]
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    types = schema["type"]
    allowed = tuple(
        kinds[one] for one in ([types] if isinstance(types, str) else types)
    )
    assert isinstance(told, allowed), (path, told, schema)
    for name in schema.get("required", ()):
        assert name in told, (path, name)
    for name, inner in schema.get("properties", {}).items():
        if name in told:
            expect(told[name], inner, document, path)
    for item in told if "items" in schema else ():
        expect(item, schema["items"], document, path)
