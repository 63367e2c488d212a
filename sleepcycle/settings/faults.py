"""Faults of settings and TOML files as sentences: expected, got, and where."""

import difflib
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from sleepcycle.errors import ConfigError
from sleepcycle.settings.section import Section

M = TypeVar("M", bound=BaseModel)
BRANCHES = ("constrained", "literal", "function-", "float", "int")
"""How pydantic begins the name of a branch of a union, which is no key."""

EXPECTED = {
    "bool": "true or false",
    "finite": "a number that is finite",
    "float": "a number",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "int": "a whole number",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
    "list": "a list",
    "model": "a table of keys",
    "string": "text in quotes",
}
"""What is expected, by how the type of pydantic's fault begins."""


def checked(
    model: type[M], fields: dict[str, Any], noun: str = "", file: str = ""
) -> M:
    """Build a model from parsed TOML.

    Args:
        model: What the file should be.
        fields: The parsed file.
        noun: What stands before the name of a key, such as `setting`.
        file: What stands before each fault; "" for nothing.

    Raises:
        ConfigError: A key or a value is wrong; each is in a sentence.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        place = f"{file}: " if file else ""
        faults = (place + fault for fault in _sentences(error, fields, model, noun))
        raise ConfigError("; ".join(faults)) from error


def nearest(key: str, known: list[str]) -> str | None:
    """Return the known key that a misspelt one is most like, if any is."""
    return next(iter(difflib.get_close_matches(key, known, n=1)), None)


def keys_of(path: list[str], model: type[BaseModel]) -> list[str]:
    """Return the keys of the table at a path below a model; [] where there is none."""
    section: Any = model
    for key in path:
        annotation = section.model_fields[key].annotation
        section = next(filter(is_section, (annotation, *get_args(annotation))), None)
        if section is None:
            return []
    return list(section.model_fields)


def is_section(annotation: Any) -> bool:  # noqa: ANN401 - of a field
    """Return whether a field is a table of settings."""
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _sentences(
    error: ValidationError, fields: dict[str, Any], model: type[BaseModel], noun: str
) -> list[str]:
    """Return what is wrong with parsed TOML, one sentence for each key.

    Tables in a list are named by their `name`, or else counted from 1.
    """
    found: dict[str, str] = {}
    for fault in error.errors():
        keys = [key for key in fault["loc"] if not str(key).startswith(BRANCHES)]
        name = _name(keys, fields)
        if name in found and fault["type"] == "literal_error":
            word = fault["ctx"]["expected"].replace("'", '"')
            found[name] = found[name].replace(", got", f" or {word}, got", 1)
        found.setdefault(name, _sentence(fault, keys, f"{noun} {name}".strip(), model))
    return list(found.values())


def _sentence(fault: Any, keys: list[str | int], named: str, model: Any) -> str:  # noqa: ANN401
    """Return one fault of pydantic's as: what was expected, what came, what to do."""
    if fault["type"] == "extra_forbidden":
        known = keys_of([key for key in keys[:-1] if isinstance(key, str)], model)
        near = nearest(str(keys[-1]), known)
        right = f"{named.rpartition(' ')[2].removesuffix(str(keys[-1]))}{near}"
        hint = f"did you mean {right}?" if near else f"known are {', '.join(known)}"
        return f"unknown {named if ' ' in named else f'key {named}'}; {hint}"
    if fault["type"] == "missing":
        return f"{named}: expected a value, got none; set {keys[-1]}"
    if fault["type"] == "value_error":
        said = str(fault["ctx"]["error"])
        got = "" if ", got" in said else f", got {_shown(fault['input'])}"
        return f"{named}: {said}{got}"
    return f"{named}: expected {_expected(fault)}, got {_shown(fault['input'])}"


def _shown(value: Any) -> str:  # noqa: ANN401 - parsed TOML
    """Return what came, cut short; a number may have more digits than Python writes."""
    try:
        return f"{value!r:.80}"
    except ValueError:
        return "a number that is too long to show"


def _expected(fault: Any) -> str:  # noqa: ANN401 - pydantic's own dictionary
    """Return what a value had to be."""
    if fault["type"] in EXPECTED:
        return EXPECTED[fault["type"]].format(**fault.get("ctx", {}))
    first = fault["type"].split("_")[0]
    if first in {"literal", "enum"}:
        return str(fault["ctx"]["expected"]).replace("'", '"')
    return EXPECTED.get(first) or str(fault["msg"]).lower().removeprefix(
        "input should be "
    )


def _name(keys: list[str | int], fields: Any) -> str:  # noqa: ANN401 - parsed TOML
    """Return the way to a fault, as far as the file has it."""
    words = []
    for key in keys:
        try:
            fields = fields[key]
        except (LookupError, TypeError):
            fields = None
        name = fields.get("name") if isinstance(fields, dict) else None
        counted = key + 1 if isinstance(key, int) else key
        words.append(str(name if isinstance(key, int) and name else counted))
    return ".".join(words) or "of the file"
