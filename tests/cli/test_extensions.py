"""Commands of other packages: added where they load, told of where they do not."""

import sys
import types
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

from sleepcycle.cli.extensions import GROUP, add_extensions, installed
from sleepcycle.errors import ExtensionError


@pytest.fixture
def app():
    """A command line with one command of its own."""
    made = typer.Typer()
    made.command("own")(lambda: typer.echo("own"))
    return made


def run(app, *words):
    """Run one command."""
    return CliRunner().invoke(app, words, catch_exceptions=True)


def point(value, name="study"):
    """Return an entry point of our group."""
    return EntryPoint(name, value, GROUP)


def test_a_group_that_is_installed_is_a_command(app, monkeypatch):
    module, group = types.ModuleType("made_commands"), typer.Typer()
    group.command("list")(lambda: typer.echo("listed"))
    group.command("run")(lambda: typer.echo("ran"))
    module.group = group
    monkeypatch.setitem(sys.modules, "made_commands", module)

    add_extensions(app, [point("made_commands:group")])

    assert run(app, "study", "list").output == "listed\n"


@pytest.mark.parametrize("words", [(), ("run", "quick", "--out", "x"), ("--help",)])
def test_a_study_that_is_not_installed_says_how_to_install_it(app, words):
    """
    Whatever was asked of it.
    """
    add_extensions(app, [])

    error = run(app, "study", *words).exception

    assert isinstance(error, ExtensionError)
    assert "pip install ./study" in str(error)


@pytest.mark.parametrize(
    "value", ["nowhere_at_all:group", "json:nothing", "json:dumps"]
)
def test_a_group_that_cannot_be_loaded_spoils_no_other_command(app, capsys, value):
    add_extensions(app, [point(value, "broken")])

    assert "sleepcycle: broken " in capsys.readouterr().err
    assert run(app, "own").output == "own\n"


def test_the_study_beside_us_is_found():
    """
    It is installed in development.
    """
    assert [each.name for each in installed()] == ["study"]
