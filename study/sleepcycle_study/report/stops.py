"""The tables of what each arm knew along the way, after every phase and sleep."""

from sleepcycle_study.experiment.results import StudyRun
from sleepcycle_study.report.figures import PERCENT, Cell, Table, row, spread
from sleepcycle_study.report.sample import Arms
from sleepcycle_study.report.tables import SPREAD


def stop_table(arms: Arms) -> Table:
    """Return what each arm knew after each phase and each sleep."""
    runs = [run for own in arms.values() for run in own]
    measures = list(
        dict.fromkeys(
            name for run in runs for stop in run.stops for name in stop.scores
        )
    )
    rows = []
    for arm, own in arms.items():
        for after in dict.fromkeys(stop.after for run in own for stop in run.stops):
            stops = [stop for run in own for stop in run.stops if stop.after == after]
            known = (
                spread([s.scores[name] for s in stops if name in s.scores], PERCENT)
                for name in measures
            )
            rows.append(row(own, arm, Cell(after), *known))
    note = (
        f"{SPREAD}, in percent, on the first questions of each domain's first "
        "dimension, asked whenever something had been learned or slept on."
    )
    return Table("Along the way", note, ("arm", "after", *measures), tuple(rows))


def kept_table(arms: Arms) -> Table:
    """Return how much of the most that it ever knew each arm kept to the end."""
    rows = []
    for arm, own in arms.items():
        runs = [run for run in own if run.stops]
        for name in dict.fromkeys(name for run in runs for name in _plain(run)):
            known = [[stop.scores[name] for stop in run.stops] for run in runs]
            cells = (
                spread([max(scores) for scores in known], PERCENT),
                spread([scores[-1] for scores in known], PERCENT),
                spread([scores[-1] - max(scores) for scores in known], PERCENT),
            )
            rows.append(row(runs, arm, name, *cells))
    note = f"{SPREAD}, in percent; the change is the end less the most along the way."
    return Table("Kept", note, ("arm", "measure", "most", "end", "change"), tuple(rows))


def rem_table(arms: Arms) -> Table:
    """Return how the REM of each night went."""
    rows = []
    for arm, own in arms.items():
        for when in dict.fromkeys(rem.when for run in own for rem in run.rems):
            rems = [rem for run in own for rem in run.rems if rem.when == when]
            looks = [[loss for _, loss in rem.held_out] for rem in rems if rem.held_out]
            cells = (
                spread([rem.steps for rem in rems]),
                spread([rem.best_step for rem in rems]),
                spread([losses[0] for losses in looks], digits=3),
                spread([min(losses) for losses in looks], digits=3),
            )
            rows.append(row(own, arm, when, *cells))
    note = (
        f"{SPREAD}. The weights of the best step are kept, 0 for those before REM. It "
        "is chosen by the mean of the held-out losses of today's phases, of known ones "
        "and of the base's dreams, in nats per token."
    )
    columns = ("arm", "when", "steps", "best step", "first loss", "best loss")
    return Table("REM", note, columns, tuple(rows))


def _plain(run: StudyRun) -> list[str]:
    """Return the measures without parts that every stop of a run has."""
    names = [name for name in run.stops[0].scores if "." not in name]
    return [name for name in names if all(name in stop.scores for stop in run.stops)]
