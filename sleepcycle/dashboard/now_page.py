"""The first page: what the service is doing and why, and what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.daemon.state import Activity, DaemonState
from sleepcycle.dashboard.memory_page import LAST_RUNS, RetainedBatch, lessons_of
from sleepcycle.dashboard.readable import clock, counted, duration, since
from sleepcycle.dashboard.site import Site
from sleepcycle.files.inbox_files import not_fed
from sleepcycle.home.run_history import RunHistory
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.run_order import RunKind
from sleepcycle.server.access import needs
from sleepcycle.store.snapshot import read_snapshot
from sleepcycle.store.values import Alias, NightScores, RunEntry, Snapshot

MOST_STRENGTHS = 3


@dataclass(frozen=True, slots=True)
class Button:
    """The one thing to do now."""

    label: str
    address: str
    method: str = "post"
    why: str = ""


def add_now_page(app: FastAPI, site: Site) -> None:
    """Add the first page, and the forms on it."""
    scheduler, paths = site.parts.scheduler, site.parts.paths

    @app.get("/", include_in_schema=False)
    @needs(TokenScope.READ)
    def now(request: Request) -> Response:
        """Show what the service does, why, and what comes next."""
        state, snapshot = scheduler.state(), read_snapshot(paths)
        present, home = datetime.now(UTC), site.home
        nights = home.runs.night_scores(snapshot.aliases[Alias.LIVE] + 1, 1)
        strengths = strengths_of(nights)
        return site.page(
            request,
            "now.html",
            section="now",
            state=state,
            home=snapshot,
            sentence=sentence(state, snapshot, present),
            button=button(state, snapshot),
            inbox=not_fed(paths.inbox),
            learned=last_learned(home.runs),
            strengths=strengths,
            measured=f"v{nights[0].version}" if nights else "",
            sources=home.batches.sources([one.batch for one in strengths]),
        )

    @app.post("/wake", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def wake() -> Response:
        """Begin to learn what is pending."""
        scheduler.wake()
        return site.done("/", "Learning has begun.")

    @app.post("/sleep", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def sleep() -> Response:
        """Begin a night."""
        scheduler.sleep()
        return site.done("/", "The night has begun.")

    @app.post("/pause", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def pause() -> Response:
        """Let nothing begin by itself any more."""
        scheduler.pause()
        return site.done("/", "Paused: nothing begins by itself.", undo="/resume")

    @app.post("/resume", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def resume() -> Response:
        """Let things begin by themselves again."""
        scheduler.resume()
        return site.done("/", "It goes on by itself again.", undo="/pause")


def sentence(state: DaemonState, home: Snapshot, present: datetime) -> str:
    """Return what the service is doing, and why or why not, in one sentence.

    Args:
        state: What it does.
        home: What there is.
        present: The moment, aware.
    """
    verb = "waits" if home.counts.pending == 1 else "wait"
    waiting = f"{counted(home.counts.pending, 'example')} {verb}"
    night = f"the next night begins {since(state.next_night, present)}"
    if state.kind is not None:
        left_s = state.progress.left_s if state.progress else None
        left = f", {duration(left_s)} left" if left_s else ""
        what = {
            RunKind.WAKE: f"It is learning {counted(home.counts.claimed, 'example')}",
            RunKind.SLEEP: "It is asleep: what was learned is folded into one adapter",
        }[state.kind]
        return f"{what}{left}."
    if state.word is Activity.PAUSED:
        ago = since(state.since, present)
        return f"It is paused since you asked {ago}: {waiting}, and nothing begins."
    if state.word is Activity.WAITING:
        return "It waits, since something is in the way; it tries again by itself."
    if not home.counts.pending:
        return f"It is idle: nothing is left to learn, and {night}."
    if state.next_window > present:
        at = clock(state.next_window, present)
        return f"It is idle: {waiting} for the hours of learning from {at} on."
    return f"It is idle: {waiting} until there are enough, and {night}."


def last_learned(runs: RunHistory) -> RunEntry | None:
    """Return the last wake that learned something; None where the last runs did not."""
    for run in runs.entries(None, LAST_RUNS):
        if run.kind is RunKind.WAKE and run.reported.examples:
            return run
    return None


def strengths_of(nights: Sequence[NightScores]) -> list[RetainedBatch]:
    """Return the batches that a night knew best, the best first."""
    lessons = [one for one in lessons_of(nights) if one.known]
    return sorted(lessons, key=lambda one: -one.known[-1].score)[:MOST_STRENGTHS]


def button(state: DaemonState, home: Snapshot) -> Button:
    """Return the one thing that is most likely wanted now."""
    if state.kind is not None:
        return Button("Watch it", f"/runs/{state.run}" if state.run else "/", "get")
    if state.word is Activity.PAUSED:
        return Button("Resume", "/resume", why="Let it learn and sleep by itself.")
    if home.counts.pending:
        return Button("Learn it now", "/wake", why="Does not wait for more examples.")
    if home.day is not None:
        return Button("Sleep now", "/sleep", why="Does not wait for the night.")
    if home.counts.accepted:
        return Button("Talk to it", "/talk", "get")
    return Button("Give it something to learn", "/data", "get")
