"""The table of what each arm knew along the way, after every phase and sleep."""

from sleepcycle.study.figures import PERCENT, Cell, Table, row, spread
from sleepcycle.study.sample import Arms
from sleepcycle.study.tables import SPREAD


def stop_table(arms: Arms) -> Table:
    """Say what each arm knew after each phase and each sleep."""
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
