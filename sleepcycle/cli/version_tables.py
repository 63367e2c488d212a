"""How a version's card, and the difference of two versions, look."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sleepcycle.cli.render import console, show_facts, show_json, show_table
from sleepcycle.cli.verdict_table import show_measures, show_plan
from sleepcycle.records.codec import from_plain
from sleepcycle.records.overrides import RetryPlan
from sleepcycle.records.verdict import Verdict
from sleepcycle.records.version import VersionKind

if TYPE_CHECKING:
    from sleepcycle.home.weights import Comparison

SHOWN = 5  # kept completions that are named
FACTS = ("kind", "rank", "run", "seed", "origin")


def show_card(card: dict[str, Any], *, as_json: bool) -> None:
    """Print a card: its facts, its verdict, and what happened to each layer."""
    if as_json:
        return show_json(card)
    parents = ", ".join(f"v{number}" for number in card["parents"])
    batches = ", ".join(f"{b} ({n} examples)" for b, n in card["batches"].items())
    facts = {name: card[name] for name in FACTS if card[name] is not None}
    made_for = card.get("made_for") or {}
    said = {"made for": made_for.get("base"), "note": made_for.get("warning")}
    facts |= {name: words for name, words in said.items() if words is not None}
    show_facts(
        {
            "version": f"v{card['number']}",
            **facts,
            "parents": parents or None,
            "accepted": "yes" if card["accepted"] else "no",
            "created": datetime.fromisoformat(card["created_at"]),
            "base": " ".join(
                (
                    card["base"]["id"],
                    card["base"]["sha256"][:12],
                    card["base"].get("quantization", ""),
                )
            ).strip(),
            "learned itself": batches or None,
            **_conversations(card.get("conversations") or []),
            "files": f"gone since {card['removed_at']:%Y-%m-%d}"
            if card.get("removed_at")
            else "there",
        }
    )
    report = card["report"] or {}
    if "verdict" in report:
        console.print(report["verdict"]["reason"])
    if card["kind"] == VersionKind.SLEEP and report:
        _show_night(report)
    if report.get("layers"):
        show_table(
            ["layer", "shape", "rank", "kept", "stable rank", "strongest"],
            [
                [
                    layer["name"],
                    "x".join(map(str, layer["shape"])),
                    f"{layer['rank_before']} to {layer['rank']}",
                    f"{layer['kept_energy']:.2%}",
                    layer["stable_rank"],
                    " ".join(f"{sigma:.3g}" for sigma in layer["spectrum"][:4]),
                ]
                for layer in report["layers"]
            ],
        )


def _show_night(report: dict[str, Any]) -> None:
    """Print how a night was planned, and what the gate measured."""
    gentler = report.get("gentler")  # cards of older nights do not have it
    show_plan(RetryPlan(**gentler) if gentler else None)
    show_measures(from_plain(report["verdict"], Verdict))


def show_difference(comparison: "Comparison", *, as_json: bool) -> None:
    """Print how far two versions' changes are apart."""
    if as_json:
        return show_json(comparison)
    show_table(
        ["layer", "distance", "relative", "cosine", "largest angle", "ranks"],
        [
            [
                name,
                layer.distance,
                layer.relative_distance,
                layer.cosine,
                layer.largest_angle_deg,
                f"{layer.rank_a} {layer.rank_b}",
            ]
            for name, layer in comparison.layers.items()
        ],
    )
    if comparison.held_out is None:
        console.print("nothing is held out, so the two were not scored")
        return
    loss = comparison.held_out
    console.print(
        f"held-out loss {loss.live:.4f} and {loss.candidate:.4f} nats per token "
        f"({loss.examples} examples)"
    )


def _conversations(names: list[str]) -> dict[str, str]:
    """Return the line on kept completions; none where a version learned from none."""
    if not names:
        return {}
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return {"conversations": ", ".join(names[:SHOWN]) + more}
