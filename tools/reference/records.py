"""Tables of records and classes, from their source: types, signatures, docstrings."""

import ast
import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

HEAD = ["| key | type | what it is |", "|---|---|---|"]
NAMES = {int: "int", float: "float", str: "str", bool: "bool", type(None): "null"}
NAMES |= {Path: "str", datetime: "time", object: "any"}


def record_section(record: type) -> list[str]:
    """Return a record as a section: its sentence, and a row for each key."""
    hints = typing.get_type_hints(record)
    said = _field_docstrings(record)
    rows = [
        f"| `{field.name}` | {_kind(hints[field.name])} | {said.get(field.name, '')} |"
        for field in fields(record)
    ]
    sentence = first_line(_tree(record))
    return [f"### `{record.__name__}`", "", sentence, "", *HEAD, *rows, ""]


def records_within(*roots: type) -> list[type]:
    """Return records, and those that they hold, each once."""
    found: dict[type, None] = {}
    for root in roots:
        _gather(root, found)
    return list(found)


def _gather(kind: Any, found: dict[type, None]) -> None:  # noqa: ANN401
    """Add a record, and all below a type."""
    if is_dataclass(kind) and isinstance(kind, type):
        if kind in found:
            return
        found[kind] = None
        for inner in typing.get_type_hints(kind).values():
            _gather(inner, found)
    for inner in typing.get_args(kind):
        _gather(inner, found)


def _kind(kind: Any) -> str:  # noqa: ANN401
    """Return a type as JSON has it; a record is a link to its section."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(map(_kind, inner))
    if origin is tuple:
        parts = [_kind(each) for each in inner if each is not Ellipsis]
        return f"list of {parts[0]}" if ... in inner else f"list ({', '.join(parts)})"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if inner[1] is object:
            return "object, see [settings](settings.md)"
        return f"object: {_kind(inner[1])} by {_kind(inner[0])}"
    if is_dataclass(kind):
        name = getattr(kind, "__name__", "")
        return f"[{name}](#{name.lower()})"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{each}`" for each in kind)
    return NAMES[kind]


def _field_docstrings(record: type) -> dict[str, str]:
    """Return the string under each field that has one."""
    found, name = {}, ""
    for node in _tree(record).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif name and isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Constant):
                found[name] = " ".join(str(node.value.value).split())
            name = ""
    return {key: text.replace("|", "\\|") for key, text in found.items()}


def class_section(kind: type, owner: str) -> list[str]:
    """Return a class as a section: a row for each public call and property."""
    tree = _tree(kind)
    rows = [
        f"| `{owner}.{_call(node)}` | {first_line(node)} |" for node in _public(tree)
    ]
    head = ["| call | what it does |", "|---|---|"]
    return [f"## `{kind.__name__}`", "", first_line(tree), "", *head, *rows, ""]


def signature(function: Any) -> str:  # noqa: ANN401
    """Return a function with its parameters and what it returns."""
    [node] = ast.parse(inspect.getsource(function)).body
    return _call(typing.cast("ast.FunctionDef", node))


def _public(tree: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """Yield the public methods and properties of a class, in order."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def _call(node: ast.FunctionDef) -> str:
    """Return how a method is called, or the name of a property."""
    returned = ast.unparse(node.returns).strip("'\"") if node.returns else "None"
    if any("property" in ast.unparse(each) for each in node.decorator_list):
        return f"{node.name}: {returned}".replace("|", "\\|")
    if node.args.args[:1] and node.args.args[0].arg == "self":
        del node.args.args[0]
    called = f"{node.name}({ast.unparse(node.args)}) -> {returned}"
    return called.replace("|", "\\|")


def first_line(node: ast.ClassDef | ast.FunctionDef) -> str:
    """Return the first line of a docstring."""
    return (ast.get_docstring(node) or "").split("\n")[0].replace("|", "\\|")


def _tree(kind: type) -> ast.ClassDef:
    """Return the source of a class."""
    [node] = ast.parse(inspect.getsource(kind)).body
    return typing.cast("ast.ClassDef", node)
