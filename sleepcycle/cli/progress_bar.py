"""How far a run or a feed is: loss, tokens a second, time left, rows read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from sleepcycle.cli.safe_console import SafeConsole
from sleepcycle.records.progress import HEARTBEAT, OnProgress
from sleepcycle.records.progress import Progress as Heartbeat


@contextmanager
def progress_bar(*, visible: bool) -> Iterator[OnProgress]:
    """Yield what takes a run's heartbeats; on a terminal they are drawn there."""
    console = SafeConsole(stderr=True)
    with Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[facts]}"),
        console=console,
        disable=not (visible and console.is_terminal),  # elsewhere it is an empty line
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=1, facts="")

        def take(heartbeat: Heartbeat) -> None:
            if heartbeat == HEARTBEAT:
                return
            bar.update(
                task,
                description=heartbeat.stage,
                completed=heartbeat.step,
                total=heartbeat.steps,
                facts=facts(heartbeat),
            )

        yield take


@contextmanager
def row_counter(*, visible: bool) -> Iterator[Callable[[int], None]]:
    """Yield what takes the rows read so far; on a terminal they are shown there."""
    console = SafeConsole(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} rows read"),
        console=console,
        disable=not (visible and console.is_terminal),
        transient=True,
    ) as line:
        task = line.add_task("reading", total=None)

        def take(rows: int) -> None:
            line.update(task, completed=rows)

        yield take


def facts(heartbeat: Heartbeat) -> str:
    """Return what a heartbeat measured, and how long the run expects to go on."""
    parts = []
    if heartbeat.loss is not None:
        parts.append(f"loss {heartbeat.loss:.3f}")
    if heartbeat.held_out is not None:
        parts.append(f"held out {heartbeat.held_out:.3f}")
    if heartbeat.confidence is not None:
        parts.append(f"{heartbeat.confidence:.0%} sure")
    if heartbeat.tokens_per_second is not None:
        parts.append(f"{heartbeat.tokens_per_second:,.0f} tokens/s")
    if heartbeat.mfu is not None:
        parts.append(f"{heartbeat.mfu:.0%} of peak")
    if heartbeat.left_s is not None:
        parts.append(f"{timedelta(seconds=round(heartbeat.left_s))} left")
    return "  ".join(parts)
