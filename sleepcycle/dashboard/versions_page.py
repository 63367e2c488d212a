"""All versions: the tree of them, what the gate measured over time, two compared."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.dashboard.paging import number_or_none
from sleepcycle.dashboard.site import Site, see
from sleepcycle.dashboard.version_difference import Compared, difference
from sleepcycle.dashboard.version_tree import KINDS, made_of, metric, tree_page
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.version import VersionKind
from sleepcycle.server.access import needs

PAGE = 50  # versions
NIGHTS = "nights"


def add_versions_page(app: FastAPI, site: Site) -> None:
    """Add the tree of versions, and what compares two of them."""

    @app.get("/versions", include_in_schema=False)
    @needs(TokenScope.READ)
    def versions(request: Request, before: str = "", show: str = "") -> Response:
        """Show versions, newest first; `before` ends the page before."""
        registry = site.home.versions
        page = tree_page(
            registry.listing(),
            number_or_none(before.removeprefix("v"), "a version"),
            PAGE,
            nights=show == NIGHTS,
        )
        nights = [
            one.root.version.number
            for one in page.branches
            if one.root.version.kind is VersionKind.SLEEP and one.root.version.accepted
        ]
        figures = registry.gate_figures(nights)
        return site.page(
            request,
            "versions.html",
            section="versions",
            tree=page,
            figures=figures,
            figure_of={one.version: one for one in figures},
            drawing=metric(figures),
            kinds=KINDS,
            made_of=made_of,
            before=before,
            show=show if show == NIGHTS else "",
        )

    @app.get("/versions/compare", include_in_schema=False)
    @needs(TokenScope.READ)
    def choose(a: str = "", b: str = "") -> Response:
        """Go on to the page that compares two versions."""
        registry = site.home.versions
        first, second = (registry.get(name.strip()).name for name in (a, b))
        return see(f"/versions/{first}/compare/{second}")

    @app.get("/versions/{first}/compare/{second}", include_in_schema=False)
    @needs(TokenScope.READ)
    def compare(request: Request, first: str, second: str) -> Response:
        """Show in what two versions differ, by their cards."""
        registry = site.home.versions
        pair = registry.get(first), registry.get(second)
        compared = (
            Compared(registry.card(one.name), registry.learned(one.name))
            for one in pair
        )
        return site.page(
            request,
            "compare.html",
            section="versions",
            pair=pair,
            groups=difference(*compared),
        )
