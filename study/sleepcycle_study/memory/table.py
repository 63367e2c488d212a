"""The memory benchmark's table: a row for each arm, means over its runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import mean

from sleepcycle_study.experiment.common_knowledge import Knowledge
from sleepcycle_study.memory.methods import METHODS, OURS, PAIRS, PRIMARY, TOGETHER
from sleepcycle_study.memory.records import Result
from sleepcycle_study.report.figures import PERCENT, compared, spread
from sleepcycle_study.report.statistics import paired

Pair = tuple[int, int]
"""Order and seed: what two runs share that are compared."""

COLUMNS = (
    *("arm", "runs", "accuracy, %", "less store's", "BWT", "learned"),
    *("intransigence", "rank"),
    *("stories, nats/token", "known at first, %", "known, %", "left, %", "kept, %"),
    "KL to the base, nats",
    *("trained, k tokens", "read, k tokens"),
    *("wakes, s", "nights, s", "night's cost, %", "nights accepted, %"),
)


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of a table; ± is the standard deviation over runs."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    ours, joint = _by_pair(results, OURS), _by_pair(results, TOGETHER)
    for name in names(results):
        rows = [result for result in results if result.run.arm == name]
        less = "-" if name == OURS else _percent(differences(rows, ours))
        cells = [name, str(len(rows)), _percent([row.acc for row in rows]), less]
        yield f"| {' | '.join([*cells, *_kept(rows, joint), *_costs(rows)])} |"


def names(results: Sequence[Result]) -> list[str]:
    """Return the arms that were lived, in their order; unknown ones come last."""
    lived = dict.fromkeys(result.run.arm for result in results)
    known = [name for name in METHODS if name in lived]
    return known + [name for name in lived if name not in METHODS]


def differences(rows: Sequence[Result], ours: Mapping[Pair, Result]) -> list[float]:
    """Return how much better than ours each run was, in the same order and seed."""
    return [row.acc - ours[_pair(row)].acc for row in rows if _pair(row) in ours]


def primary(results: Sequence[Result]) -> Iterator[str]:
    """Yield the comparison that was named before it was run, where both sides were.

    The interval is of other orders and seeds: a bootstrap of the pairs.
    """
    ours, theirs = (_keyed(results, arm) for arm in PRIMARY)
    if not ours.keys() & theirs.keys():
        return
    found = paired(ours, theirs)
    yield (
        f"\nprimary: {PRIMARY[0]} less {PRIMARY[1]}: {compared(found).text} points of "
        f"accuracy, p = {found.p:.2g}, {found.count} of {PAIRS} pairs"
    )


def _keyed(results: Sequence[Result], arm: str) -> dict[str, float]:
    """Return an arm's accuracy by order and seed, as `paired` wants them named."""
    found = _by_pair(results, arm).items()
    return {f"{order}.{seed}/": result.acc for (order, seed), result in found}


def _kept(rows: Sequence[Result], joint: Mapping[Pair, Result]) -> Iterator[str]:
    """Yield what an arm kept and learned; - where it was not taught in turn."""
    found = []
    for row in rows:
        together = joint.get(_pair(row))
        if summed := row.memory(together.matrix[-1] if together else None):
            found.append(summed)
    for column in ("bwt", "learned", "intransigence"):
        values = [getattr(one, column) for one in found]
        yield _percent([value for value in values if value is not None])


def _costs(rows: Sequence[Result]) -> Iterator[str]:
    """Yield an arm's size, what the base lost, and what it took."""
    stories = [row.stories[-1] for row in rows if row.stories]
    nights = [share for row in rows for share in row.cost.night_cost]
    accepted = [verdict for row in rows for verdict in row.cost.accepted]
    yield _mean(rows, lambda row: row.rank)
    yield f"{mean(stories):.3f}" if stories else "-"
    yield from _known([row.common for row in rows if row.common])
    yield spread([row.drift[-1] for row in rows if row.drift], digits=3).text
    yield _mean(rows, lambda row: row.cost.trained / 1e3)
    yield _mean(rows, lambda row: row.cost.read / 1e3)
    yield _mean(rows, lambda row: sum(row.cost.wake_seconds))
    yield _mean(rows, lambda row: sum(row.cost.night_seconds))
    yield f"{100 * mean(nights):.0f}" if nights else "-"
    yield f"{100 * mean(accepted):.0f}" if accepted else "-"


def _known(common: Sequence[Sequence[Knowledge]]) -> Iterator[str]:
    """Yield what was known of what most people know: at first, and at last.

    Then how much that leaves of the first, and how much of the very same is still
    known.
    """
    last = [known[-1] for known in common]
    yield _percent([known[0].right for known in common])
    yield _percent([known.right for known in last])
    yield _percent([each[-1].right / each[0].right for each in common if each[0].right])
    yield _percent([known.kept for known in last if known.kept is not None])


def _percent(values: Sequence[float]) -> str:
    """Return mean ± standard deviation in percent, - of none."""
    return spread(values, PERCENT).text


def _mean(rows: Sequence[Result], what: Callable[[Result], float]) -> str:
    """Return the mean of what rows have, without decimals."""
    return f"{mean(what(row) for row in rows):.0f}"


def _by_pair(results: Sequence[Result], arm: str) -> dict[Pair, Result]:
    """Return the runs of one arm."""
    return {_pair(result): result for result in results if result.run.arm == arm}


def _pair(result: Result) -> Pair:
    """Return what a run shares with those that it is compared with."""
    return result.run.order, result.run.seed
