"""Responses: records as JSON, errors by name and in words."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from loguru import logger
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sleepcycle.errors import (
    AdapterError,
    ConfigError,
    NotFoundError,
    SleepcycleError,
    VersionError,
)
from sleepcycle.records.codec import dumps

NOT_FOUND = (NotFoundError, VersionError)
WRONG = (AdapterError, ConfigError)
SHOWN = 80  # characters of a key that somebody made up


def answer(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return JSON as `sleepcycle` prints it; records in it by their fields."""
    # What no text can hold, as a path may have it, is escaped as JSON does.
    text = dumps(body).encode(errors="backslashreplace")
    return Response(text, status, media_type="application/json")


def error_body(error: BaseException) -> dict[str, str]:
    """Return an error of ours as JSON; of any other only that there was one."""
    if isinstance(error, SleepcycleError):
        return {"error": type(error).__name__, "message": str(error)}
    return {
        "error": "ServiceError",
        "message": f"the service met an error that nobody foresaw, "
        f"{type(error).__name__}; see its log",
    }


def foreseen(request: Request, error: Exception) -> Response:
    """Answer for one of our errors."""
    status = 404 if isinstance(error, NOT_FOUND) else 409
    return answer(error_body(error), 422 if isinstance(error, WRONG) else status)


def unreadable(request: Request, error: Exception) -> Response:
    """Answer a body or a path that is not what the route takes."""
    # In pydantic's own words, which programs may know by now; files have sentences.
    found = error.errors() if isinstance(error, RequestValidationError) else []
    words = "; ".join(
        f"{'.'.join(str(part)[:SHOWN] for part in fault['loc'])}: {fault['msg']}"
        for fault in found
    )
    return answer({"error": "BadRequest", "message": words}, 422)


def no_route(request: Request, error: Exception) -> Response:
    """Answer where there is no such route, or not with that method.

    A body that FastAPI could not read comes as the same error: its route is there.
    """
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == 400:
        words = f"expected JSON, got a body {_fault_of(error.__cause__)}"
        return answer({"error": "BadRequest", "message": words}, 422)
    words = f"no route {request.method} {request.url.path}"
    return answer({"error": "NoRoute", "message": words}, status)


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
    return answer(error_body(error), 500)
