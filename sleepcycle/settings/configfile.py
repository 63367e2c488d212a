"""Reading settings: the file, the environment over it, and sentences for faults.

The environment (`SLEEPCYCLE__WAKE__RANK=8`) is read here alone.
"""

import json
import os
from collections.abc import Iterator
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
        raise _unreadable(file, error) from error
    if file:
        _resolve_template(fields, file)
    return settings_from(fields)


def _unreadable(file: Path | None, error: OSError) -> ConfigError:
    """Return the error for a file that the system does not read."""
    return ConfigError(
        f"expected to read the settings in {file}, got: {error.strerror}; see to it "
        "that it is a file, and yours"
    )


def _resolve_template(fields: dict[str, Any], file: Path) -> None:
    """Let the chat template's path begin at the folder of the file that names it."""
    model = fields.get("model")
    if isinstance(model, dict) and isinstance(name := model.get("chat_template"), str):
        folder = file.absolute().parent
        model["chat_template"] = name and str(folder / Path(name).expanduser())


def set_by_file(file: Path) -> set[str]:
    """Return the names of the settings that a file sets, such as `wake.rank`.

    Raises:
        ConfigError: The file cannot be read, or is not TOML.
    """
    try:
        fields = read_toml(file) if file.exists() else {}
    except OSError as error:
        raise _unreadable(file, error) from error
    return set(_names(fields))


def set_by_environment() -> set[str]:
    """Return the names of the settings, and sections, that the environment sets."""
    names = (variable.upper() for variable in os.environ)
    return {
        name.removeprefix(PREFIX).lower().replace("__", ".")
        for name in names
        if name.startswith(PREFIX)
    }


def _names(fields: dict[str, Any], before: str = "") -> Iterator[str]:
    """Yield the name of each value in tables of tables."""
    for key, value in fields.items():
        if isinstance(value, dict):
            yield from _names(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


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
