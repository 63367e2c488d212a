"""All pages of the dashboard, over the control of a service."""

from functools import partial

from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.responses import Response

from sleepcycle.dashboard.assets import assets
from sleepcycle.dashboard.care_section import add_care_pages
from sleepcycle.dashboard.data_section import add_data_pages
from sleepcycle.dashboard.error_pages import ErrorPages, unforeseen_page
from sleepcycle.dashboard.live_page import add_live_page
from sleepcycle.dashboard.memory_page import add_memory_page
from sleepcycle.dashboard.now_page import add_now_page
from sleepcycle.dashboard.run_page import add_run_page
from sleepcycle.dashboard.sign_in import add_sign_in
from sleepcycle.dashboard.site import Site
from sleepcycle.dashboard.talk_feedback import add_talk_feedback
from sleepcycle.dashboard.talk_page import add_talk_page
from sleepcycle.dashboard.timeline_page import add_timeline_page
from sleepcycle.dashboard.version_page import add_version_page
from sleepcycle.dashboard.versions_page import add_versions_page
from sleepcycle.server import server
from sleepcycle.server.access import open_to_all
from sleepcycle.server.service_parts import ServiceParts

FOREVER = "public, max-age=31536000, immutable"


def add_dashboard(app: FastAPI, parts: ServiceParts) -> Middleware:
    """Add all pages to a service, and return what turns errors into pages."""
    site = Site(parts)
    _assets(app)
    add_sign_in(app, site)
    add_now_page(app, site)
    add_talk_page(app, site)
    add_talk_feedback(app, site)
    add_timeline_page(app, site)
    add_memory_page(app, site)
    add_run_page(app, site)
    add_versions_page(app, site)
    add_version_page(app, site)
    add_live_page(app, site)
    add_data_pages(app, site)
    app.add_exception_handler(Exception, unforeseen_page(site))
    add_care_pages(app, site)
    return Middleware(ErrorPages, site=site)


def _assets(app: FastAPI) -> None:
    """Add styles and scripts; anyone may have them, for the page of the sign-in too."""
    known = assets()

    @app.get("/assets/{name}", include_in_schema=False)
    @open_to_all
    async def asset(request: Request, name: str) -> Response:
        """Return one; it is kept for ever by whoever named its content."""
        found = known.get(name)
        if found is None:
            return Response("no such asset", 404, media_type="text/plain")
        is_named = request.query_params.get("v") == found.tag
        headers = {
            "Cache-Control": FOREVER if is_named else "no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(found.content, media_type=found.media_type, headers=headers)


start = partial(server.start, extend=add_dashboard)
"""Serves the control of a home, and the dashboard over it."""
