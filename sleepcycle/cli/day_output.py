"""What the commands of a day print, for people and for programs."""

from typing import TYPE_CHECKING

from sleepcycle.cli.render import (
    console,
    counted,
    printable,
    show_json,
    show_table,
)
from sleepcycle.cli.verdict_table import show_measures, show_plan, verdict_json
from sleepcycle.records.reports import RemReport, SleepReport, WakeReport
from sleepcycle.server.command_json import answer_json

if TYPE_CHECKING:
    from sleepcycle.home.home import Answer
    from sleepcycle.home.versions import Switch
    from sleepcycle.runs.context import Outcome
    from sleepcycle.settings.config import Settings

WAKE_FIELDS = ("steps", "tokens", "tokens_per_second", "loss_first", "loss_last")
LEFT_OUT = {
    "cut": "learned without the middle of the prompt or an answer, which does not fit",
    "split": "learned in several parts, being long text",
    "set_aside": (
        "set aside, which the base cannot learn; see: sleepcycle batches quarantine"
    ),
    "held_out_left_out": (
        "held out that cannot be measured, since the base cannot learn such"
    ),
    "anchors_left_out": (
        "among the anchors too long to be learned; see: sleepcycle doctor"
    ),
}
SLEEP_FIELDS = ("rank", "kept_energy")


def show_memory(settings: "Settings") -> None:
    """Print how much memory a home needs, and what to set where that is too much."""
    from sleepcycle.home.memory_report import advice, in_words, report_memory

    report = report_memory(settings)
    print(in_words(report))
    if not report.fits:
        print(advice(report))


def show_wake(outcome: "Outcome", *, as_json: bool) -> None:
    """Print what a wake learned."""
    report = outcome.report
    phase = report.phase if isinstance(report, WakeReport) else None
    mfu = report.mfu if isinstance(report, WakeReport) else None
    learned = isinstance(report, WakeReport) and report.learned
    kept = _left_out(report) if isinstance(report, WakeReport) else {}
    if as_json:
        fields = _fields(outcome, WAKE_FIELDS)
        more = {"phase": phase, "mfu": mfu, "learned": learned}
        return show_json({**fields, **kept, **more})
    _show(outcome, WAKE_FIELDS)
    if learned:
        print("it ended early, since every example was learned")
    if mfu is not None:
        print(f"it learned at {mfu:.0%} of the GPU's peak")
    for name, count in kept.items():
        if count:
            print(f"{counted(count, 'example')} {LEFT_OUT[name]}")
    if phase:
        print(printable(f"phase {phase.name} of the curriculum {phase.curriculum}"))


def _left_out(report: WakeReport) -> dict[str, int]:
    """Return how many examples were not learned as they stand."""
    aside = sum(len(one.examples) for one in report.set_aside)
    kept = {"cut": report.cut, "split": report.split, "set_aside": aside}
    unfit = {
        "held_out_left_out": report.held_out_left_out,
        "anchors_left_out": report.anchors_left_out,
    }
    return kept | {name: count for name, count in unfit.items() if count}


def show_sleep(outcome: "Outcome", *, as_json: bool) -> None:
    """Print what a night folded, and what the gate decided."""
    report = outcome.report
    gentler, rem = (
        (report.gentler, report.rem)
        if isinstance(report, SleepReport)
        else (None, None)
    )
    if as_json:
        fields = _fields(outcome, SLEEP_FIELDS)
        return show_json({**fields, "gentler": gentler, "rem": rem})
    _show(outcome, SLEEP_FIELDS)
    if rem:
        print(_rem(rem))
    show_plan(gentler)
    show_measures(report.verdict)


def _rem(rem: RemReport) -> str:
    """Return how long REM was, and what it cost."""
    cost = f"{rem.cost:.0%} of the day's compute"
    if rem.steps == 0:
        return f"REM: no step; teachers and dreams took {cost}"
    shown = ", ".join(f"{count} of {name}" for name, count in rem.sources.items())
    return f"REM: {rem.steps} steps, step {rem.best_step} kept; {shown}; {cost}"


def show_switch(switch: "Switch", *, as_json: bool) -> None:
    """Print what is live now, and what that cost."""
    if as_json:
        return show_json(switch)
    if switch.live == switch.previous:
        print(f"live is {switch.live}, as before; the open day, if any, is over")
    else:
        print(f"live is {switch.live}, before it was {switch.previous}")
    if switch.regained:
        print(f"{switch.regained} examples that it learned itself are known again")
    if switch.requeued:
        print(f"{switch.requeued} examples that it never learned are pending again")
    elif switch.orphaned:
        print(
            f"{switch.orphaned} examples are known only to versions that are not live; "
            f"to learn them again: sleepcycle rollback {switch.live} --requeue"
        )


def show_answer(answer: "Answer", *, as_json: bool) -> None:
    """Print what a version answered; as JSON also what the tool was asked."""
    if not as_json:
        return print(printable(answer.text))
    return show_json(answer_json(answer))


def _fields(outcome: "Outcome", names: tuple[str, ...]) -> dict[str, object]:
    """Return an outcome's JSON, with some fields of its report."""
    return {
        "run": outcome.run,
        "kind": outcome.version.kind,
        "version": outcome.version.name,
        "accepted": outcome.report.verdict.accepted,
        "examples": outcome.examples,
        "seconds": outcome.seconds,
        **{name: getattr(outcome.report, name) for name in names},
        "verdict": verdict_json(outcome.report.verdict),
    }


def _show(outcome: "Outcome", names: tuple[str, ...]) -> None:
    """Print an outcome with some fields of its report."""
    verdict = outcome.report.verdict
    word = "accepted" if verdict.accepted else "rejected"
    console.print(
        f"[bold]{outcome.version.name}[/bold] ({outcome.version.kind}, {word}): "
        f"{counted(outcome.examples, 'example')} in {outcome.seconds:.1f} s"
    )
    console.print(verdict.reason)
    values = [getattr(outcome.report, name) for name in names]
    show_table([name.replace("_", " ") for name in names], [values])
