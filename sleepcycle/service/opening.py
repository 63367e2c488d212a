"""Making a home, and opening one."""

import getpass
import json
import os
from pathlib import Path

from sleepcycle import log
from sleepcycle.config import ModelSettings, Settings, load_settings
from sleepcycle.errors import HomeError
from sleepcycle.paths import HomePaths, carried
from sleepcycle.records import BaseIdentity
from sleepcycle.service.home import Home
from sleepcycle.service.lock import locked
from sleepcycle.store.connection import no_home
from sleepcycle.store.engine import create_store
from sleepcycle.store.migrate import upgrade
from sleepcycle.store.records import Upgrade


def create_home(root: Path, *, base: str | None = None) -> bool:
    """Make a home with its settings and its books; leave an existing one alone.

    Args:
        root: The state directory.
        base: The base model to write into its `config.toml`; None for the default.

    Returns:
        Whether it was made: False where a home was there already.

    Raises:
        HomeError: There are other things at that place.
    """
    paths = HomePaths(root)
    if paths.database.exists():
        return False
    if root.exists() and (not root.is_dir() or set(root.iterdir()) - {paths.config}):
        raise HomeError(
            f"expected {root} to be new or empty, but there are other things in it; "
            "name another directory with --home"
        )
    try:
        _lay_out(paths, base)
    except OSError as error:
        raise HomeError(f"expected to make a home at {root}, got: {error}") from error
    settings = load_settings(paths.config)
    model = settings.model
    identity = BaseIdentity(model.base, model.revision or None, sha256="")
    create_store(paths, settings.store, identity)
    return True


def _lay_out(paths: HomePaths, base: str | None) -> None:
    """Make the folders of a home, and its settings unless they are there."""
    paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not paths.config.exists():
        paths.config.write_text(_config_text(base), encoding="utf-8")
    for folder in (paths.versions, paths.staging, paths.runs, paths.cache, paths.logs):
        folder.mkdir(mode=0o700, exist_ok=True)


def open_home(root: Path, *, settings: Settings | None = None) -> Home:
    """Open a home.

    Args:
        root: The state directory.
        settings: Instead of those in its `config.toml` and the environment.

    Raises:
        HomeError: There is no home.
        ConfigError: A setting is wrong.
    """
    paths = HomePaths(root)
    if not paths.database.exists():
        raise no_home(paths)
    settings = settings or load_settings(paths.config)
    log.set_up(
        settings.log.level,
        json_lines=settings.log.json_lines,
        file=paths.logs / "sleepcycle.log",
    )
    return Home(paths, settings, actor=f"user:{_user()}")


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


def _user() -> str:
    """Return who runs this, for the journal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in this container
        return str(os.getuid())
