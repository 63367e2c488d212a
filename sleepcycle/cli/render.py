"""How records look on a terminal: tables, and JSON for programs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sleepcycle.records.codec import dumps

console = Console(highlight=False)


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
    return escape(printable(str(value)))


def printable(text: str) -> str:
    """Return text with control characters shown by their code.

    Line breaks and tabs stay as they are.
    """
    return "".join(
        char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}"
        for char in text
    )
