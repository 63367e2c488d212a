"""The OpenAPI document: every route, who may call it, and how it is refused."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from sleepcycle import __version__
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import Access, table_of
from sleepcycle.server.openapi_answers import (
    ERROR,
    JSON,
    OPTIONAL,
    SHAPES,
    TEXT,
    answered_by,
    content_of,
    keyed,
    named,
)
from sleepcycle.server.responses import OPENAI

TITLE = "sleepcycle"
SAID = "The control of a running service that lets a language model keep learning."
SCHEME = "token"
UNUSED = ("HTTPValidationError", "ValidationError")
"""What FastAPI answers by itself to a body that is wrong; we do not."""

OURS, THEIRS = "Error", ERROR
ERRORS = {
    OURS: keyed({"error": TEXT, "message": TEXT}),
    THEIRS: keyed(
        {
            "error": keyed(
                {"message": TEXT, "type": TEXT, "param": OPTIONAL, "code": OPTIONAL}
            )
        }
    ),
}


def document_of(app: FastAPI) -> dict[str, Any]:
    """Return the document of an app whose routes declare what they ask for."""
    routes = app.routes
    document = get_openapi(
        title=TITLE, version=__version__, description=SAID, routes=routes
    )
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in UNUSED:
        schemas.pop(name, None)
    schemas.update(ERRORS | SHAPES)
    scopes = ", ".join(TokenScope)
    parts["securitySchemes"] = {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": f"Made by `sleepcycle token new`, with scopes of {scopes}.",
        }
    }
    for route, access in table_of(routes).routes:
        if not route.include_in_schema:
            continue  # a page, which is for people
        operations = document["paths"][route.path_format]
        for method in route.methods or ():
            _complete(operations[method.lower()], method, route, access)
    return document


def _complete(
    operation: dict[str, Any], method: str, route: APIRoute, access: Access
) -> None:
    """Add to a route of the document what FastAPI cannot know."""
    # OpenAPI has one of several as alternatives, and names of roles for a scheme.
    operation["security"] = [{SCHEME: [str(scope)]} for scope in access.scopes]
    name = THEIRS if route.path.startswith(OPENAI) else OURS
    error = content_of({JSON: named(name)})
    responses = operation["responses"]
    responses.pop("422", None)
    whole = responses[str(route.status_code or 200)]
    whole["content"] = content_of(answered_by(method, route.path))
    responses["4XX"] = {"description": "It is refused.", "content": error}
    responses["5XX"] = {"description": "It failed; see the log.", "content": error}
