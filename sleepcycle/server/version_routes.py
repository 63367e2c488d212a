"""Routes of versions: look, compare, verify, move, name, carry out and in, clear."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from threading import Event
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import Field, Strict
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sleepcycle.backup.gc import KEPT_NIGHTS, clear
from sleepcycle.home.export_formats import ExportFormat
from sleepcycle.home.home import Home
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.server.command_json import card_json, verified_json, version_json
from sleepcycle.server.command_worker import (
    CommandOrder,
    HeavyCommand,
    do_in_worker,
)
from sleepcycle.server.heavy_work import HeavyWork
from sleepcycle.server.request_parts import (
    LARGEST,
    LISTED,
    Body,
    Limit,
    MachinePath,
    whole,
)
from sleepcycle.server.responses import answer
from sleepcycle.server.talk import Talk
from sleepcycle.server.unless_gone import threaded_unless_gone

OpenHome = Callable[[], Home]


class RollbackBody(Body):
    """Where to go back to."""

    version: str = "previous"
    requeue: bool = False


class ImportBody(Body):
    """What to take in."""

    path: MachinePath
    """A folder on this machine, by its whole path."""

    force: bool = False
    """Whether it is taken also where it was made for another base, and fits."""


class ExportBody(Body):
    """Where a version goes, and how."""

    path: MachinePath
    """A new folder on this machine, by its whole path."""

    format: Annotated[ExportFormat, Strict(False)] = ExportFormat.PEFT


class AliasBody(Body):
    """A name of the user's own."""

    alias: str


MOST_NAMES = 1000  # to verify at once; without any, all are


class VerifyBody(Body):
    """Which versions are verified; all, and the journal, if none is named."""

    names: Annotated[list[str], Field(max_length=MOST_NAMES)] = Field(
        default_factory=list
    )


class ClearBody(Body):
    """What is cleared."""

    dry_run: bool = False
    keep: Annotated[int, Field(ge=0, le=LARGEST)] = KEPT_NIGHTS


def add_version_routes(
    app: FastAPI, talk: Talk, home: OpenHome, heavy: HeavyWork
) -> None:
    """Add all that can be done with versions."""
    _look(app, talk, home, heavy)
    _move(app, talk)
    _name(app, home)
    _carry(app, talk, home, heavy)
    _clear(app, home)


def expect_known(home: OpenHome, names: Sequence[str]) -> None:
    """Refuse names of no version, before a process is started for them.

    Raises:
        VersionError: There is none of one of them.
    """
    versions = home().versions
    for name in names:
        versions.get(name)


def _look(app: FastAPI, talk: Talk, home: OpenHome, heavy: HeavyWork) -> None:
    """Add what looks at versions."""

    @app.get("/api/versions")
    @needs(TokenScope.READ)
    def versions(
        after: Annotated[str, Query(pattern=r"^(v[0-9]{1,18})?$")] = "",
        limit: Limit = LISTED,
    ) -> Response:
        """Return versions, oldest first; `after` is the last of the page before."""
        first = int(after[1:]) + 1 if after else 0
        every = home().versions.listing()
        found = [one for one in every if one.version.number >= first]
        return answer([version_json(one) for one in found[:limit]])

    @app.get("/api/versions/{name}")
    @needs(TokenScope.READ)
    def version(name: str) -> Response:
        """Return a version's card: where it comes from, and why it was accepted."""
        return answer(card_json(home().versions, name))

    @app.get("/api/versions/{first}/diff/{second}")
    @needs(TokenScope.READ)
    async def diff(request: Request, first: str, second: str) -> Response:
        """Compare what two versions change, and their held-out loss.

        It loads the base in a process of its own, for some seconds.
        """
        talk.expect_free()
        await run_in_threadpool(expect_known, home, [first, second])
        order = CommandOrder(
            str(talk.paths.root), HeavyCommand.DIFF, names=(first, second)
        )
        found = await heavy.do(request, partial(do_in_worker, order))
        return answer(json.loads(found))

    @app.post("/api/versions/verify")
    @needs(TokenScope.READ)
    async def verify(request: Request, body: VerifyBody) -> Response:
        """Check every byte of versions, and every entry of the journal.

        One such check is done at a time.
        """
        names = list(dict.fromkeys(body.names))

        def check(given_up: Event) -> dict[str, Any]:
            return verified_json(home().versions, names)

        return answer(await heavy.do(request, check))


def _move(app: FastAPI, talk: Talk) -> None:
    """Add what makes another version live."""

    @app.post("/api/rollback")
    @needs(TokenScope.ADMIN)
    def rollback(body: RollbackBody) -> Response:
        """Make an older version live again."""
        switch = talk.scheduler.rollback(body.version, requeue=body.requeue)
        return answer(asdict(switch))

    @app.post("/api/versions/{name}/promote")
    @needs(TokenScope.ADMIN)
    def promote(name: str) -> Response:
        """Make a version live."""
        return answer(asdict(talk.scheduler.promote(name)))


def _name(app: FastAPI, home: OpenHome) -> None:
    """Add what names versions."""

    @app.post("/api/versions/{name}/alias")
    @needs(TokenScope.ADMIN)
    def alias(name: str, body: AliasBody) -> Response:
        """Let a name of the user's own point at a version."""
        found = home().versions.alias(body.alias, name)
        return answer({"alias": body.alias, "version": found.name})

    @app.delete("/api/aliases/{alias}")
    @needs(TokenScope.ADMIN)
    def drop_alias(alias: str) -> Response:
        """Forget a name of the user's own."""
        home().versions.drop_alias(alias)
        return answer({"alias": alias, "version": None})


def _carry(app: FastAPI, talk: Talk, home: OpenHome, heavy: HeavyWork) -> None:
    """Add what carries versions out and in."""

    @app.post("/api/versions/{name}/export")
    @needs(TokenScope.ADMIN)
    async def export(request: Request, name: str, body: ExportBody) -> Response:
        """Write a version into a new folder of this machine."""
        folder = whole(body.path, "a new folder")
        talk.expect_free()
        await run_in_threadpool(expect_known, home, [name])
        order = CommandOrder(
            str(talk.paths.root),
            HeavyCommand.EXPORT,
            names=(name,),
            folder=str(folder),
            form=body.format,
        )
        found = await heavy.do(request, partial(do_in_worker, order))
        return answer(json.loads(found))

    @app.post("/api/versions/import")
    @needs(TokenScope.ADMIN)
    async def import_adapter(request: Request, body: ImportBody) -> Response:
        """Take in an adapter made elsewhere; it is not live.

        It is given up where who asked has gone.
        """
        path = whole(body.path, "a folder")

        def take_in(given_up: Event) -> dict[str, object]:
            version, made_for = talk.scheduler.import_adapter(
                path, force=body.force, given_up=given_up
            )
            said = {"made_for": made_for.base, "warning": made_for.warning}
            return {"version": version.name, **asdict(version), **said}

        return answer(await threaded_unless_gone(request, take_in))


def _clear(app: FastAPI, home: OpenHome) -> None:
    """Add what removes files that nothing needs."""

    @app.post("/api/versions/gc")
    @needs(TokenScope.ADMIN)
    def gc(body: ClearBody) -> Response:
        """Remove the files of versions that nothing needs, or tell what would go."""
        done = clear(home().versions, keep=body.keep, dry_run=body.dry_run)
        return answer(asdict(done))
