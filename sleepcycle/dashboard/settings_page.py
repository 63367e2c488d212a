"""The settings as they are, each with where it comes from and what it is for."""

from itertools import groupby

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.daemon.reload import fixed
from sleepcycle.dashboard.site import Site
from sleepcycle.errors import ConfigError
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.settings.configfile import load_settings
from sleepcycle.settings.setting_list import ListedSetting, list_settings


def add_settings_page(app: FastAPI, site: Site) -> None:
    """Add the settings."""

    @app.get("/care/settings", include_in_schema=False)
    @needs(TokenScope.READ)
    def settings(request: Request) -> Response:
        """Show the settings that apply, and what the file says otherwise by now."""
        config, now = site.parts.paths.config, site.parts.scheduler.settings
        fault, waiting, changed = "", [], False
        listed: list[ListedSetting] = []
        try:
            listed = list_settings(now, config)
            new = load_settings(config)
            waiting, changed = fixed(now, new), new != now
        except ConfigError as error:
            fault = str(error)
        tables = groupby(listed, key=lambda one: one.name.rpartition(".")[0])
        return site.page(
            request,
            "settings.html",
            section="care",
            tables=[(name, list(rows)) for name, rows in tables],
            own=[one for one in listed if not one.is_default],
            config=config,
            fault=fault,
            waiting=waiting,
            changed=changed,
        )
