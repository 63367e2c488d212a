"""Errors in OpenAI's shape, under OpenAI's addresses."""

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from sleepcycle.errors import (
    BusyError,
    CaptureError,
    DiskError,
    FeedError,
    ModelError,
    NotFoundError,
    QuotaError,
    SleepcycleError,
    TextBaseError,
    TuningError,
    VersionError,
)
from sleepcycle.files import disk
from sleepcycle.server.responses import answer

PREFIX = "/v1/"
SHOWN = 80  # characters of a key that somebody made up
NO_TEMPLATE = "no_chat_template"
INVALID, SERVER = "invalid_request_error", "server_error"

Handler = Callable[[Request, Exception], Response]


def by_path(ours: Handler, openai: Handler) -> Handler:
    """Return a handler that answers in the shape of the address."""

    def handle(request: Request, error: Exception) -> Response:
        """Answer for an error."""
        is_openai = request.url.path.startswith(PREFIX)
        return (openai if is_openai else ours)(request, error)

    return handle


def openai_foreseen(request: Request, error: Exception) -> Response:
    """Answer for one of our errors."""
    status, body = _described(error)
    response = answer(body, status)
    if isinstance(error, BusyError):
        response.headers["Retry-After"] = str(error.retry_s)
    return response


def openai_unreadable(request: Request, error: Exception) -> Response:
    """Answer a body that is not what the route takes."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    first = faults[0] if faults else {"loc": ("body",), "msg": str(error)}
    place = [str(part)[:SHOWN] for part in first["loc"][1:]]
    param = ".".join(place) or None
    words = f"{param}: {first['msg']}" if param else f"{first['msg']}"
    return answer(_body(words, INVALID, param=param), 400)


def openai_error_body(error: Exception) -> dict[str, Any]:
    """Return an error of ours as OpenAI's clients read it."""
    return _described(error)[1]


def _described(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the status of an error, and its body."""
    words = str(error)
    if isinstance(error, NotFoundError):
        return 404, _body(words, INVALID, "not_found")
    if isinstance(error, VersionError):
        return 404, _body(words, INVALID, "model_not_found", "model")
    if isinstance(error, TuningError):
        return 400, _body(words, INVALID, error.code, error.param)
    if isinstance(error, QuotaError):
        return 413, _body(words, INVALID, "quota_exceeded", "file")
    if isinstance(error, DiskError) and disk.is_full(error):
        return 507, _body(words, SERVER, "insufficient_storage")
    if isinstance(error, CaptureError | FeedError | ModelError):
        code = NO_TEMPLATE if isinstance(error, TextBaseError) else None
        return 400, _body(words, INVALID, code)
    if isinstance(error, SleepcycleError):
        return 503, _body(words, SERVER)
    return 500, _body(
        "the service met an error that nobody foresaw; see its log", SERVER
    )


def _body(
    message: str, type_: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """Return an error's JSON."""
    said = {"message": message, "type": type_, "param": param, "code": code}
    return {"error": said}
