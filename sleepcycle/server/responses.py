"""Responses: records as JSON, errors by name and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from loguru import logger
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sleepcycle.errors import (
    AdapterError,
    BusyError,
    CaptureError,
    ConfigError,
    DiskError,
    FeedError,
    NotFoundError,
    QuotaError,
    SleepcycleError,
    VersionError,
)
from sleepcycle.files import disk
from sleepcycle.records.codec import dumps

NOT_FOUND = (NotFoundError, VersionError)
WRONG = (AdapterError, CaptureError, ConfigError, FeedError)
SHOWN = 80  # characters of a key that somebody made up
OPENAI = "/v1/"
"""Below it errors have OpenAI's shape, elsewhere ours."""

CODES = {
    "Unauthorized": "invalid_api_key",
    "MissingScope": "insufficient_scope",
    "TooManyRequests": "rate_limit_exceeded",
    "NoRoute": "unknown_url",
    "TooLarge": "request_too_large",
    "VersionError": "model_not_found",
    "BadRequest": "invalid_value",
}
"""OpenAI's code for an error of ours; any other has none."""

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    error: str
    """Its name; OpenAI's clients get the code that it has there."""

    message: str
    param: str | None = None
    """What in the body is wrong, for OpenAI's clients."""

    headers: Headers = field(default_factory=dict)


def answer(body: Mapping[str, Any] | Sequence[Any], status: int = 200) -> Response:
    """Return JSON as `sleepcycle` prints it; records in it by their fields."""
    # What no text can hold, as a path may have it, is escaped as JSON does.
    text = dumps(body).encode(errors="backslashreplace")
    return Response(text, status, media_type="application/json")


def page_of(rows: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """Return rows as OpenAI pages them; one more than the limit says there are more."""
    shown = rows[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(rows) > limit,
    }


def error_body(error: BaseException) -> dict[str, str]:
    """Return an error of ours as JSON; of any other only that there was one."""
    if isinstance(error, SleepcycleError):
        return {"error": type(error).__name__, "message": str(error)}
    return {
        "error": "ServiceError",
        "message": f"the service met an error that nobody foresaw, "
        f"{type(error).__name__}; see its log",
    }


def openai_error(
    status: int,
    message: str,
    *,
    type: str,
    code: str | None = None,
    param: str | None = None,
) -> Response:
    """Return an error in the shape that OpenAI's clients know.

    Args:
        status: The HTTP status.
        message: What was expected, what came, what to do.
        type: Such as `invalid_request_error`, or `server_error` where it is ours.
        code: What a program goes by, such as `model_not_found`.
        param: The key of the body that is wrong.
    """
    body = {"message": message, "type": type, "param": param, "code": code}
    return answer({"error": body}, status)


def refused(path: str, refusal: Refusal) -> Response:
    """Answer a refusal in the shape of errors that a path has."""
    if path.startswith(OPENAI):
        response = openai_error(
            refusal.status,
            refusal.message,
            type=_openai_type(refusal.status),
            code=CODES.get(refusal.error),
            param=refusal.param,
        )
    else:
        body = {"error": refusal.error, "message": refusal.message}
        response = answer(body, refusal.status)
    response.headers.update(refusal.headers)
    return response


def _openai_type(status: int) -> str:
    """Return what OpenAI's clients call an error of some status."""
    if status >= 500:
        return "server_error"
    return "requests" if status == 429 else "invalid_request_error"


def too_large(most: float, found: str) -> str:
    """Return the words for a body that is too large."""
    return f"expected a body of up to {most} bytes, got {found}"


def _refused_error(request: Request, status: int, error: BaseException) -> Response:
    """Answer for an error, by its name and in its words."""
    told = error_body(error)
    return refused(request.url.path, Refusal(status, told["error"], told["message"]))


def foreseen(request: Request, error: Exception) -> Response:
    """Answer for one of our errors."""
    if isinstance(error, BusyError):
        response = _refused_error(request, 503, error)
        response.headers["Retry-After"] = str(error.retry_s)
        return response
    return _refused_error(request, _status_of(error), error)


def _status_of(error: Exception) -> int:
    """Return the status for one of our errors, but of what is busy."""
    if isinstance(error, DiskError) and disk.is_full(error):
        return 507
    if isinstance(error, QuotaError):
        return 413
    if isinstance(error, NOT_FOUND):
        return 404
    return 422 if isinstance(error, WRONG) else 409


def unreadable(request: Request, error: Exception) -> Response:
    """Answer a body or a path that is not what the route takes."""
    # In pydantic's own words, which programs may know by now; files have sentences.
    found = error.errors() if isinstance(error, RequestValidationError) else []
    places = [".".join(str(part)[:SHOWN] for part in fault["loc"]) for fault in found]
    words = "; ".join(
        f"{place}: {fault['msg']}" for place, fault in zip(places, found, strict=True)
    )
    param = places[0].removeprefix("body.") if places else None
    return _bad_request(request, words, param)


def no_route(request: Request, error: Exception) -> Response:
    """Answer where there is no such route, or a body that cannot be read.

    A body that FastAPI could not read comes as the same error: its route is there.
    """
    status = error.status_code if isinstance(error, HTTPException) else 404
    if isinstance(error, HTTPException) and status == 413:
        return refused(request.url.path, Refusal(413, "TooLarge", error.detail))
    if status == 400:
        words = f"expected JSON, got a body {_fault_of(error.__cause__)}"
        return _bad_request(request, words)
    words = f"no route {request.method} {request.url.path}"
    return refused(request.url.path, Refusal(status, "NoRoute", words))


def _bad_request(request: Request, words: str, param: str | None = None) -> Response:
    """Answer a body that is wrong; OpenAI has another status for it."""
    path = request.url.path
    status = 400 if path.startswith(OPENAI) else 422
    return refused(path, Refusal(status, "BadRequest", words, param))


def _fault_of(error: BaseException | None) -> str:
    """Return what is wrong with a body that is not even broken JSON."""
    if isinstance(error, RecursionError):
        return "that nests too deep"
    if isinstance(error, UnicodeDecodeError):
        return "that is not in UTF-8"
    if isinstance(error, ValueError):
        return "with a number of too many digits"
    return "that did not come whole, or cannot be read"


def unforeseen(request: Request, error: Exception) -> Response:
    """Answer for an error that nobody foresaw; what it was stands in the log alone."""
    logger.opt(exception=error).error(
        "{method} {path} failed", method=request.method, path=request.url.path
    )
    return _refused_error(request, 500, error)
