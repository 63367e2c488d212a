"""The pages of JSON and HTTP, from the golden files and the routes."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from sleepcycle.cli import app
from sleepcycle.files.paths import HomePaths
from tests.contract.shapes import several
from tools.reference.commands import commands
from tools.reference.twins import twins_table

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "contract" / "golden"
GUARDS = {400, 401, 403, 411, 413}  # what no route answers
TABLE = ["| key | type |", "|---|---|"]
JSON_HEAD = """\
# JSON

What each command prints with `--json`, from the golden files in `tests/contract/golden`.
`a.b` is the key `b` in the object `a`, `a[]` an element of the list `a`, `(all)` the whole.
A key that ends in `?` is not always there. `NUMBER`, `VERSION` and `LAYER` stand for keys that name one.
A `time` is ISO 8601 with its zone. A list that was empty says `list`. Only what was seen in the golden life is listed: a key that was null in all of it says `null`, and may hold something else where there is something to tell, such as `banner`, a text, and `phase` of a curriculum.
The reports of wakes and nights, and what `versions show` prints, are records whose every key is in [files of a home](home.md#records).
"""
HTTP_HEAD = """\
# HTTP

The control of a running service, on the loopback interface alone.
Address and token are in `daemon.json` and `token` of the home; who may ask is told in [the service](../explanation/service.md#reaching-it).
All but `/livez` and `/readyz` need `Authorization: Bearer TOKEN`, with a scope that the route names, or `admin`. A body is JSON of at most 1 MB unless the route says else; an unknown key is refused.
A foreseen error answers `{error, message}`, and below `/v1/` OpenAI's `{error: {message, type, param, code}}`. How it is used with `curl` is in [talk over HTTP](../how-to/talk-over-http.md).
Only what was seen in the golden life is listed: a key that was null in all of it says `null`, and may hold something else.
"""
STATUS = "/api/status"
"""Its answer is what `status --json` prints of a home that is served."""

SAME = """\
Answers 200 with the keys of [`sleepcycle status --json`](json.md#status), and with `service`:
"""


def json_page() -> str:
    """Return the keys of each command's JSON, by command."""
    known = {command.name for command in commands(app)}
    found: dict[str, list[Any]] = defaultdict(list)
    for name, shape in _golden("json").items():
        found[_command_of(name, known)].append(shape)
    parts = [JSON_HEAD]
    for command in sorted(found):
        rows = keys(several(found[command]))
        parts += [f"## `{command}`", "", *TABLE, *rows, ""]
    return "\n".join(parts).rstrip() + "\n"


def _command_of(name: str, known: set[str]) -> str:
    """Return the command of a golden answer, with the options that change its form."""
    words = name.partition(",")[0].split()
    most = max(n for n in range(len(words) + 1) if " ".join(words[:n]) in known)
    options = [word for word in words[most:] if word in {"--dreams", "--dry-run"}]
    return " ".join([*words[:most], *options])


def keys(shape: Any, path: str = "") -> list[str]:  # noqa: ANN401
    """Return a row for each key below a shape."""
    return [f"| `{at or '(all)'}` | {kind} |" for at, kind in leaves(shape, path)]


def leaves(shape: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    """Yield the place and the type of whatever holds no keys."""
    if isinstance(shape, dict) and shape:
        for key, inner in shape.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(shape, list) and shape:
        yield from leaves(shape[0], f"{path}[]")
    else:
        names = {"[]": "list", "{}": "object"}
        told = str(shape)
        yield path, names.get(told, told).replace("|", "or")


def http_page() -> str:
    """Return each route: what it does, what it takes, and what it answers."""
    from sleepcycle.server.routes import create_app

    routes = create_app(None, "", HomePaths(ROOT))  # type: ignore[arg-type]
    golden, parts = _golden("http"), [HTTP_HEAD, *twins_table()]
    for route in _routes(routes):
        method = next(iter(route.methods or ()))
        said = (route.endpoint.__doc__ or "").splitlines()[0]
        parts += [f"## `{method} {route.path}`", "", said, ""]
        parts += [_needed(route), ""]
        parts += _query(route)
        parts += _body(route)
        parts += _answers(method, route.path, golden)
    return "\n".join(parts).rstrip() + "\n"


def _needed(route: APIRoute) -> str:
    """Return what a route asks of who calls it."""
    from sleepcycle.server.access import MARK, MAX_BODY, Access

    access: Access = getattr(route.endpoint, MARK)
    scopes = " or ".join(f"`{scope}`" for scope in access.scopes)
    words = [f"Needs a token with {scopes}." if scopes else "Needs no token."]
    if access.max_body_bytes is None:
        words.append("Takes a body of any size.")
    elif access.max_body_bytes != MAX_BODY:
        words.append(f"Takes a body of up to {access.max_body_bytes:,} bytes.")
    if access.chunked:
        words.append("It may come in chunks.")
    return " ".join(words)


def _routes(served: FastAPI) -> list[APIRoute]:
    """Return what the control answers."""
    return [route for route in served.routes if isinstance(route, APIRoute)]


def _body(route: APIRoute) -> list[str]:
    """Return the keys of a request's body, where it has one."""
    if route.body_field is None:
        return []
    model: Any = route.body_field.field_info.annotation
    rows = [
        f"| `{name}` | {getattr(field.annotation, '__name__', field.annotation)} | "
        f"{_default(field)} |"
        for name, field in model.model_fields.items()
    ]
    return ["| body | type | default |", "|---|---|---|", *rows, ""]


def _default(field: Any) -> str:  # noqa: ANN401 - a field of pydantic's
    """Return what a key is where it is not given, or that it is needed."""
    if field.is_required():
        return "needed"
    return f"`{json.dumps(field.get_default(call_default_factory=True))}`"


def _query(route: APIRoute) -> list[str]:
    """Return what may stand behind the `?` of a route's address."""
    rows = [
        f"| `{one.name}` | {_default(one.field_info)} |"
        for one in route.dependant.query_params
    ]
    return ["| query | default |", "|---|---|", *rows, ""] if rows else []


def _answers(method: str, path: str, golden: dict[str, Any]) -> list[str]:
    """Return the keys of each answer that is none of the guard's."""
    form = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + r"( |$)")
    found: dict[int, list[Any]] = defaultdict(list)
    for name, answer in golden.items():
        asked, _, place = name.partition(" ")
        fits = asked == method and form.match(place)
        if fits and answer["status"] not in GUARDS:
            found[answer["status"]].append(answer["body"])
    parts = []
    for status, bodies in sorted(found.items()):
        if status >= 400:
            errors = sorted({_error(body) for body in bodies})
            parts += [f"Answers {status}: {', '.join(f'`{e}`' for e in errors)}.", ""]
        else:
            shape, said = several(bodies), f"Answers {status}:\n"
            if path == STATUS:
                shape, said = {"service": shape["service"]}, SAME
            parts += [said, *TABLE, *keys(shape), ""]
    return parts


def _error(body: dict[str, Any]) -> str:
    """Return what an error is known by; OpenAI's has a type in place of a name."""
    error: Any = body["error"]
    return str(error["code"] or error["type"] if isinstance(error, dict) else error)


def _golden(name: str) -> dict[str, Any]:
    """Return one golden file."""
    text = (GOLDEN / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
