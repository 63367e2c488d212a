"""Making a home, and opening one."""

import getpass
import json
import os
from pathlib import Path

from loguru import logger

from sleepcycle.errors import HomeError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths, carried
from sleepcycle.files.quick_import import without_collections
from sleepcycle.files.restore_advice import folders, is_free, no_home, restore_command
from sleepcycle.home.home import Home
from sleepcycle.home.lock import locked
from sleepcycle.home.memory_report import expect_weights_fit
from sleepcycle.model.base_files import (
    BUILTIN,
    check_files,
    expect_bitsandbytes,
    locate,
)
from sleepcycle.model.device_memory import memory_for
from sleepcycle.model.model_size import read_size
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import ModelSettings, Settings, StoreSettings
from sleepcycle.settings.configfile import load_settings, settings_from
from sleepcycle.store.connection import has_schema
from sleepcycle.store.database import create_store
from sleepcycle.store.migrate import upgrade
from sleepcycle.store.values import Upgrade


def create_home(root: Path, *, base: str | None = None) -> bool:
    """Make a home with its settings and its database; leave an existing one alone.

    One whose making was cut short is finished.

    Args:
        root: The state directory.
        base: The base model to write into its `config.toml`; None for the default.
            An existing directory or file is written with its whole path.

    Returns:
        Whether it was made: False where a home was there already.

    Raises:
        HomeError: There are other things at that place, or it has another base.
        ConfigError: A setting is wrong, or `model.chat_template` cannot be used;
            nothing is made then.
        ModelError: The base cannot be loaded, cannot learn, or is larger than all
            memory; nothing is made then.
    """
    paths = HomePaths(root)
    base = _whole_path(base) if base else base
    settings = _settings(paths, base)
    if is_made(paths, settings.store):
        return False
    _expect_free(paths)
    _check_base(settings.model)
    _check_memory(settings)
    _check_template(settings.model)
    try:
        _lay_out(paths, base)
    except OSError as error:
        raise HomeError(f"expected to make a home at {root}, got: {error}") from error
    model = settings.model
    identity = BaseIdentity(model.base, model.revision or None, sha256="")
    create_store(paths, settings.store, identity)
    return True


def _whole_path(base: str) -> str:
    """Return a base that lies here with its whole path, and others as they are.

    A file keeps its name: in the cache of the hub it is a link to one without.
    """
    place = Path(base)
    if place.is_file():
        return str(place.absolute())
    return str(place.resolve()) if place.is_dir() else base


def is_made(paths: HomePaths, settings: StoreSettings) -> bool:
    """Return whether a home's making came to its end: its database has a schema.

    Raises:
        StoreError: The database is damaged, or not ours.
    """
    return paths.database.exists() and has_schema(paths, settings.busy_timeout_s)


def _settings(paths: HomePaths, base: str | None) -> Settings:
    """Return the settings of a home that may yet have to be made."""
    if paths.config.exists() or base is None:
        settings = load_settings(paths.config)
    else:
        settings = settings_from({"model": {"base": base}})
    if base not in {None, settings.model.base}:
        raise HomeError(
            f"expected the base {base}, but {paths.config} or the environment says "
            f"{settings.model.base}; change it there, or leave out --base"
        )
    return settings


def _expect_free(paths: HomePaths) -> None:
    """Refuse a place where there are other things than a home half made."""
    if not is_free(paths):
        raise HomeError(
            f"expected {paths.root} to be new or empty, but there are other things in "
            "it; name another directory with --home, or if it is a home that lost its "
            f"database, put back a copy: {restore_command(paths)}"
        )


def _check_base(settings: ModelSettings) -> None:
    """Refuse a base that cannot be loaded or learn; ours can, so it needs no torch."""
    expect_bitsandbytes(settings)
    ours = settings.base.startswith(BUILTIN) and settings.quantization == "none"
    if ours and locate(settings).is_dir():
        return
    check_files(settings)
    if ours:
        return
    with without_collections():
        from sleepcycle.model.base_checks import check_loadable  # loads torch

    unreached = check_loadable(settings)
    if unreached:
        logger.warning("{note}", note=unreached)


def _check_memory(settings: Settings) -> None:
    """Refuse a base whose weights no memory holds; ours are small."""
    model = settings.model
    if not model.base.startswith(BUILTIN):
        there = memory_for(settings.engine.device)
        expect_weights_fit(model.base, read_size(model), settings, there)


def _check_template(settings: ModelSettings) -> None:
    """Refuse a chat template of the owner's that cannot be used."""
    if settings.chat_template:
        from sleepcycle.model.base import load_text_base  # loads torch

        load_text_base(settings)


def _lay_out(paths: HomePaths, base: str | None) -> None:
    """Make the folders of a home, and its settings unless they are there."""
    disk.make(paths.root)
    if not paths.config.exists():
        disk.write(paths.config, _config_text(base))
    for folder in folders(paths):
        disk.make(folder)
    disk.sync(paths.root)  # also what a making that was killed had left


def open_home(root: Path, *, settings: Settings | None = None) -> Home:
    """Open a home.

    Args:
        root: The state directory.
        settings: Instead of those in its `config.toml` and the environment.

    Raises:
        HomeError: There is no home.
        StoreError: Its database is damaged, or not ours.
        ConfigError: A setting is wrong.
    """
    paths = HomePaths(root)
    if not paths.database.exists():
        raise no_home(paths)
    settings = settings or load_settings(paths.config)
    if not is_made(paths, settings.store):
        raise no_home(paths)
    return Home(paths, settings, actor=actor())


def upgrade_home(root: Path) -> Upgrade:
    """Bring a home's database to this package's schema, after a backup.

    Raises:
        HomeError: There is no home, or it is in use.
        StoreError: The schema is newer than this package's, or SQLite failed.
    """
    paths = HomePaths(root)
    settings = load_settings(paths.config)
    if not paths.database.exists():
        raise no_home(paths)
    with locked(paths):
        return upgrade(paths, settings.store)


def config_reference() -> Path:
    """Return the reference `config.toml`: of the package, or of the source tree."""
    return carried("config.toml", "config.toml")


def _config_text(base: str | None) -> str:
    """Return the reference configuration, with the base that was asked for."""
    text = config_reference().read_text(encoding="utf-8")
    if base is None:
        return text
    default = f'base = "{ModelSettings().base}"'
    return text.replace(default, f"base = {_toml_string(base)}", 1)


def _toml_string(text: str) -> str:
    """Quote text for TOML, whose basic strings are JSON's."""
    return json.dumps(text, ensure_ascii=False)


def actor() -> str:
    """Return who acts, for the journal."""
    return f"user:{_user()}"


def _user() -> str:
    """Return who runs this, for the journal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in this container
        return str(os.getuid())
