"""The JSON of `status`, with a service or without; the standard library is enough."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sleepcycle.daemon.state import DaemonState
from sleepcycle.files.inbox_files import NotFed
from sleepcycle.store.values import Run, Snapshot


def status_of(snapshot: Snapshot, inbox: Sequence[NotFed] = ()) -> dict[str, Any]:
    """Return the JSON of `status` without a service; its keys are never renamed.

    No night comes by itself then, so none is named, and no target is looked at.

    Args:
        snapshot: One moment of the home.
        inbox: What lies in its inbox and is not fed.
    """
    night = snapshot.last_night
    return {
        "state": snapshot.state,
        "paused": snapshot.paused,
        "banner": None,
        "base": snapshot.base.id,
        "quantization": snapshot.base.quantization or None,
        "live": snapshot.live,
        "previous": snapshot.previous,
        "day": snapshot.day,
        "accepted": snapshot.counts.accepted,
        "pending": snapshot.counts.pending,
        "claimed": snapshot.counts.claimed,
        "known": snapshot.counts.known,
        "orphaned": snapshot.orphaned,
        "held_out": snapshot.counts.held_out,
        "excluded": snapshot.counts.excluded,
        "quarantined": snapshot.counts.quarantined,
        "set_aside": snapshot.counts.set_aside,
        "versions": len(snapshot.versions),
        "inbox": [asdict(each) for each in inbox],
        "last_run": _run(snapshot.runs[0], snapshot.phase) if snapshot.runs else None,
        "last_night": asdict(night) if night else None,
        "next_night": None,
        "targets": [],
        "daemon": None,
    }


def status_with_service(
    snapshot: Snapshot,
    state: DaemonState,
    *,
    pid: int,
    url: str,
    inbox: Sequence[NotFed] = (),
) -> dict[str, Any]:
    """Return the JSON of `status` where a service runs, with what that does."""
    service = asdict(state)
    return {
        **status_of(snapshot, inbox),
        "banner": state.banner,
        "next_night": state.next_night,
        "targets": service.pop("targets"),
        "daemon": {"pid": pid, "url": url},
        "service": service,
    }


def _run(run: Run, phase: str | None) -> dict[str, object]:
    """Return what a run came to, without its report."""
    return {
        "run": run.id,
        "kind": run.kind,
        "phase": phase,
        "state": run.state,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "error": run.error,
    }
