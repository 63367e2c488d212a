"""What the doctor finds: at once what is quick to look at, the rest when asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.dashboard.site import Site
from sleepcycle.doctor.doctor import QUICK, examine, is_healthy
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.server.command_json import doctor_json
from sleepcycle.server.command_worker import CommandOrder, HeavyCommand, do_in_worker
from sleepcycle.server.heavy_work import HeavyWork


@dataclass
class Examination:
    """The last whole examination that this service made."""

    found: Mapping[str, Any] | None = None
    at: datetime | None = None
    turn: HeavyWork = field(default_factory=HeavyWork)
    """Loads no base, so it waits for none that does."""

    def said_of(self, check: str) -> str:
        """Return what a check found; empty where nothing was looked at yet."""
        checks = self.found["checks"] if self.found else []
        return next((one["message"] for one in checks if one["check"] == check), "")


def add_doctor_page(app: FastAPI, site: Site, last: Examination) -> None:
    """Add what the doctor finds."""
    root = site.parts.paths.root

    @app.get("/care/doctor", include_in_schema=False)
    @needs(TokenScope.READ)
    def doctor(request: Request) -> Response:
        """Show what is quick to look at, and the last whole examination."""
        found = examine(root, answers=lambda: True, checks=QUICK)
        return site.page(
            request,
            "doctor.html",
            section="care",
            quick=doctor_json(found, healthy=is_healthy(found)),
            whole=last.found,
            at=last.at,
        )

    @app.post("/care/doctor", include_in_schema=False)
    @needs(TokenScope.READ)
    async def whole(request: Request) -> Response:
        """Examine everything, in a process of its own: hashes, rows, the base."""
        order = CommandOrder(str(root), HeavyCommand.DOCTOR)
        told = await last.turn.do(request, partial(do_in_worker, order))
        last.found, last.at = json.loads(told), datetime.now(UTC)
        return site.done("/care/doctor", "Everything was looked at.")
