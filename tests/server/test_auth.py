"""Who may ask: no route answers who does not know the token, or is sent by a page."""

import pytest
from starlette.routing import Route

from sleepcycle.files.paths import HomePaths
from sleepcycle.server import server
from sleepcycle.server.auth import MAX_BODY, OPEN, refuse
from sleepcycle.server.routes import create_app
from sleepcycle.settings.config import ServeSettings
from tests.server.conftest import TOKEN, FakeConductor, ask

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NOPE")
UNSERVED = (
    "/",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/metrics",
    "/api",
    "/livez/",
    "//livez",
)
SOME = ("GET", "/api/status")


@pytest.fixture(scope="module")
def guarded(made_once):
    """One server for all tests: whatever is asked, nothing happens."""
    scheduler = FakeConductor()
    running = server.start(scheduler, TOKEN, HomePaths(made_once), ServeSettings())
    yield running, scheduler
    running.stop()


@pytest.fixture
def scheduler(guarded):
    guarded[1].asked.clear()
    return guarded[1]


@pytest.fixture
def served(guarded):
    return guarded[0]


def paths_of(app):
    """Return the path of each route, with something in place of its parameters."""
    found = [route.path for route in app.routes if isinstance(route, Route)]
    assert len(found) == len(app.routes), "a route of a kind that is not enumerated"
    return [path.replace("{run}", "1").replace("{job}", "1") for path in found]


def answers(path, method):
    """Return what may be answered to one who has no token."""
    if path in OPEN and method == "GET":
        return {200, 503}
    return {405} if path in OPEN or method not in {"GET", "POST"} else {401}


def test_no_route_answers_without_the_token(served, scheduler, made_once):
    """
    Every route by every method, and paths that are no route: nothing is told, not
    even which of them exist.
    """
    routes = paths_of(create_app(scheduler, TOKEN, HomePaths(made_once)))
    assert len(routes) >= 13
    for path in [*routes, *UNSERVED]:
        for method in METHODS:
            status, _ = ask(served, method, path, token=None)

            assert status in answers(path, method), (method, path)
    assert scheduler.asked == []


def test_the_token_opens_each_route(served, scheduler, made_once):
    """
    So the test above meets routes that are there.
    """
    for path in paths_of(create_app(scheduler, TOKEN, HomePaths(made_once))):
        statuses = {ask(served, method, path)[0] for method in ("GET", "POST")}

        assert 405 in statuses, path
        assert 401 not in statuses, path


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"bearer {TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer s3cr\xe9t",
        [f"Bearer {TOKEN}", "Bearer other"],
    ],
)
def test_a_wrong_token_is_refused(served, given):
    status, answer = ask(served, *SOME, token=None, Authorization=given)

    assert status == 401
    assert answer["error"] == "Unauthorized"
    assert TOKEN not in answer["message"]


def test_no_token_at_all_lets_nobody_in():
    """
    An empty token file must not open the door to an empty token.
    """
    scope = {
        "method": "GET",
        "path": "/api/status",
        "server": ("127.0.0.1", 80),
        "headers": [(b"host", b"localhost:80"), (b"authorization", b"Bearer ")],
    }

    assert refuse(scope, "").status == 401


@pytest.mark.parametrize("path", ["/livez", "/api/status"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.evil.example:{port}",
        "localhost:{port}@evil.example",
        "0.0.0.0:{port}",
        "",
        [],
        ["127.0.0.1:{port}", "evil.example"],
    ],
)
def test_a_foreign_host_is_refused(served, path, host):
    """
    A name that an attacker moves to 127.0.0.1 stays in the Host, whatever the token.
    """
    hosts = [host] if isinstance(host, str) else host
    status, _ = ask(
        served, "GET", path, Host=[h.format(port=served.port) for h in hosts]
    )

    assert status in ({403} if len(hosts) == 1 else {400, 403})  # 400: of h11 itself


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_loopback_names_are_let_in(served, name):
    assert ask(served, *SOME, Host=f"{name}:{served.port}")[0] == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": ["same-origin", "cross-site"]},
    ],
)
def test_what_another_page_sends_is_refused(served, scheduler, method, header):
    status, _ = ask(served, method, "/api/pause", **header)

    assert status == 403
    assert scheduler.asked == []


def test_what_our_own_page_sends_is_let_in(served):
    origin = f"http://127.0.0.1:{served.port}"

    assert ask(served, *SOME, Origin=origin, Sec_Fetch_Site="same-origin")[0] == 200
    assert ask(served, *SOME, Sec_Fetch_Site="none")[0] == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"Content_Length": str(MAX_BODY + 1)}, 413),
        ({"Content_Length": "9" * 5000}, 413),
        ({"Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_a_large_body_is_refused_before_it_is_read(served, scheduler, header, status):
    found, _ = ask(served, "POST", "/api/rollback", **header)

    assert found in {status, 400}  # 400: h11 itself will not have it
    assert scheduler.asked == []


def test_a_body_is_taken_up_to_the_bound(served, scheduler):
    """
    The size itself is no fault: what is wrong with this one is its name.
    """
    status, answer = ask(
        served, "POST", "/api/rollback", body={"nope": "x" * (MAX_BODY - 20)}
    )

    assert (status, answer["error"]) == (422, "BadRequest")
