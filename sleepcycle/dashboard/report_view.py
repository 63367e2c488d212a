"""What a wake or a night reported, as rows that a page shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sleepcycle.dashboard.line_drawing import bars
from sleepcycle.dashboard.readable import count, counted, decimal, duration, share
from sleepcycle.records.content import Completion, Content, Conversation, Text
from sleepcycle.records.example import Dream
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.verdict import BatchScore, Exact, Kept, Loss, Verdict

MOST_BATCHES = 50
Plain = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One thing that the gate measured."""

    name: str
    live: str
    candidate: str
    seen: str
    """What it was measured on."""

    good: str
    """What is good, and what refuses a candidate."""

    failed: bool


@dataclass(frozen=True, slots=True)
class LayerRow:
    """What the fold did to one layer."""

    name: str
    shape: str
    rank_before: int
    rank: int
    kept: str
    stable_rank: str
    strongest: str
    bars: str
    """`d` of a path: the singular values before, strongest first."""


@dataclass(frozen=True, slots=True)
class ReportFact:
    """A figure, with what it means."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class DreamView:
    """A dream: who dreamt, and what was said by whom."""

    version: int
    turns: tuple[tuple[str, str], ...]


def verdict_rows(verdict: Verdict, settings: Plain | None) -> list[VerdictRow]:
    """Return what the gate measured, with the bounds of the settings of its run."""
    return [*_losses(verdict, settings), *_shares(verdict, settings)]


def batch_rows(verdict: Verdict) -> Sequence[BatchScore]:
    """Return the batches that were measured, up to a bound."""
    return verdict.batches[:MOST_BATCHES]


def layer_row(layer: Plain) -> LayerRow:
    """Return what the fold did to one layer, as a report has it."""
    spectrum = layer["spectrum"]
    return LayerRow(
        name=layer["name"],
        shape=" x ".join(map(str, layer["shape"])),
        rank_before=layer["rank_before"],
        rank=layer["rank"],
        kept=f"{layer['kept_energy']:.2%}",
        stable_rank=decimal(layer["stable_rank"], 2),
        strongest=" ".join(f"{sigma:.3g}" for sigma in spectrum[:4]),
        bars=bars(spectrum),
    )


def report_facts(kind: RunKind, report: Plain) -> list[ReportFact]:
    """Return the figures of a report."""
    found = _of_wake(report) if kind is RunKind.WAKE else _of_night(report)
    return list(found)


def flattened(settings: Plain, prefix: str = "") -> dict[str, str]:
    """Return settings by their whole names, such as `wake.rank`."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flattened(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = str(value)
    return found


def dream_view(dream: Dream) -> DreamView:
    """Return a dream as a page shows it."""
    return DreamView(dream.version, tuple(_said(dream.content)))


def _said(content: Content) -> Iterator[tuple[str, str]]:
    """Yield who says what in a content; nobody says a text."""
    match content:
        case Text(text=text):
            yield "", text
        case Completion(prompt=prompt, completion=completion):
            yield from (("asked", prompt), ("answered", completion))
        case Conversation(messages=messages):
            yield from ((str(one.role), one.content) for one in messages)


def _losses(verdict: Verdict, settings: Plain | None) -> Iterator[VerdictRow]:
    """Yield what was measured in nats per token."""
    rise = _bound(settings, "max_rise")
    general = _bound(settings, "max_general_rise")
    for name, check, loss, good in (
        ("Loss, today's batches", "acquisition", verdict.acquisition, "must fall"),
        ("Loss, known batches", "retention", verdict.retention, f"rise at most {rise}"),
        (
            "Loss, own turns of the base",
            "general",
            verdict.general,
            f"rise at most {general}",
        ),
    ):
        if loss is not None:
            good = f"nats per token; lower is better; {good}"
            yield VerdictRow(
                name,
                decimal(loss.live),
                decimal(loss.candidate),
                _seen(loss),
                good,
                check in verdict.failed,
            )
    if drift := verdict.drift:
        bound = _bound(settings, "max_general_kl")
        yield VerdictRow(
            "Distance from the base",
            decimal(drift.live),
            decimal(drift.candidate),
            counted(drift.tokens, "token"),
            f"KL in nats per token; lower is nearer to the base; at most {bound}",
            "drift" in verdict.failed,
        )


