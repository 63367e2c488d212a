"""How batches, quarantined rows and runs look."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sleepcycle.cli.render import (
    clean,
    console,
    one_line,
    show_facts,
    show_json,
    show_table,
)
from sleepcycle.records.content import canonical_json
from sleepcycle.server.command_json import (
    bad_row_json,
    batch_json,
    dream_json,
    dreamer,
    preview,
    run_json,
)

if TYPE_CHECKING:
    from sleepcycle.records.content import Content
    from sleepcycle.records.example import BadRow, Dream
    from sleepcycle.store.values import Batch, ExampleState, Run


def show_batches(batches: "Sequence[Batch]", *, as_json: bool) -> None:
    """Print batches, a row each."""
    if as_json:
        return show_json(batches)
    show_table(
        ["batch", "source", "format", "lines", "accepted", "held out", "fed"],
        [
            [b.id, b.source, b.format, b.lines, b.accepted, b.held_out, b.created_at]
            for b in batches
        ],
    )


def show_batch(
    batch: "Batch", states: "Mapping[ExampleState, int]", *, as_json: bool
) -> None:
    """Print one batch, and where its examples are now."""
    now = {str(state): count for state, count in states.items()}
    if as_json:
        return show_json(batch_json(batch, states))
    show_batches([batch], as_json=False)
    show_table(list(now), [list(now.values())])


def show_bad_rows(rows: "Iterable[BadRow]", *, as_json: bool) -> None:
    """Print quarantined rows: where, why, and how they begin."""
    if as_json:
        return show_json([bad_row_json(row) for row in rows])
    show_table(
        ["file", "line", "byte", "code", "why", "row"],
        [[r.file, r.line, r.offset, r.code, r.message, preview(r.raw)] for r in rows],
    )


def show_moved(moved: "Mapping[str, int]", *, as_json: bool) -> None:
    """Print where the examples of a batch are now, by state."""
    if as_json:
        return show_json(moved)
    (_, batch), (state, count), *others = moved.items()
    more = "".join(f", {count} {state}" for state, count in others)
    print(f"{count} examples of batch {batch} are now {state}{more}")


def show_runs(runs: "Sequence[Run]", *, as_json: bool) -> None:
    """Print runs, a row each."""
    if as_json:
        return show_json(runs)
    show_table(
        ["run", "kind", "state", "started", "ended", "error"],
        [[r.id, r.kind, r.state, r.started_at, r.ended_at, r.error] for r in runs],
    )


def show_run(run: "Run", phase: str | None, *, as_json: bool) -> None:
    """Print what a run reported, and which phase of a curriculum it learned."""
    found = run_json(run, phase)
    if as_json:
        return show_json(found)
    show_runs([run], as_json=False)
    if phase is not None:
        print(f"phase: {one_line(phase)}")
    report = found["report"]
    if report is None:
        return
    facts = {k: v for k, v in report.items() if not isinstance(v, dict | list)}
    show_facts(facts)
    console.print(clean(report["verdict"]["reason"]))


def show_dreams(dreams: "Sequence[Dream]", *, as_json: bool) -> None:
    """Print dreams: who dreamt, and what."""
    if as_json:
        return show_json([dream_json(dream) for dream in dreams])
    show_table(
        ["version", "dream"],
        [
            [dreamer(d), " | ".join(map(str, _fields(d.content).values()))]
            for d in dreams
        ],
    )


def _fields(content: "Content") -> dict[str, Any]:
    """Return content as it is stored."""
    fields: dict[str, Any] = json.loads(canonical_json(content))
    return fields
