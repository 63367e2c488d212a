"""Faults of settings and TOML files as sentences: expected, got, and where."""

import difflib
from collections.abc import Iterator
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
    kinds: list[Any] = []
    for key in path:
        chosen = [kind for kind in kinds if key in kinds_of(kind)]
        kinds = chosen or list(_sections(section.model_fields[key].annotation))
        section = next(iter(kinds), None)
        if section is None:
            return []
    return list(section.model_fields)


def kinds_of(section: Any) -> tuple[str, ...]:  # noqa: ANN401 - of a field
    """Return the words by which a table says that it is of this kind."""
    field = section.model_fields.get("kind")
    return () if field is None else get_args(field.annotation)


def _sections(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - of a field
    """Yield each kind of table that a field may be, or hold in a list."""
    if is_section(annotation):
        yield annotation
        return
    for inner in get_args(annotation):
        yield from _sections(inner)


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
        name = _name(_untagged(keys, fields), fields)
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
    if fault["type"] == "union_tag_invalid":
        words = fault["ctx"]["expected_tags"].replace("'", '"')
        got = _shown(fault["ctx"]["tag"])
        return f"{named}.kind: expected one of {words}, got {got}"
    if fault["type"] in {"missing", "union_tag_not_found"}:
        wanted = keys[-1] if fault["type"] == "missing" else "kind"
        return f"{named}: expected a value, got none; set {wanted}"
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


def _untagged(keys: list[str | int], fields: Any) -> list[str | int]:  # noqa: ANN401
    """Return the way to a fault without the kind that pydantic puts after a table."""
    way: list[str | int] = []
    for before, key in zip([None, *keys], keys, strict=False):
        is_kind = isinstance(before, int) and isinstance(fields, dict)
        if is_kind and fields.get("kind") == key and key not in fields:
            continue
        way.append(key)
        try:
            fields = fields[key]
        except (LookupError, TypeError):
            fields = None
    return way


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
