"""Reload: a home whose settings can be read again while the service runs."""

from loguru import logger

from sleepcycle import log
from sleepcycle.errors import ConfigError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.home import Home
from sleepcycle.settings.config import Settings
from sleepcycle.settings.configfile import load_settings

FREE = ("wake", "sleep", "gate", "feed", "capture", "publish")
"""Sections that apply from the next run, the next answer or the next look on."""

FREE_KEYS = {
    "engine": ("backoff_s", "reserve_mb", "heartbeat_timeout_s"),
    "log": ("level",),
}
"""Settings of other sections that do so too."""


class ReloadableHome:
    """Opens one home for whoever acts, under the settings of the moment."""

    def __init__(self, paths: HomePaths, settings: Settings) -> None:
        self.paths = paths
        self.settings = settings

    def open(self, actor: str) -> Home:
        """Return the home for one who acts."""
        return Home(self.paths, self.settings, actor)

    def reload(self) -> None:
        """Read the settings again; what cannot change now is named in the log.

        Raises:
            ConfigError: The file is gone, or a setting is wrong; all stay as they are.
        """
        if not self.paths.config.exists():
            raise ConfigError(
                f"expected the settings in {self.paths.config}, got no file; put it "
                "back, or an empty one for the defaults"
            )
        new = load_settings(self.paths.config)
        waiting = fixed(self.settings, new)
        self.settings = renewed(self.settings, new)
        log.set_up(self.paths.log, **self.settings.log.model_dump())
        logger.info("read the settings again")
        if waiting:
            logger.warning(
                "{names} changed, which needs a restart of the service",
                names=", ".join(waiting),
            )


def renewed(old: Settings, new: Settings) -> Settings:
    """Return the old settings with those of the new that apply from the next run."""
    sections = {name: getattr(new, name) for name in FREE}
    for name, keys in FREE_KEYS.items():
        values = {key: getattr(getattr(new, name), key) for key in keys}
        sections[name] = getattr(old, name).model_copy(update=values)
    return old.model_copy(update=sections)


def fixed(old: Settings, new: Settings) -> list[str]:
    """Return the names of settings that changed, and apply after a restart alone."""
    before = renewed(old, new).model_dump()
    after = new.model_dump()
    return [
        f"{section}.{key}"
        for section, values in after.items()
        for key, value in values.items()
        if before[section][key] != value
    ]
