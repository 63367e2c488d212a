"""The page of settings, from their models."""

import json
import types
import typing
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from sleepcycle.settings.config import Settings
from tools.render_config import kinds_in

HEADER = ["| setting | type | default | what it does |", "|---|---|---|---|"]
HEAD = """\
# Settings

Every setting, with its default. `config.toml` at the top of the repository is the same as a file.
A home has its own `config.toml`; the environment wins over it: `SLEEPCYCLE__WAKE__RANK=8` is `rank` in `[wake]`.
An unknown key is an error that names the nearest one.
"""


def settings_page() -> str:
    """Return a table a section."""
    defaults = Settings()
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        parts += _section(name, getattr(defaults, name), field.annotation)
    return "\n".join(parts).rstrip() + "\n"


def _section(name: str, values: BaseModel, model: Any) -> list[str]:  # noqa: ANN401
    """Return one section, and those inside it after it."""
    rows, inner = [], []
    for key, field in model.model_fields.items():
        value = getattr(values, key)
        if isinstance(value, BaseModel):
            inner += _section(f"{name}.{key}", value, field.annotation)
            continue
        kinds = list(kinds_in(field.annotation))
        for kind in kinds:
            inner += _table(f"{name}.{key}", kind)
        of = "list of tables" if kinds else _kind(field)
        rows.append(_row(key, of, value, field))
    said = (model.__doc__ or "").splitlines()[0]
    return [f"## `[{name}]`", "", said, "", *HEADER, *rows, "", *inner]


def _table(name: str, kind: Any) -> list[str]:  # noqa: ANN401
    """Return one kind of the tables in a list."""
    rows = [
        _row(key, _kind(field), None if field.is_required() else field.default, field)
        for key, field in kind.model_fields.items()
    ]
    said = kind.__doc__.splitlines()[0]
    of = typing.get_args(kind.model_fields["kind"].annotation)[0]
    return [f"## `[[{name}]]` of the kind `{of}`", "", said, "", *HEADER, *rows, ""]


def _row(key: str, kind: str, value: object, field: Any) -> str:  # noqa: ANN401
    """Return one setting."""
    default = "" if value is None else f"`{_value(value)}`"
    return f"| `{key}` | {kind} | {default} | {_words(field)} |"


def _words(field: Any) -> str:  # noqa: ANN401
    """Return what a setting does."""
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _value(value: object) -> str:
    """Return a value as TOML has it."""
    return json.dumps(str(value) if isinstance(value, StrEnum) else value)


def _kind(field: Any) -> str:  # noqa: ANN401
    """Return the type of a field, with the bounds that its type has."""
    bounds = " ".join(_bound(each) for each in field.metadata if _bound(each))
    return f"{_name(field.annotation)}{', ' if bounds else ''}{bounds}"


def _bound(limit: object) -> str:
    """Return one bound of a number."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return " ".join(
        f"{sign} {getattr(limit, name):g}"
        for name, sign in signs.items()
        if getattr(limit, name, None) is not None
    )


def _name(kind: Any) -> str:  # noqa: ANN401
    """Return a type in words."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        notes = [note for each in inner[1:] for note in getattr(each, "metadata", [])]
        bounds = map(_bound, [*inner[1:], *notes])
        said = " ".join(dict.fromkeys(filter(None, bounds)))
        return f"{_name(inner[0])}{', ' if said else ''}{said}"
    if origin is typing.Literal:
        return " or ".join(f"`{each}`" for each in inner)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(map(_name, inner))
    if origin is list:
        return f"list of {_name(inner[0])}"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{each}`" for each in kind)
    names = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    return names.get(kind, str(getattr(kind, "__name__", kind)))
