"""The OpenAPI document: every route, who may call it, and how it is refused."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sleepcycle import __version__
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import Access, table_of
from sleepcycle.server.responses import OPENAI

TITLE = "sleepcycle"
SAID = "The control of a running service that lets a language model keep learning."
SCHEME = "token"
TEXT = {"type": "string"}
OPTIONAL = {"type": ["string", "null"]}
UNUSED = ("HTTPValidationError", "ValidationError")
"""What FastAPI answers by itself to a body that is wrong; we do not."""

OURS, THEIRS = "Error", "OpenaiError"
ERRORS = {
    OURS: {
        "type": "object",
        "required": ["error", "message"],
        "properties": {"error": TEXT, "message": TEXT},
    },
    THEIRS: {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": TEXT,
                    "type": TEXT,
                    "param": OPTIONAL,
                    "code": OPTIONAL,
                },
            }
        },
    },
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
    schemas.update(ERRORS)
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
            _complete(operations[method.lower()], route.path, access)
    return document


def _complete(operation: dict[str, Any], path: str, access: Access) -> None:
    """Add to a route of the document what FastAPI cannot know."""
    # OpenAPI has one of several as alternatives, and names of roles for a scheme.
    operation["security"] = [{SCHEME: [str(scope)]} for scope in access.scopes]
    name = THEIRS if path.startswith(OPENAI) else OURS
    schema = {"$ref": f"#/components/schemas/{name}"}
    content = {"application/json": {"schema": schema}}
    responses = operation["responses"]
    responses.pop("422", None)
    responses["4XX"] = {"description": "It is refused.", "content": content}
    responses["5XX"] = {"description": "It failed; see the log.", "content": content}
