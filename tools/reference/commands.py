"""The page of commands, from the help of the command line."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import typer
from typer.models import ArgumentInfo, OptionInfo

from sleepcycle.cli import app
from sleepcycle.daemon.main import TAKEN
from sleepcycle.errors import DISK_FAILED

KINDS = {int: "NUMBER", float: "NUMBER", Path: "PATH"}
HEAD = f"""\
# Commands

Made from what `sleepcycle COMMAND --help` says.
`--home DIR` stands before the command; else `SLEEPCYCLE_HOME`, else `~/.local/share/sleepcycle` is the home.
The keys of `--json` are in [json](json.md).

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | a foreseen error, told in one line on standard error; or a check that failed |
| 2 | wrong usage |
| {DISK_FAILED} | the disk failed to keep what was written; a disk that is only full is 1 |
| {TAKEN} | another process owns the home |
"""


@dataclass(frozen=True)
class Command:
    """One command of the command line."""

    words: tuple[str, ...]
    call: Callable[..., object]

    @property
    def name(self) -> str:
        """Return the words that name it."""
        return " ".join(self.words)

    @property
    def told(self) -> str:
        """Return what help says of it."""
        return " ".join((inspect.getdoc(self.call) or "").split())


@dataclass(frozen=True)
class Parameter:
    """One argument or option of a command."""

    name: str
    kind: Any
    info: ArgumentInfo | OptionInfo
    default: Any
    """What stands behind `=`; `inspect.Parameter.empty` where nothing does."""


def commands_page() -> str:
    """Return each command with its arguments and options."""
    parts = [HEAD]
    for command in commands(app):
        parts += _section(command)
    return "\n".join(parts).rstrip() + "\n"


def commands(group: typer.Typer, words: tuple[str, ...] = ()) -> Iterator[Command]:
    """Yield each command that help shows, those of inner groups last."""
    for each in group.registered_commands:
        if each.callback is not None and not each.hidden:
            name = each.name or each.callback.__name__.replace("_", "-")
            yield Command((*words, name), each.callback)
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            yield from commands(inner.typer_instance, (*words, str(inner.name)))


def _parameters(command: Command) -> Iterator[Parameter]:
    """Yield what a command takes, as its signature says it."""
    for name, found in inspect.signature(command.call).parameters.items():
        kind, *notes = get_args(found.annotation) or [found.annotation]
        if kind is not typer.Context:
            infos = [one for one in notes if isinstance(one, ArgumentInfo | OptionInfo)]
            info = infos[0] if infos else ArgumentInfo()
            if not info.hidden:
                yield Parameter(name, kind, info, found.default)


def _section(command: Command) -> list[str]:
    """Return the section of one command."""
    taken = list(_parameters(command))
    arguments = [each for each in taken if isinstance(each.info, ArgumentInfo)]
    options = [each for each in taken if isinstance(each.info, OptionInfo)]
    usage = " ".join(["sleepcycle", *command.words, *map(_argument, arguments)])
    rows = [f"| `{_argument(each)}` | {_told(each)} |" for each in arguments]
    rows += [f"| `{_option(each)}` | {_told(each)} |" for each in options]
    table = ["| | |", "|---|---|", *rows, ""] if rows else []
    return [f"## `{command.name}`", "", f"    {usage}", "", command.told, "", *table]


def _argument(taken: Parameter) -> str:
    """Return an argument as it stands in a usage."""
    name = str(taken.info.metavar or taken.name.upper())
    name += "…" * ("list[" in str(taken.kind))
    return name if taken.default is inspect.Parameter.empty else f"[{name}]"


def _option(taken: Parameter) -> str:
    """Return an option as it is typed."""
    said = [taken.info.default, *(taken.info.param_decls or ())]
    declared = [name for name in said if isinstance(name, str) and name[:1] == "-"]
    plain = f"--{taken.name.replace('_', '-')}"
    flag = taken.kind is bool
    names = ", ".join(declared) or (f"{plain}, --no-{plain[2:]}" if flag else plain)
    return names if flag else f"{names} {_kind(taken.kind)}"


def _kind(kind: Any) -> str:  # noqa: ANN401
    """Return what an option takes."""
    parts = [part for part in get_args(kind) if part is not type(None)] or [kind]
    if isinstance(parts[0], type) and issubclass(parts[0], StrEnum):
        return "\\|".join(parts[0])
    return KINDS.get(parts[0], "TEXT")


def _told(taken: Parameter) -> str:
    """Return what help says of a parameter, and its default where it shows one."""
    said = " ".join((taken.info.help or "").split())
    default, shown = taken.default, taken.info.show_default is not False
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    if plain and default != "" and shown:
        said = f"{said} Default: `{default}`.".strip()
    return said.replace("|", "\\|")
