"""Write `config.toml` from the settings models: every key, default and comment.

python tools/render_config.py > config.toml
"""

import json
import textwrap
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, get_args

from pydantic import BaseModel

from sleepcycle.settings.config import Settings

HEAD = """\
# Every setting of sleepcycle at its default. Delete what you do not change.
# The environment wins over this file: SLEEPCYCLE__WAKE__RANK=8
"""
EXAMPLES = {
    "name": "gpu-box",
    "url": "http://127.0.0.1:8000",
    "path": "/srv/adapters",
    "secret_file": "webhook.secret",
}
"""What stands for values that have no default."""


def render() -> str:
    """Return the whole reference configuration."""
    sections = [
        _section(
            name, getattr(Settings(), name), Settings.model_fields[name].annotation
        )
        for name in Settings.model_fields
    ]
    return "\n".join([HEAD, *sections])


def _section(name: str, values: BaseModel, model: Any) -> str:  # noqa: ANN401
    """Return one table, and the tables inside it after its own keys."""
    lines = [f"[{name}]"]
    if model.__doc__:
        lines.insert(0, f"# {model.__doc__.splitlines()[0]}")
    inner = []
    for key, field in model.model_fields.items():
        value = getattr(values, key)
        if isinstance(value, BaseModel):
            inner.append(_section(f"{name}.{key}", value, field.annotation))
            continue
        lines += _comment(field.description)
        kinds = list(kinds_in(field.annotation))
        lines += _tables(f"{name}.{key}", kinds) or [f"{key} = {_value(value)}", ""]
    return "\n".join([*lines, *inner])


def kinds_in(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - of a field
    """Yield the kinds of table that a list of tables may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for inner in get_args(annotation):
        yield from kinds_in(inner)


def _tables(name: str, kinds: list[Any]) -> list[str]:
    """Return a table of each kind as a comment, since by default there is none."""
    lines = []
    for kind in kinds:
        lines += ["#", f"# {kind.__doc__.splitlines()[0]}", f"# [[{name}]]"]
        for key, field in kind.model_fields.items():
            said = "" if field.is_required() else f"  # {_brief(field.description)}"
            lines.append(f"# {key} = {_example(key, field)}{said}")
    return [*lines, ""] if lines else []


def _brief(description: str) -> str:
    """Return the first part of a sentence."""
    return " ".join(description.split()).split(". ")[0].split("; ")[0].rstrip(".")


def _example(key: str, field: Any) -> str:  # noqa: ANN401 - of pydantic
    """Return the default of a key, or an example where it has none."""
    if not field.is_required():
        return _value(field.default)
    words = get_args(field.annotation)
    return _value(words[0] if words else EXAMPLES[key])


def _comment(text: str) -> list[str]:
    """Return a sentence as lines of comment."""
    return textwrap.wrap(text, 86, initial_indent="# ", subsequent_indent="# ")


def _value(value: object) -> str:
    """Return a value as TOML; for these types that is JSON."""
    return json.dumps(str(value) if isinstance(value, StrEnum) else value)


if __name__ == "__main__":
    print(render(), end="")
