"""The progress bar of a run: loss, tokens a second, time left."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sleepcycle.cycle.keeper import OnProgress
from sleepcycle.records import Progress as Heartbeat


@contextmanager
def progress_bar(*, visible: bool) -> Iterator[OnProgress]:
    """Yield what takes a run's heartbeats; they are drawn on standard error."""
    with Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not visible,
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=1, facts="")

        def take(heartbeat: Heartbeat) -> None:
            bar.update(
                task,
                description=heartbeat.stage,
                completed=heartbeat.step,
                total=heartbeat.steps,
                facts=_facts(heartbeat),
            )

        yield take


def _facts(heartbeat: Heartbeat) -> str:
    """Say what a heartbeat measured."""
    parts = []
    if heartbeat.loss is not None:
        parts.append(f"loss {heartbeat.loss:.3f}")
    if heartbeat.tokens_per_second is not None:
        parts.append(f"{heartbeat.tokens_per_second:,.0f} tokens/s")
    return "  ".join(parts)
