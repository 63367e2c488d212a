"""Nothing that can be asked is left out of the golden files."""

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from sleepcycle.files.paths import HomePaths
from sleepcycle.server.routes import create_app
from tests.contract import golden

NOT_LIVED = {
    "study run": "trains for minutes; study/tests/test_commands.py calls it",
}
"""Commands with `--json` that the life does not call, and why."""

REPORTS = sorted(
    name.removeprefix("sleepcycle ")
    for name, text in golden.read("help.txt").items()
    if " --json " in text
)
ROUTES = sorted(
    f"{method} {route.path}"
    for route in create_app(None, "", HomePaths(Path("/home"))).routes
    if isinstance(route, APIRoute)
    for method in route.methods
)


def calls(command):
    """Return the golden answers of a command."""
    said = golden.parts("json.json")
    return [name for name in said if re.match(rf"{command}(?![\w-])", name)]


def test_commands_and_routes_are_found():
    """
    Else the tests below would hold nothing.
    """
    assert len(REPORTS) > 25
    assert len(ROUTES) > 10


@pytest.mark.parametrize("command", REPORTS)
def test_a_command_that_reports_is_held(command):
    """
    One that is held no longer belongs into the exceptions.
    """
    assert bool(calls(command)) is not (command in NOT_LIVED)


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_is_held(route):
    """
    With an answer of its own, not that of the guard or of a missing route.
    """
    method, _, path = route.partition(" ")
    place = "[^/ ]+".join(map(re.escape, re.split(r"{\w+}", path)))
    form = re.compile(rf"{method} {place}( \(|$)")
    answers = golden.read("http.json")
    found = [answer for name, answer in answers.items() if form.match(name)]

    assert [answer for answer in found if answer["status"] not in {401, 403, 405}]
