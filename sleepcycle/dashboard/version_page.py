"""One version: what it is, what it learned, why it was accepted, and its names."""

import json
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request
from starlette.responses import Response

from sleepcycle.dashboard.paging import leaf_of
from sleepcycle.dashboard.report_view import (
    batch_rows,
    dream_view,
    flattened,
    layer_row,
)
from sleepcycle.dashboard.run_page import DREAMS, ReportParts, report_parts
from sleepcycle.dashboard.site import Site
from sleepcycle.dashboard.version_tree import KINDS, made_of
from sleepcycle.errors import VersionError
from sleepcycle.files.runfolder import read_dreams
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.home.versions import VersionListing, VersionRegistry
from sleepcycle.records.example import Dream
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.version import VersionKind
from sleepcycle.server.access import needs
from sleepcycle.store.values import Alias

MOST_LINKS = 50  # batches and conversations that are named
OWN = frozenset(Alias)
RUNS = {VersionKind.WAKE: RunKind.WAKE, VersionKind.SLEEP: RunKind.SLEEP}


def add_version_page(app: FastAPI, site: Site) -> None:
    """Add the page of a version, and the forms on it."""
    _page(app, site)
    _names(app, site)
    _check(app, site)


def _page(app: FastAPI, site: Site) -> None:
    """Add the page."""

    @app.get("/versions/{name}", include_in_schema=False)
    @needs(TokenScope.READ)
    def version(
        request: Request, name: str, layers: str = "", dreams: str = ""
    ) -> Response:
        """Show one version."""
        registry = site.home.versions
        listing = registry.listing()
        one = _listed(listing, registry.get(name).number)
        card = json.loads(registry.card(one.version.name))
        learned = registry.learned(one.version.name)
        return site.page(
            request,
            "version.html",
            section="versions",
            one=one,
            card=card,
            kind=KINDS[one.version.kind],
            made_of=made_of(one.version),
            children=[
                each.version.name
                for each in listing
                if one.version.number in each.version.parents
            ][:MOST_LINKS],
            learned=learned,
            itself={int(batch): number for batch, number in card["batches"].items()},
            batches=list(learned.items())[-MOST_LINKS:][::-1],
            conversations=(card.get("conversations") or [])[:MOST_LINKS],
            told=_told(one, card, layers),
            dreams=leaf_of(_dreams(registry, one), dreams, DREAMS),
            dream_view=dream_view,
            layer_row=layer_row,
            batch_rows=batch_rows,
            own=[alias for alias in one.aliases if alias not in OWN],
            is_live=Alias.LIVE in one.aliases,
            settings=flattened(card.get("settings") or {}),
            export=registry.paths.command(f"versions export {one.version.name} FOLDER"),
        )


def _names(app: FastAPI, site: Site) -> None:
    """Add the forms that name a version."""

    @app.post("/versions/{name}/alias", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def add(name: str, alias: Annotated[str, Form()] = "") -> Response:
        """Let a name of the user's own point at a version."""
        registry, wanted = site.home.versions, alias.strip()
        before = _pointed_at(registry, wanted)
        found = registry.alias(wanted, name)
        undo = "alias" if before else "drop-alias"
        return site.done(
            f"/versions/{found.name}",
            f"{wanted} is {found.name} now.",
            undo=f"/versions/{before or found.name}/{undo}",
            fields={"alias": wanted},
        )

    @app.post("/versions/{name}/drop-alias", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def drop(name: str, alias: Annotated[str, Form()] = "") -> Response:
        """Forget a name of the user's own."""
        registry = site.home.versions
        found = registry.get(name)
        registry.drop_alias(alias)
        return site.done(
            f"/versions/{found.name}",
            f"{alias} is forgotten.",
            undo=f"/versions/{found.name}/alias",
            fields={"alias": alias},
        )


def _check(app: FastAPI, site: Site) -> None:
    """Add the form that checks every byte of a version."""

    @app.post("/versions/{name}/verify", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    async def verify(request: Request, name: str) -> Response:
        """Check a version against its manifest; one such check is done at a time."""

        def check(given_up: Event) -> dict[str, list[str]]:
            return site.home.versions.verify([name])

        found = await site.parts.heavy.do(request, check)
        [(checked, faults)] = found.items() or [(name, None)]
        if faults is None:
            said = f"{checked} is the bare base, which has no files of its own."
        elif faults:
            said = f"{checked} is damaged: {'; '.join(faults)}. Restore a backup of it."
        else:
            said = f"{checked} holds: every byte of it is what was sealed."
        return site.done(f"/versions/{checked}", said)


def _listed(listing: Sequence[VersionListing], number: int) -> VersionListing:
    """Return one version of a list of all."""
    return next(one for one in listing if one.version.number == number)


def _told(
    one: VersionListing, card: Mapping[str, Any], layers: str
) -> ReportParts | None:
    """Return what is shown of the report on a card, if it has one."""
    kind, report = RUNS.get(one.version.kind), card.get("report")
    if kind is None or not report:
        return None
    return report_parts(kind, report, card.get("settings") or {}, layers)


def _dreams(registry: VersionRegistry, one: VersionListing) -> list[Dream]:
    """Return what is sealed with a version of what was dreamt."""
    if one.removed_at is not None or one.version.folder is None:
        return []
    return read_dreams(registry.paths.versions / one.version.folder)


def _pointed_at(registry: VersionRegistry, alias: str) -> str | None:
    """Return the version that a name points at; None where it is free."""
    try:
        return registry.get(alias).name
    except VersionError:
        return None
