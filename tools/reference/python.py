"""The page of what can be called from Python, from the classes themselves."""

import sleepcycle
from sleepcycle.home.batches import BatchRegistry
from sleepcycle.home.home import Home
from sleepcycle.home.run_history import RunHistory
from sleepcycle.home.versions import VersionRegistry
from sleepcycle.server.api_client import Client
from sleepcycle.server.client_parts import (
    BatchClient,
    InboxClient,
    RunClient,
    TokenClient,
    VersionClient,
)
from sleepcycle.server.client_tuning import FileClient, TuningClient
from tools.reference.records import class_section, signature

HEAD = """\
# Python

What can be called from Python, with the first line of each docstring; `help(…)` shows arguments and errors.
Every error that is foreseen is a `sleepcycle.errors.SleepcycleError`. A short tour is in [use from Python](../how-to/use-from-python.md).
While a service runs it owns the home: what makes or moves versions is then refused with a `HomeError`.
"""
CLIENT = """\
The same over HTTP is `sleepcycle.Client(url, token)`; [use it from a program](../how-to/use-it-from-a-program.md) shows it.
"""
CLASSES = {
    Home: "home",
    VersionRegistry: "home.versions",
    BatchRegistry: "home.batches",
    RunHistory: "home.runs",
}
PARTS = {
    Client: "client",
    VersionClient: "client.versions",
    BatchClient: "client.batches",
    RunClient: "client.runs",
    InboxClient: "client.inbox",
    FileClient: "client.files",
    TuningClient: "client.tuning",
    TokenClient: "client.tokens",
}


def python_page() -> str:
    """Return `sleepcycle.open`, and a table a class."""
    opened = (sleepcycle.open.__doc__ or "").split("\n")[0]
    parts = [HEAD, "## `sleepcycle`", "", "| call | what it does |", "|---|---|"]
    parts += [f"| `sleepcycle.{signature(sleepcycle.open)}` | {opened} |", ""]
    for kind, owner in CLASSES.items():
        parts += class_section(kind, owner)
    parts += [CLIENT]
    for kind, owner in PARTS.items():
        parts += class_section(kind, owner)
    return "\n".join(parts).rstrip() + "\n"