def _shares(verdict: Verdict, settings: Plain | None) -> Iterator[VerdictRow]:
    """Yield what was measured in shares of questions."""
    drop = _bound(settings, "max_exact_drop")
    agreement = _bound(settings, "max_agreement_loss")
    anchors = _bound(settings, "max_anchor_loss")
    for name, check, found, good in (
        ("Right by the letter, today's", "", verdict.exact_today, "refuses nothing"),
        (
            "Right by the letter, known",
            "exact",
            verdict.exact_known,
            f"drop at most {drop}",
        ),
        (
            "Answers of the base kept",
            "agreement",
            verdict.agreement,
            f"loss at most {agreement}",
        ),
        ("Your anchors right", "anchors", verdict.anchors, f"loss at most {anchors}"),
    ):
        if found is not None:
            yield VerdictRow(
                name,
                share(found.live),
                share(found.candidate),
                _asked(found),
                f"higher is better; {good}",
                check in verdict.failed,
            )


def _bound(settings: Plain | None, name: str) -> str:
    """Return a bound of the gate, as it was set."""
    if settings is None or name not in settings.get("gate", {}):
        return "what is set"
    return f"{settings['gate'][name]} (gate.{name})"


def _seen(loss: Loss) -> str:
    """Return what a loss was measured on, and the median of its rise."""
    seen = counted(loss.examples, "example")
    median = loss.median_rise
    return seen if median is None else f"{seen}, median rise {median:+.3f}"


def _asked(found: Exact | Kept) -> str:
    """Return how many questions were asked, and how many were not."""
    asked = counted(found.asked, "question")
    unasked = found.unasked if isinstance(found, Kept) else 0
    return f"{asked}, {unasked:,} not asked" if unasked else asked


def _of_wake(report: Plain) -> Iterator[ReportFact]:
    """Yield the figures of a wake."""
    yield ReportFact("Examples", count(report["examples"]), "new ones learned")
    yield ReportFact(
        "Replayed", count(report["replayed"]), "known ones, so none is lost"
    )
    yield ReportFact(
        "Steps", count(report["steps"]), f"step {report['best_step']} kept"
    )
    yield ReportFact(
        "Loss",
        f"{decimal(report['loss_first'])} to {decimal(report['loss_last'])}",
        "of the first and last step, nats per token; lower is better",
    )
    yield ReportFact("Speed", count(report["tokens_per_second"]), "tokens a second")
    yield ReportFact(
        "Training", duration(report["seconds"]), f"{count(report['tokens'])} tokens"
    )
    aside = sum(len(one["examples"]) for one in report.get("set_aside") or ())
    for name, number, note in (
        ("Cut", report["cut"], "examples of which not all fits"),
        ("Split", report.get("split"), "long texts learned in several parts"),
        ("Set aside", aside, "examples that the base cannot learn"),
        ("Of the base", report.get("general"), "own turns of the base learned beside"),
        ("Anchors", report.get("anchors"), "your questions learned beside"),
    ):
        if number:
            yield ReportFact(name, count(number), note)


def _of_night(report: Plain) -> Iterator[ReportFact]:
    """Yield the figures of a night."""
    yield ReportFact("Rank", count(report["rank"]), "largest of a layer after the fold")
    yield ReportFact(
        "Kept by the fold",
        f"{report['kept_energy']:.1%}",
        "of the change's squared norm; higher is better",
    )
    yield ReportFact("Time", duration(report["seconds"]), "without loading the base")
    if rem := report.get("rem"):
        kept = (
            f"step {rem['best_step']} kept" if rem["steps"] else "no step was worth it"
        )
        yield ReportFact("REM", counted(rem["steps"], "step"), kept)
        yield ReportFact("Cost of REM", share(rem["cost"]), "of the day's compute")
        sources = (f"{number} {name}" for name, number in rem["sources"].items())
        yield ReportFact(
            "Relearned", ", ".join(sources) or "nothing", "examples by kind"
        )
    if report.get("damped"):
        yield ReportFact("Weakened", count(report["damped"]), "intruding directions")
    if plan := report.get("gentler"):
        yield ReportFact(
            "Planned gentler",
            counted(plan["rejected"], "night"),
            "before it were rejected",
        )
