"""Every command can be had over HTTP, or the page of HTTP says why not."""

from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from sleepcycle.cli import app
from sleepcycle.files.paths import HomePaths
from sleepcycle.server.routes import create_app
from tools.reference.commands import commands
from tools.reference.twins import TWINS, WITHOUT

COMMANDS = [command.name.removeprefix("sleepcycle ") for command in commands(app)]
ROUTES = {
    f"{method} {route.path}"
    for route in create_app(None, "", HomePaths(Path("/home"))).routes
    if isinstance(route, APIRoute)
    for method in route.methods
}


def group_of(command):
    """Return the group of a command that was named as a whole, or the command."""
    first, _, _ = command.partition(" ")
    return first if first in WITHOUT else command


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_a_route_or_a_reason(command):
    assert (command in TWINS) is not (group_of(command) in WITHOUT)


def test_every_route_that_is_named_is_there():
    assert set(TWINS.values()) <= ROUTES


def test_every_command_that_is_named_is_there():
    named = {name.partition(" --")[0] for name in (*TWINS, *WITHOUT)}

    assert named <= {*COMMANDS, *map(group_of, COMMANDS)}
