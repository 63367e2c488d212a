"""Write `config.toml` from the settings models: every key, default and comment.

python tools/render_config.py > config.toml
"""

import json
import textwrap
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from sleepcycle.settings.config import Settings

HEAD = """\
# Every setting of sleepcycle at its default. Delete what you do not change.
# The environment wins over this file: SLEEPCYCLE__WAKE__RANK=8
"""


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
        lines += textwrap.wrap(
            field.description, 86, initial_indent="# ", subsequent_indent="# "
        )
        lines += [f"{key} = {_value(value)}", ""]
    return "\n".join([*lines, *inner])


def _value(value: object) -> str:
    """Return a value as TOML; for these types that is JSON."""
    return json.dumps(str(value) if isinstance(value, StrEnum) else value)


if __name__ == "__main__":
    print(render(), end="")
