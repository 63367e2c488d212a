"""The status screen, once or again and again."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from sleepcycle.cli.progress_bar import facts
from sleepcycle.cli.render import console, facts_table, one_line, show_json
from sleepcycle.records.progress import progress_from

EVERY_S = 2.0
THINGS = 5  # of the inbox that are shown
MINUTES_A_DAY = 24 * 60
SHOWN = (
    "base",
    "live",
    "previous",
    "day",
    "accepted",
    "pending",
    "claimed",
    "known",
    "orphaned",
    "held_out",
    "excluded",
    "quarantined",
    "set_aside",
    "versions",
)

Fields = Mapping[str, Any]
"""What `status --json` prints; where a service answered, its `service` beside it."""


def show_status(fields: Fields, *, as_json: bool) -> None:
    """Print where the home stands: as a table, or as JSON."""
    if as_json:
        return show_json({k: v for k, v in fields.items() if k != "service"})
    console.print(screen(fields, datetime.now(UTC)))


def watch_status(look: Callable[[], Fields]) -> None:
    """Show the status again and again, until Ctrl-C."""
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(screen(look(), datetime.now(UTC)), refresh=True)
                time.sleep(EVERY_S)
    except KeyboardInterrupt:
        return


def screen(fields: Fields, now: datetime) -> RenderableType:
    """Return all that the status shows at one moment."""
    top = [Text(headline(fields, now), style="bold")]
    if fields["banner"]:
        top.append(Text(one_line(fields["banner"]), style="yellow"))
    said = {name: fields[name] for name in SHOWN}
    if fields.get("quantization"):  # a service of an older release says nothing of it
        said["base"] = f"{fields['base']} ({fields['quantization']})"
    shown = facts_table(said)
    return Group(*top, shown, *(Text(one_line(line)) for line in _events(fields)))


def headline(fields: Fields, now: datetime) -> str:
    """Return the line that says what matters most.

    Args:
        fields: What `status --json` prints.
        now: The present, aware.
    """
    word = _word(fields)
    parts = [word.upper()]
    if word != "paused":
        parts.append(_next_night(fields, now))
    parts.append(f"{fields['pending']:,} pending")
    if fields["quarantined"]:
        parts.append(f"{fields['quarantined']:,} quarantined")
    if fields["set_aside"]:
        parts.append(f"{fields['set_aside']:,} set aside")
    return " · ".join(parts)


def _word(fields: Fields) -> str:
    """Return what the home is doing, in one word."""
    if service := fields.get("service"):
        return str(service["word"])
    is_paused = fields["paused"] and fields["state"] == "ready"
    return "paused" if is_paused else str(fields["state"])


def _next_night(fields: Fields, now: datetime) -> str:
    """Return when the next night is, by the clock of this machine."""
    if fields["next_night"] is None:
        return "no service"
    at = datetime.fromisoformat(fields["next_night"])
    return f"next sleep {at.astimezone():%a %H:%M} (in {_until(at, now)})"


def _until(at: datetime, now: datetime) -> str:
    """Return how long it is until a moment, such as `5 h 12 m`."""
    minutes = max(0, round((at - now).total_seconds() / 60))
    days, rest = divmod(minutes, MINUTES_A_DAY)
    hours, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {left} m" if hours else f"{left} m"


def _events(fields: Fields) -> Iterator[str]:
    """Return what runs, what ran last, and who answers."""
    service = fields.get("service") or {}
    if service.get("progress"):
        now = progress_from(service["progress"])
        how_far = f"{now.stage} {now.step}/{now.steps}  {facts(now)}"
        yield f"now: {service['kind']} {service['run']}, {how_far}".rstrip()
    if run := fields["last_run"]:
        error = f": {run['error']}" if run["error"] else ""
        phase = f" of the phase {run['phase']}" if run.get("phase") else ""
        yield f"last run: {run['kind']} {run['run']}{phase}, {run['state']}{error}"
    if night := fields["last_night"]:
        reason = f": {night['reason']}" if night["reason"] else ""
        yield f"last night: {night['date']}, {night['state']}{reason}"
    for thing in fields["inbox"][:THINGS]:
        yield f"inbox: {thing['name']} is not fed: {thing['why']}; {thing['fix']}"
    if (more := len(fields["inbox"]) - THINGS) > 0:
        yield f"inbox: {more} more are not fed; see: sleepcycle status --json"
    for target in fields.get("targets", ()):  # none of an older release's
        yield _target(target)
    if daemon := fields["daemon"]:
        yield f"service: {daemon['url']}, process {daemon['pid']}"


def _target(target: Fields) -> str:
    """Return how one server stands that is to have a version."""
    said = {
        "in_sync": f"has {target['has']}",
        "behind": f"has {target['has'] or 'none'}, wants {target['wanted']}",
    }.get(target["state"], "is left as it is")
    error = f": {target['error']}" if target["error"] else ""
    return f"target {target['name']} ({target['kind']}) {said}{error}"
