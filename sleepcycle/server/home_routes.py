"""Routes of the home as a whole: the doctor, backups, tokens."""

import json
from dataclasses import asdict
from functools import partial

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.backup.backup import back_up
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.scoped_tokens import (
    TokenScope,
    list_tokens,
    new_token,
    revoke_token,
    scopes_of,
)
from sleepcycle.server.access import needs
from sleepcycle.server.command_json import token_json
from sleepcycle.server.command_worker import (
    CommandOrder,
    HeavyCommand,
    do_in_worker,
)
from sleepcycle.server.heavy_work import HeavyWork
from sleepcycle.server.request_parts import Body, MachinePath, whole
from sleepcycle.server.responses import answer
from sleepcycle.server.version_routes import OpenHome


class BackupBody(Body):
    """Where a backup goes."""

    path: MachinePath | None = None
    """A new file on this machine, or a folder; none for the home's own backups."""


class TokenBody(Body):
    """What a new token lets its holder do."""

    scope: str
    """Any of feed, talk, read and admin, divided by commas."""

    name: str = ""


def add_home_routes(app: FastAPI, paths: HomePaths, home: OpenHome) -> None:
    """Add what cares for a home."""
    _care(app, paths, home)
    _tokens(app, paths)


def _care(app: FastAPI, paths: HomePaths, home: OpenHome) -> None:
    """Add what examines a home, and what backs it up."""
    examining = HeavyWork()  # loads no base, so it waits for none that does

    @app.get("/api/doctor")
    @needs(TokenScope.READ)
    async def doctor(request: Request) -> Response:
        """Look for whatever is wrong, and change nothing."""
        order = CommandOrder(str(paths.root), HeavyCommand.DOCTOR)
        found = await examining.do(request, partial(do_in_worker, order))
        return answer(json.loads(found))

    @app.post("/api/backup")
    @needs(TokenScope.ADMIN)
    def backup(body: BackupBody) -> Response:
        """Write the home's database, versions and settings into one file."""
        file = None if body.path is None else whole(body.path, "a new file")
        opened = home()
        done = back_up(paths, opened.settings.store, file, actor=opened.actor)
        return answer(asdict(done))


def _tokens(app: FastAPI, paths: HomePaths) -> None:
    """Add what lets other programs in."""

    @app.get("/api/tokens")
    @needs(TokenScope.ADMIN)
    def tokens() -> Response:
        """Return the tokens by id, name, scopes and time, and never the token."""
        return answer([token_json(each) for each in list_tokens(paths)])

    @app.post("/api/tokens")
    @needs(TokenScope.ADMIN)
    def new(body: TokenBody) -> Response:
        """Make a token; it is shown only now."""
        made, kept = new_token(paths, scopes_of(body.scope), body.name)
        return answer({"token": made, **token_json(kept)})

    @app.delete("/api/tokens/{id}")
    @needs(TokenScope.ADMIN)
    def revoke(id: str) -> Response:
        """Let a token open nothing any more."""
        return answer(token_json(revoke_token(paths, id)))
