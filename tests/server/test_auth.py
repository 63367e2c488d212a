"""Who may ask: no route answers who does not know the token, or is sent by a page."""

from pathlib import Path

import pytest

from sleepcycle.files.paths import HomePaths
from sleepcycle.home.scoped_tokens import KnownTokens, TokenScope, new_token
from sleepcycle.server import server
from sleepcycle.server.access import MARK, MAX_BODY
from sleepcycle.server.routes import create_app
from sleepcycle.settings.config import ServeSettings
from tests.forked import forked_workers
from tests.server.conftest import TOKEN, FakeConductor, ask, ask_for_headers

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "NOPE")
UNSERVED = (
    "/",
    "/docs",
    "/redoc",
    "/api",
    "/v1/nothing",
    "/livez/",
    "//livez",
)
SOME = ("GET", "/api/status")
ROUTES = {
    (route.path, method): route
    for route in create_app(None, "", HomePaths(Path("/home"))).routes
    for method in route.methods
}
PATHS = list(dict.fromkeys(path for path, _ in ROUTES))
OPEN = {"/livez", "/readyz"}


@pytest.fixture(scope="module")
def guarded(made_once):
    """One server for all tests: whatever is asked, nothing happens."""
    scheduler = FakeConductor()
    settings = ServeSettings(hosts=["model.example", "[fd00::1]"])
    running = server.start(scheduler, TOKEN, HomePaths(made_once), settings)
    with forked_workers():
        yield running, scheduler
    running.stop()


@pytest.fixture(scope="module")
def tokens(made_once):
    """A token of each scope."""
    paths = HomePaths(made_once)
    yield {scope: new_token(paths, (scope,))[0] for scope in TokenScope}
    paths.tokens.unlink()


@pytest.fixture
def scheduler(guarded):
    guarded[1].asked.clear()
    return guarded[1]


@pytest.fixture
def served(guarded):
    return guarded[0]


def place(path):
    """Return a path with something in place of its parameters."""
    path = path.replace("{run}", "1").replace("{job}", "1")
    return f"{path}?after=x" if path == "/api/events" else path  # else it never ends


def access_of(path, method):
    """Return what a route asks for."""
    return getattr(ROUTES[path, method].endpoint, MARK)


def route_of(path, method):
    """Return the route of a path, or of one whose parameter it may be; or None."""
    own = ROUTES.get((path, method))
    others = (
        route
        for (_, its), route in ROUTES.items()
        if its == method and route.path_regex.match(place(path).partition("?")[0])
    )
    return own or next(others, None)


def is_open(path, method):
    """Tell whether all may call a route; others cannot tell if it is there."""
    return path in OPEN and (path, method) in ROUTES


def test_routes_are_found():
    """
    Else the tests below would hold nothing.
    """
    assert len(ROUTES) >= 13
    assert {
        path for path, method in ROUTES if not access_of(path, method).scopes
    } == OPEN


@pytest.mark.parametrize("path", [*PATHS, *UNSERVED])
class TestToken:
    """Each path by each method, those included that it has not."""

    def test_none_opens_no_route(self, served, scheduler, path):
        """
        Nothing is told, not even which paths there are.
        """
        for method in METHODS:
            status, _ = ask(served, method, place(path), token=None)

            assert status in ({200, 503} if is_open(path, method) else {401}), method
        assert scheduler.asked == []

    def test_a_wrong_one_opens_no_route(self, served, scheduler, path):
        for method in METHODS:
            status, _ = ask(served, method, place(path), token=f"{TOKEN}x")

            assert status in ({200, 503} if is_open(path, method) else {401}), method
        assert scheduler.asked == []

    @pytest.mark.parametrize("scope", TokenScope)
    def test_one_of_a_scope_opens_its_routes_alone(
        self, served, scheduler, tokens, path, scope
    ):
        """
        What is not there it is told as the owner is.
        """
        for method in METHODS:
            scheduler.asked.clear()
            status, _ = ask(served, method, place(path), token=tokens[scope])

            route = route_of(path, method)
            if route is None:
                assert status == (405 if path in PATHS else 404), method
                continue
            scopes = getattr(route.endpoint, MARK).scopes
            opens = path in OPEN or scope in {TokenScope.ADMIN, *scopes}
            assert (status == 403) is not opens, method
            assert opens or scheduler.asked == [], method

    def test_the_owners_opens_each(self, served, path):
        """
        So the tests above meet routes that are there.
        """
        for method in METHODS:
            status, _ = ask(served, method, place(path))

            there = route_of(path, method) is not None
            assert (status not in {401, 403, 405}) is (there or path not in PATHS)


def test_a_scope_that_lacks_is_named(served, tokens):
    token = tokens[TokenScope.TALK]

    status, answer = ask(served, "POST", "/api/pause", token=token)

    assert (status, answer["error"]) == (403, "MissingScope")
    assert "the scope admin, got one with talk" in answer["message"]
    assert token not in answer["message"]


def test_a_method_that_a_path_lacks_is_answered_with_those_it_has(served):
    status, headers = ask_for_headers(served, "DELETE", "/api/wake")

    assert (status, headers["Allow"]) == (405, "POST")


def test_who_is_unknown_is_told_how_to_show_a_token(served):
    status, headers = ask_for_headers(served, *SOME, token=None)

    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")


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


def test_no_token_at_all_lets_nobody_in(made_once):
    """
    An empty token file must not open the door to an empty token.
    """
    assert KnownTokens(HomePaths(made_once), "").holder_of("") is None


@pytest.mark.parametrize("path", ["/livez", "/api/status"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "model.example.evil.example",
        "evil.example:model.example",
        "model.example:{port}@evil.example",
        "model.example:",
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


@pytest.mark.parametrize(
    "host",
    ["model.example", "Model.Example", "model.example:8443", "[fd00::1]:1"],
)
def test_names_of_the_settings_are_let_in(served, host):
    """
    With any port: it is that of what stands in front.
    """
    assert ask(served, *SOME, Host=host)[0] == 200
    assert ask(served, *SOME, Host=host, Origin=f"https://{host}")[0] == 200
    assert ask(served, *SOME, Host=host, Origin="https://evil.example")[0] == 403


@pytest.mark.parametrize("method", METHODS)
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
