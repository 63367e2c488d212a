"""What a route declares: its scope, methods and the size of a body, and its errors."""

import asyncio
import json
import socket

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sleepcycle.errors import ConfigError, SleepcycleError, VersionError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.scoped_tokens import KnownTokens, TokenScope, new_token
from sleepcycle.server import connections
from sleepcycle.server.access import needs, open_to_all, table_of
from sleepcycle.server.auth import AuthMiddleware
from sleepcycle.server.connections import Wait
from sleepcycle.server.rate_limit import RateLimit
from sleepcycle.server.responses import (
    answer,
    foreseen,
    no_route,
    unforeseen,
    unreadable,
)
from sleepcycle.server.routes import guard
from sleepcycle.server.server import serve_app
from sleepcycle.settings.config import ServeSettings
from tests.server.conftest import PATIENCE_S, TOKEN, ask, ask_for_headers

TALK = needs(TokenScope.TALK, max_body_bytes=1000, chunked=True)
MUCH = 3_000_000


class Question(BaseModel):
    """What the routes below take."""

    n: int


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return HomePaths(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def served(paths):
    """An app whose routes declare what ours may."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(SleepcycleError, foreseen)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(Exception, unforeseen)
    _routes(app)
    settings = ServeSettings(requests_per_minute=100)
    guard(app, KnownTokens(paths, TOKEN), settings)
    running = serve_app(app, settings)
    yield running
    running.stop()


def _routes(app):
    @app.post("/v1/chat")
    @TALK
    async def chat(request: Request) -> Response:
        return answer({"bytes": len(await request.body())})

    @app.post("/v1/question")
    @TALK
    def question(body: Question) -> Response:
        return answer({"n": body.n})

    @app.delete("/v1/chat/{name}")
    @needs(TokenScope.FEED, TokenScope.TALK)
    def delete(name: str) -> Response:
        raise VersionError(f"no version {name}")

    @app.get("/v1/broken")
    @needs(TokenScope.READ)
    def broken() -> Response:
        raise RuntimeError("secret")

    @app.post("/api/feed")
    @needs(TokenScope.FEED, max_body_bytes=None, chunked=True)
    async def feed(request: Request) -> Response:
        return answer({"bytes": sum([len(part) async for part in request.stream()])})


def chunks(*sizes):
    """Return a body in chunks of some sizes."""
    parts = [f"{size:x}\r\n".encode() + b"x" * size + b"\r\n" for size in sizes]
    return b"".join(parts) + b"0\r\n\r\n"


def send_chunks(served, path, *sizes):
    """Send a body in chunks, and return status and JSON."""
    headers = {"Transfer_Encoding": "chunked", "Content_Type": "application/json"}
    return ask(served, "POST", path, body=chunks(*sizes), **headers)


class TestDeclaring:
    def test_a_route_without_a_scope_is_not_served(self, paths):
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.get("/api/new")(lambda: None)

        with pytest.raises(ConfigError, match="route GET /api/new to declare its scop"):
            guard(app, KnownTokens(paths, TOKEN), ServeSettings())

    def test_a_router_could_hide_routes(self):
        app, router = FastAPI(openapi_url=None, docs_url=None), APIRouter()
        router.get("/api/new")(lambda: None)
        app.include_router(router)

        with pytest.raises(ConfigError, match=r"routes of the app itself, got"):
            table_of(app.routes)

    def test_what_the_framework_adds_is_none_of_ours(self):
        with pytest.raises(ConfigError, match="routes of the app itself, got Route"):
            table_of(FastAPI().routes)

    def test_no_scope_is_not_all_of_them(self):
        with pytest.raises(ConfigError, match="expected a scope, got none"):
            needs()

    def test_a_route_that_comes_later_is_not_served(self, paths):
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        guard(app, KnownTokens(paths, TOKEN), ServeSettings())
        app.get("/api/late")(open_to_all(lambda: answer({})))
        running = serve_app(app, ServeSettings())
        try:
            assert ask(running, "GET", "/api/late", token=None)[0] == 401
            assert ask(running, "GET", "/api/late")[0] == 404
        finally:
            running.stop()


@pytest.mark.parametrize(
    ("kind", "passed"), [("lifespan", ["lifespan"]), ("websocket", []), ("other", [])]
)
def test_what_is_no_request_is_dropped_but_for_the_servers_own_start(
    paths, kind, passed
):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    known = KnownTokens(paths, TOKEN)
    middleware = AuthMiddleware(app, table_of([]), known, RateLimit(0))
    asyncio.run(middleware({"type": kind}, None, None))

    assert seen == passed


class TestScope:
    @pytest.mark.parametrize(
        ("scope", "status"), [("feed", 404), ("talk", 404), ("read", 403)]
    )
    def test_one_of_several_is_enough(self, served, paths, scope, status):
        token, _ = new_token(paths, (TokenScope(scope),))

        assert ask(served, "DELETE", "/v1/chat/x", token=token)[0] == status


class TestBody:
    @pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
    def test_its_bound_is_the_routes(self, served, size, status):
        assert ask(served, "POST", "/v1/chat", body=b"x" * size)[0] == status

    @pytest.mark.parametrize(
        ("sizes", "status"), [((600, 400), 200), ((600, 401), 413), ((5000,), 413)]
    )
    def test_a_body_in_chunks_has_the_same(self, served, sizes, status):
        assert send_chunks(served, "/v1/chat", *sizes)[0] == status

    def test_one_that_is_parsed_is_cut_off_too(self, served):
        status, told = send_chunks(served, "/v1/question", 600, 600)

        assert (status, told["error"]["code"]) == (413, "request_too_large")

    def test_chunks_are_refused_where_no_route_says_so(self, served):
        headers = {"Transfer_Encoding": "chunked"}

        status, _ = ask(served, "DELETE", "/v1/chat/x", body=chunks(3), **headers)

        assert status == 411

    def test_a_route_may_stream_any_size(self, served):
        assert ask(served, "POST", "/api/feed", body=b"x" * MUCH)[1] == {"bytes": MUCH}
        found = send_chunks(served, "/api/feed", *[50_000] * 60)
        assert found == (200, {"bytes": MUCH})

    def test_one_that_never_ends_is_let_go(self, served, monkeypatch):
        monkeypatch.setitem(connections.LIMIT_S, Wait.BODY, 0.3)
        head = (
            f"POST /v1/chat HTTP/1.1\r\nHost: localhost:{served.port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE_S) as line:
            line.sendall(head.encode() + b"5\r\nhello\r\n")

            assert line.recv(65536).startswith(b"HTTP/1.1 408 ")
            assert line.recv(65536) == b""

    def test_none_is_read_of_who_is_refused(self, served):
        """
        The answer comes though only the head was sent.
        """
        head = (
            f"POST /api/feed HTTP/1.1\r\nHost: localhost:{served.port}\r\n"
            "Content-Length: 1000000000\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE_S) as line:
            line.sendall(head.encode())

            assert line.recv(65536).startswith(b"HTTP/1.1 401 ")


class TestRate:
    def test_one_token_too_often_waits(self, served, paths):
        """
        Others are let in meanwhile.
        """
        token, _ = new_token(paths, (TokenScope.READ,))
        other, _ = new_token(paths, (TokenScope.READ,))
        for _ in range(150):
            status, headers = ask_for_headers(served, "GET", "/v1/no", token=token)
            if status == 429:
                break

        assert status == 429
        assert 1 <= int(headers["Retry-After"]) <= 60
        assert ask(served, "GET", "/v1/no", token=other)[0] == 404

    def test_the_homes_own_is_not_counted(self, served):
        """
        Local commands wait with it, and ask often.
        """
        found = {ask(served, "GET", "/v1/no")[0] for _ in range(150)}

        assert found == {404}


class TestOpenaiErrors:
    """Below /v1 errors are what OpenAI's clients can read."""

    @pytest.mark.parametrize(
        ("asked", "more", "told"),
        [
            ("GET /v1/no", {}, (404, "unknown_url")),
            ("PUT /v1/chat", {}, (405, "unknown_url")),
            ("DELETE /v1/chat/x", {}, (404, "model_not_found")),
            ("POST /v1/chat", {"token": "wrong"}, (401, "invalid_api_key")),
            ("POST /v1/chat", {"body": b"x" * 2000}, (413, "request_too_large")),
            ("POST /v1/chat", {"Host": "evil"}, (403, None)),
        ],
    )
    def test_each_has_its_code(self, served, asked, more, told):
        status, answer = ask(served, *asked.split(), **more)

        assert set(answer) == {"error"}
        error = answer["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
        assert (status, error["code"]) == told
        assert error["message"]

    def test_one_of_ours_is_the_servers(self, served):
        status, answer = ask(served, "GET", "/v1/broken")

        assert (status, answer["error"]["type"]) == (500, "server_error")
        assert "secret" not in json.dumps(answer)

    def test_one_of_scope_has_its_code(self, served, paths):
        token, _ = new_token(paths, (TokenScope.READ,))

        status, told = ask(served, "POST", "/v1/chat", token=token)

        assert (status, told["error"]["code"]) == (403, "insufficient_scope")

    @pytest.mark.parametrize(
        ("body", "param"),
        [({"n": "many"}, "n"), (b"{", None), (b"\xff", None), (b"[" * 900, None)],
    )
    def test_a_body_that_is_wrong_is_400(self, served, body, param):
        """
        As their clients expect; ours are told 422, as before.
        """
        status, told = ask(served, "POST", "/v1/question", body=body)

        assert (status, told["error"]["code"]) == (400, "invalid_value")
        assert param is None or told["error"]["param"] == param
