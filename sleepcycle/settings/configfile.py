"""Reading settings: the file, the environment over it, and sentences for faults.

The environment (`SLEEPCYCLE__WAKE__RANK=8`) is read here alone.
"""

import json
import os
from pathlib import Path
from typing import Any, get_origin

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from sleepcycle.errors import ConfigError
from sleepcycle.settings.config import PREFIX, Settings
from sleepcycle.settings.faults import checked, is_section, keys_of, nearest
from sleepcycle.settings.toml_file import read_toml


def load_settings(file: Path | None) -> Settings:
    """Read the configuration of a home.

    Args:
        file: A `config.toml`; None or an absent file leaves the defaults.

    Raises:
        ConfigError: The file cannot be read, is no plain file or not TOML, a key is
            unknown (the nearest known one is named), or a value is out of range.
    """
    try:
        fields = read_toml(file) if file and file.exists() else {}
    except OSError as error:
        raise ConfigError(
            f"expected to read the settings in {file}, got: {error.strerror}; see to "
            "it that it is a file, and yours"
        ) from error
    if file:
        _resolve_template(fields, file)
    return settings_from(fields)


def _resolve_template(fields: dict[str, Any], file: Path) -> None:
    """Let the chat template's path begin at the folder of the file that names it."""
    model = fields.get("model")
    if isinstance(model, dict) and isinstance(name := model.get("chat_template"), str):
        folder = file.absolute().parent
        model["chat_template"] = name and str(folder / Path(name).expanduser())


def settings_from(fields: dict[str, Any]) -> Settings:
    """Build settings from plain data, under the environment.

    Raises:
        ConfigError: As for `load_settings`, or a variable of the environment has an
            unknown name (the nearest known one is named) or is not the JSON it must be.
    """
    for variable, value in os.environ.items():
        if variable.upper().startswith(PREFIX):
            _check(variable, value)
    return checked(Settings, fields, "setting")


def recorded_settings(fields: dict[str, Any]) -> Settings:
    """Build the settings that a run was ordered with, whatever the environment says.

    Raises:
        ConfigError: As for `load_settings`.
    """
    return checked(_Recorded, fields, "setting")


class _Recorded(Settings):
    """Settings that come from plain data alone."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **_: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the environment out."""
        return (init_settings,)


def _check(variable: str, value: str) -> None:
    """Refuse a variable that names no setting, or cannot be what it names."""
    path = variable[len(PREFIX) :].lower().split("__")
    setting: Any = Settings
    for depth, key in enumerate(path):
        known = keys_of(path[:depth], Settings)
        if key not in known:
            near = nearest(key, known)
            right = "__".join([*path[:depth], near or "", *path[depth + 1 :]]).upper()
            hint = f"; did you mean {PREFIX}{right}?" if near else ""
            raise ConfigError(f"unknown variable {variable}{hint}")
        setting = setting.model_fields[key].annotation
    if is_section(setting):
        first = next(iter(setting.model_fields)).upper()
        hint = f"to set one value, name it: {variable}__{first}"
    elif get_origin(setting) is list:
        hint = 'a list is written ["a", "b"]'
    else:
        return
    try:
        json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"expected JSON in {variable}, got {value!r:.80}; {hint}"
        ) from error
