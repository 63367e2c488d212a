"""How records look on a terminal: tables, and JSON for programs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from sleepcycle.cli.safe_console import SafeConsole
from sleepcycle.records.codec import dumps
from sleepcycle.records.plain_text import one_line, printable

__all__ = [
    "clean",
    "console",
    "counted",
    "facts_table",
    "one_line",
    "printable",
    "show_facts",
    "show_json",
    "show_table",
]

console = SafeConsole()


def show_json(value: Any) -> None:  # noqa: ANN401 - whatever the command returns
    """Print a value as JSON."""
    print(dumps(value, indent=1))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under column names; control characters never reach the terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(clean(cell) for cell in row))
    console.print(table)


def show_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, a line each."""
    console.print(facts_table(facts))


def facts_table(facts: Mapping[str, object]) -> Table:
    """Return names and values, a line each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(clean(name.replace("_", " ")), clean(value))
    return table


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as `1 row` and `2 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clean(value: object) -> str:
    """Return a value as text that is safe to print."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.4g}"
    return escape(one_line(str(value)))
