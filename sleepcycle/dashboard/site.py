"""What all pages have in common: how they are rendered, and what they are told."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sleepcycle import __version__
from sleepcycle.dashboard import readable
from sleepcycle.dashboard.assets import asset_url
from sleepcycle.home.home import Home
from sleepcycle.server.service_parts import ServiceParts

SECTIONS = {
    "now": ("/", "Now"),
    "timeline": ("/timeline", "Timeline"),
    "versions": ("/versions", "Versions"),
    "memory": ("/memory", "Memory"),
    "data": ("/data", "Data"),
    "talk": ("/talk", "Talk"),
    "care": ("/care", "Care"),
}
"""Each section's address, and its name."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
MOST_NOTICES = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """What a page says once of what was just done."""

    text: str
    undo: str = ""
    """Address of a form that takes it back; empty where there is none."""

    undo_label: str = "Undo"
    fields: Mapping[str, str] = field(default_factory=dict)
    """Of that form."""


@dataclass(frozen=True)
class Site:
    """The dashboard of one service."""

    parts: ServiceParts
    notices: OrderedDict[str, Notice] = field(default_factory=OrderedDict)
    templates: Environment = field(default_factory=lambda: _environment())

    @property
    def home(self) -> Home:
        """The home, by the settings of the moment."""
        return self.parts.home()

    def page(
        self,
        request: Request,
        template: str,
        *,
        section: str = "",
        status: int = 200,
        notice: Notice | None = None,
        **values: object,
    ) -> Response:
        """Return a page.

        Args:
            request: What it answers.
            template: Name of its template.
            section: Of `SECTIONS`; empty for a page of none.
            status: HTTP status.
            notice: What it says of what was just done; without, what `done` left.
            **values: What the template shows.
        """
        text = self.templates.get_template(template).render(
            section=section,
            path=request.url.path,
            notice=notice or self.notices.get(request.query_params.get("told", "")),
            signed_in=self.parts.sessions.cookie in request.cookies,
            **values,
        )
        return HTMLResponse(text, status, headers=HEADERS)

    def done(
        self,
        address: str,
        text: str,
        *,
        undo: str = "",
        undo_label: str = "Undo",
        fields: Mapping[str, str] | None = None,
    ) -> Response:
        """Go on to a page after a form was taken, which says what was done.

        Args:
            address: The page's path, of this service.
            text: What was done.
            undo: Address of a form that takes it back.
            undo_label: What its button says.
            fields: What that form sends.
        """
        key = secrets.token_urlsafe(9)
        self.notices[key] = Notice(text, undo, undo_label, dict(fields or {}))
        while len(self.notices) > MOST_NOTICES:
            self.notices.popitem(last=False)
        return see(f"{address}{'&' if '?' in address else '?'}told={key}")


def see(address: str) -> Response:
    """Go on to another page of this service, by GET."""
    return RedirectResponse(quote(address, safe="/?&=#%"), 303, headers=HEADERS)


def _environment() -> Environment:
    """Return what renders templates: all that is shown is escaped."""
    made = Environment(
        loader=PackageLoader(__package__),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        count=readable.count,
        counted=readable.counted,
        share=readable.share,
        points=readable.points,
        decimal=readable.decimal,
        duration=readable.duration,
        size=readable.size,
        clock=readable.clock,
        since=readable.since,
        clipped=readable.clipped,
    )
    made.globals.update(asset=asset_url, sections=SECTIONS, release=__version__)
    return made
