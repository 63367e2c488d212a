"""The settings one by one: the value of each, where it comes from, what it is for."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sleepcycle.settings.config import Settings
from sleepcycle.settings.configfile import (
    recorded_settings,
    set_by_environment,
    set_by_file,
)


class SettingSource(StrEnum):
    """Where the value of a setting comes from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    """It goes before the file."""


@dataclass(frozen=True, slots=True)
class ListedSetting:
    """One setting."""

    name: str
    """With its sections, such as `sleep.rem.memory`."""

    value: str
    """As the file would have it, but for tables, which are JSON."""

    source: SettingSource
    is_default: bool
    """Whether that is what it would be anyhow."""

    sentence: str
    """What it is for."""


def list_settings(settings: Settings, file: Path) -> list[ListedSetting]:
    """Return all settings, in the order of the reference.

    Secrets are none of them: they stand in files, which settings name.

    Args:
        settings: Those that apply.
        file: The `config.toml` that they were read from.

    Raises:
        ConfigError: The file cannot be read, or is not TOML.
    """
    by_file, by_environment = set_by_file(file), set_by_environment()
    defaults = recorded_settings({}).model_dump(mode="json")
    found = _walk(Settings, settings.model_dump(mode="json"))
    return [
        ListedSetting(
            name,
            json.dumps(value, ensure_ascii=False),
            _source(name, by_file, by_environment),
            value == default,
            sentence,
        )
        for (name, value, sentence), (_, default, _) in zip(
            found, _walk(Settings, defaults), strict=True
        )
    ]


def _walk(
    model: type[BaseModel], values: Mapping[str, Any], before: str = ""
) -> Iterator[tuple[str, object, str]]:
    """Yield name, value and sentence of each setting of a section."""
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _walk(kind, values[key], f"{before}{key}.")
        else:
            sentence = " ".join((field.description or "").split())
            yield f"{before}{key}", values[key], sentence


def _source(name: str, by_file: set[str], by_environment: set[str]) -> SettingSource:
    """Return where a setting comes from; a section may be set as a whole."""
    parts = name.split(".")
    above = {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    if above & by_environment:
        return SettingSource.ENVIRONMENT
    return SettingSource.FILE if name in by_file else SettingSource.DEFAULT
