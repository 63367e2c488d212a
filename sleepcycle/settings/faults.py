"""Faults of a TOML file as sentences: where, what was expected and what came."""

import difflib
from typing import Any, get_args

from pydantic import ValidationError

from sleepcycle.settings.section import Section

KINDS = ("constrained", "literal", "function-", "float", "int")
"""How pydantic begins the name of a branch of a union, which is no key."""

EXPECTED = {
    "bool": "true or false",
    "float": "a number",
    "greater": "a number above 0",
    "finite": "a number that is finite",
    "int": "a whole number",
    "list": "a list",
    "model": "a table of keys",
    "string": "text in quotes",
}
"""What is expected, by how the type of pydantic's fault begins."""


def sentences(
    error: ValidationError, fields: dict[str, Any], model: type[Section]
) -> list[str]:
    """Say what is wrong with parsed TOML, one sentence for each key.

    Tables in a list are named by their `name`, or else counted from 1.

    Args:
        error: What `model` made of `fields`.
        fields: The parsed file.
        model: What the file should be.
    """
    found: dict[str, str] = {}
    for fault in error.errors():
        keys = [key for key in fault["loc"] if not str(key).startswith(KINDS)]
        key = _key(keys, fields)
        if key in found and fault["type"] == "literal_error":
            word = fault["ctx"]["expected"].replace("'", '"')
            found[key] = found[key].replace(", got", f" or {word}, got", 1)
        found.setdefault(key, _said(fault, keys, model))
    return [f"{key}: {said}" for key, said in found.items()]


def _said(fault: Any, keys: list[str | int], model: type[Section]) -> str:  # noqa: ANN401
    """Say one fault of pydantic's as: what was expected, what came, what to do."""
    kind = fault["type"]
    if kind == "extra_forbidden":
        known = _known(keys, model)
        near = difflib.get_close_matches(str(keys[-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else "take it out"
        return f"expected one of {', '.join(known)}, got {keys[-1]!r}; {hint}"
    if kind == "missing":
        return f"expected a value, got none; set {keys[-1]}"
    if kind == "value_error":
        return str(fault["ctx"]["error"])
    expected = EXPECTED.get(kind.split("_")[0], fault["msg"])
    return f"expected {expected}, got {fault['input']!r:.80}; write it so"


def _key(keys: list[str | int], fields: Any) -> str:  # noqa: ANN401 - parsed TOML
    """Write the way to a fault, as far as the file has it."""
    words = []
    for key in keys:
        try:
            fields = fields[key]
        except (LookupError, TypeError):
            fields = None
        name = fields.get("name") if isinstance(fields, dict) else None
        counted = key + 1 if isinstance(key, int) else key
        words.append(str(name if isinstance(key, int) and name else counted))
    return ".".join(words) or "the whole"


def _known(keys: list[str | int], model: type[Section]) -> list[str]:
    """Return the keys of the table in which a key stands."""
    section: Any = model
    for key in keys[:-1]:
        if isinstance(key, str):
            section = get_args(section.model_fields[key].annotation)[0]
    return list(section.model_fields)
