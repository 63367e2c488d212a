"""What a feed prints, and how examples look as the model sees them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from sleepcycle.cli.render import (
    console,
    counted,
    printable,
    show_json,
    show_table,
)
from sleepcycle.records.example import report_fields
from sleepcycle.server.command_json import examples_json

if TYPE_CHECKING:
    from sleepcycle.records.example import FeedReport
    from sleepcycle.records.shown import Segment, ShownExample
    from sleepcycle.store.values import StoredExample

MOST_CHARS = 800  # of one part of a sequence that are printed
MOST_SEQUENCES = 3  # of one example
MARKS = ("[[", "]]")
"""Stand around what is learned, since a terminal may have no colours."""


def show_feed(
    report: "FeedReport", shown: "Sequence[ShownExample]", *, as_json: bool
) -> None:
    """Print what a feed brought, and on a dry run how its first rows are learned."""
    if as_json:
        return show_json(report_fields(report, shown))
    show_table(
        ["batch", "lines", "accepted", "duplicate", "quarantined", "held out"],
        [
            [
                report.batch if report.batch is not None else "dry run",
                report.lines,
                report.accepted,
                report.duplicate,
                report.quarantined,
                report.held_out,
            ]
        ],
    )
    if report.provenance:
        keys = ", ".join(f"{key} ({n})" for key, n in report.provenance.items())
        print(printable(f"kept beside the examples, not learned: {keys}"))
    if report.reasons:
        show_table(["code", "rows"], sorted(report.reasons.items()))
        for why, rows in report.refusals.items():
            print(printable(f"refused, {counted(rows, 'row')}: {why}"))
        if report.batch is not None:
            print(f"see them: sleepcycle batches quarantine {report.batch}")
    show_examples(shown)


def show_examples(shown: "Iterable[ShownExample]") -> None:
    """Print examples as the model sees them, what is learned in double brackets."""
    for number, example in enumerate(shown, 1):
        print()
        if example.fault:
            print(printable(f"example {number}: set aside, {example.fault}"))
            continue
        count = counted(len(example.sequences), "sequence")
        cut = f", {example.cut} tokens of prompts cut" if example.cut else ""
        if example.left_out:
            cut += f", {counted(example.left_out, 'answer')} too long to be learned"
        print(f"example {number}: {count}{cut}; in {MARKS[0]} {MARKS[1]} is learned")
        for sequence in example.sequences[:MOST_SEQUENCES]:
            console.print(_marked(sequence), soft_wrap=True)
        more = len(example.sequences) - MOST_SEQUENCES
        if more > 0:
            print(f"and {counted(more, 'sequence')} more")


def _marked(sequence: "Sequence[Segment]") -> Text:
    """Return a sequence with marks around what is learned; long parts are cut."""
    text = Text()
    for segment in sequence:
        said = printable(_short(segment.text))
        if segment.weight:
            weight = "" if segment.weight == 1 else f"{segment.weight:g}:"
            said = f"{MARKS[0]}{weight}{said}{MARKS[1]}"
        text.append(said, style="bold" if segment.weight else "dim")
    return text


def _short(text: str) -> str:
    """Return a text without its middle, where it is long."""
    if len(text) <= MOST_CHARS:
        return text
    half = MOST_CHARS // 2
    return f"{text[:half]} ... ({len(text) - 2 * half} characters) ... {text[-half:]}"


def show_stored(
    stored: "Sequence[StoredExample]",
    shown: "Sequence[ShownExample]",
    *,
    as_json: bool,
) -> None:
    """Print stored examples as the model sees them, and what was kept beside them."""
    if as_json:
        return show_json(examples_json(stored, shown))
    show_table(
        ["example", "line", "state", "kept beside"],
        [[one.id, one.line, one.state, one.provenance] for one in stored],
    )
    show_examples(shown)
