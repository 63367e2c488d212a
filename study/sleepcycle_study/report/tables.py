"""From runs to tables: scores, differences, the article beside ours, and costs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sleepcycle_study.domains.arithmetic.article import ARTICLE
from sleepcycle_study.experiment.results import Curve, Fold, StudyRun
from sleepcycle_study.report.article_figures import (
    OUR_NAMES,
    REPORTED,
    SOURCE,
    Reported,
)
from sleepcycle_study.report.figures import (
    NONE,
    PERCENT,
    Cell,
    Table,
    TableRow,
    chance,
    compared,
    estimated,
    of_each,
    row,
    signed,
    spread,
    whole,
)
from sleepcycle_study.report.sample import (
    Arms,
    asked,
    headlines,
    keyed,
    means,
    measured,
    planned,
    profile,
    summed,
    values,
)
from sleepcycle_study.report.statistics import Paired, estimate, holm, paired

SPREAD = "Mean ± standard deviation over seeds"
INTERVAL = f"{SPREAD} [95 % bootstrap over questions within seeds], in percent."
KILO = 1e-3


def runs_table(arms: Arms, expected: Mapping[str, Sequence[int]] | None) -> Table:
    """List what was run, and what is missing."""
    rows = []
    for arm, seeds in planned(arms, expected).items():
        runs = arms[arm]
        have = [run.seed for run in runs]
        gone = [seed for seed in seeds if seed not in have]
        rows.append(
            row(
                runs,
                arm,
                _listed(have),
                _listed(gone),
                _listed(run.base for run in runs),
                _listed(run.domain for run in runs),
                whole(sum(len(run.answers) for run in runs)),
            )
        )
    note = "Answers are those of all seeds together."
    columns = ("arm", "seeds", "missing seeds", "base", "domain", "answers")
    return Table("What was run", note, columns, tuple(rows))


def summary_table(arms: Arms) -> Table:
    """Sum up each arm: the composite, and the dimensions that it is made of."""
    axes = axes_of(arms)
    rows = []
    for arm, runs in _run(arms):
        sums = [total for run in runs if (total := summed(run)) is not None]
        found = [profile(run) for run in runs]
        parts = [[p[axis] for p in found if axis in p] for axis in axes]
        cells = [spread(part, PERCENT) for part in (sums, *parts)]
        rows.append(row(runs, arm, *cells))
    note = (
        f"{SPREAD}, in percent. The composite is the mean of the five dimensions: "
        "exact; the mean of strict and magnitude number sense; balanced delegation; "
        "adversarial; and 1 less the rate of catastrophic errors over all answers; "
        "- where one of them was not asked about. What else was asked is not in it."
    )
    return Table("Summary", note, ("arm", "composite", *axes), tuple(rows))


def axes_of(arms: Arms) -> list[str]:
    """Return the dimensions of all runs' profiles, as they first come up."""
    profiles = [profile(run) for _, runs in _run(arms) for run in runs]
    return list(dict.fromkeys(axis for axes in profiles for axis in axes))


def score_tables(arms: Arms) -> Iterator[Table]:
    """Yield each dimension's scores, arms by measures, the article's rules last."""
    for dimension in asked(arms):
        own = [m for m in measured(arms, dimension) if not m.startswith(ARTICLE)]
        if own:
            yield _scores(arms, dimension, own)
    for dimension in asked(arms):
        theirs = [m for m in measured(arms, dimension) if m.startswith(ARTICLE)]
        if theirs:
            yield _scores(arms, dimension, theirs)


def _scores(arms: Arms, dimension: str, names: Sequence[str]) -> Table:
    """Return one dimension's scores on some measures."""
    by_article = names[0].startswith(ARTICLE)
    rows = [
        row(runs, arm, *(_score(runs, name, dimension) for name in names))
        for arm, runs in _run(arms)
    ]
    title = f"Scores: {dimension}{', by the rules of the article' * by_article}"
    return Table(title, INTERVAL, ("arm", *names), tuple(rows))


def _score(runs: Sequence[StudyRun], measure: str, dimension: str | None) -> Cell:
    """Return an arm's score; - where no question has the measure."""
    found = values(runs, measure, dimension)
    return estimated(estimate(found)) if found else NONE


def paired_table(arms: Arms, controls: Sequence[str]) -> Table:
    """Compare every arm with the control arms, on the same questions."""
    rows = [
        found
        for control in controls
        if arms.get(control)
        for measure in headlines(arms)
        for found in _against(arms, control, measure)
    ]
    note = (
        "Arm less control, in percentage points [95 % bootstrap over seeds, and "
        "over pairs within them], on "
        "questions that both were asked with the same seed, in the same words; "
        "unpaired ones, asked of one alone, do not count. p: two-sided sign-flip "
        "permutation; Holm: corrected for the number of arms compared with the same "
        "control on the same measure; effect: mean over standard deviation of the "
        "differences, - where every pair differs alike. These say what other questions "
        "could give, not what other seeds could: for that see the difference of each "
        "seed, in the order of the seeds. A plus is worse in errors.catastrophic_all "
        "and hallucination."
    )
    columns = ("control", "measure", "arm", "difference", "each seed", "p", "Holm")
    more = ("effect", "pairs", "unpaired")
    return Table("Paired differences", note, (*columns, *more), (*rows,))


def _against(arms: Arms, control: str, measure: str) -> Iterator[TableRow]:
    """Yield a row for each arm that was asked the same as a control."""
    base = keyed(arms[control], measure)
    found: dict[str, Paired] = {}
    for arm, runs in _run(arms):
        scores = keyed(runs, measure)
        if arm != control and scores.keys() & base.keys():
            found[arm] = paired(scores, base)
    corrected = holm({arm: one.p for arm, one in found.items()})
    for arm, one in found.items():
        yield row(
            [*arms[arm], *arms[control]],
            control,
            measure,
            arm,
            compared(one),
            of_each(one.by_seed),
            chance(one.p),
            chance(corrected[arm]),
            signed(one.effect, 2),
            whole(one.count),
            whole(one.unpaired),
        )


def article_table(arms: Arms) -> Table:
    """Put the article's own figures beside ours."""
    rows = [_beside(arms, figure) for figure in REPORTED]
    note = (
        f"In percent; ± is the standard deviation over seeds. Source: {SOURCE}. Ours "
        "is graded by the rules of the article, on the base that our runs name; - "
        "where no such arm was run, or none of its answers has the measure."
    )
    columns = ("base", "arm", "measure", "article", "our base", "our arm", "ours")
    return Table("The article beside ours", note, (*columns, "difference"), (*rows,))


def _beside(arms: Arms, figure: Reported) -> TableRow:
    """Return one of the article's figures, and the one of our arm for it."""
    arm = next((name for name in OUR_NAMES[figure.arm] if arms.get(name)), None)
    runs = arms[arm] if arm else ()
    ours = [
        scores[figure.measure]
        for scores in map(means, runs)
        if figure.measure in scores
    ]
    theirs = Cell(
        f"{figure.mean:.1f} ± {figure.std:.1f}",
        {"mean": figure.mean, "std": figure.std},
    )
    cell = spread(ours, PERCENT)
    less = cell.figures["mean"] - figure.mean if ours else None
    return row(
        runs,
        figure.base,
        figure.arm,
        figure.measure,
        theirs,
        _listed(run.base for run in runs),
        arm or NONE,
        cell,
        signed(less),
    )


def cost_table(arms: Arms) -> Table:
    """Return what each arm took."""
    kinds: tuple[Callable[[StudyRun], float], ...] = (
        lambda run: KILO * run.tokens_trained,
        lambda run: KILO * run.tokens_read,
        lambda run: run.seconds,
        lambda run: run.rank,
    )
    rows = [
        row(runs, arm, *(spread([kind(run) for run in runs]) for kind in kinds))
        for arm, runs in _run(arms)
    ]
    columns = ("arm", "trained, k tokens", "read, k tokens", "seconds", "rank")
    return Table("Cost", f"{SPREAD}; the rank is that at the end.", columns, (*rows,))


def curve_table(arms: Arms) -> Table:
    """Return where the loss of each phase began and ended."""
    rows = []
    for arm, runs in _run(arms):
        for phase in dict.fromkeys(c.phase for run in runs for c in run.curves):
            own = [run for run in runs if any(c.phase == phase for c in run.curves)]
            found = [_losses(c) for run in own for c in run.curves if c.phase == phase]
            some = [losses for losses in found if losses]
            ends = (
                spread([losses[0] for losses in some], digits=3),
                spread([losses[-1] for losses in some], digits=3),
            )
            rows.append(row(own, arm, phase, *ends))
    note = f"{SPREAD}, in nats per learned token."
    columns = ("arm", "phase", "first loss", "last loss")
    return Table("Learning", note, columns, tuple(rows))


def _losses(curve: Curve) -> list[float]:
    """Return the losses that are numbers."""
    return [loss for _, loss in curve.losses if loss is not None]


def fold_table(arms: Arms) -> Table:
    """Return what each fold kept."""
    rows = []
    for arm, runs in _run(arms):
        for phase in dict.fromkeys(f.phase for run in runs for f in run.folds):
            own = [run for run in runs if any(f.phase == phase for f in run.folds)]
            found = [f for run in own for f in run.folds if f.phase == phase]
            rows.append(row(own, arm, phase, *_kept(found)))
    note = (
        f"{SPREAD}. The energy is the share of the squared norm that was kept, in "
        "percent; the strongest singular values are means over layers."
    )
    columns = ("arm", "when", "energy kept", "rank", "strongest before")
    return Table("Folds", note, (*columns, "strongest after"), tuple(rows))


def _kept(folds: Sequence[Fold]) -> Iterator[Cell]:
    """Yield what folds kept, to what rank, and of what strength."""
    yield spread([fold.kept_energy for fold in folds], PERCENT)
    yield spread([fold.rank for fold in folds])
    yield spread([fold.before[0] for fold in folds if fold.before], digits=3)
    yield spread([fold.after[0] for fold in folds if fold.after], digits=3)


def _run(arms: Arms) -> list[tuple[str, Sequence[StudyRun]]]:
    """Return the arms that were run at all."""
    return [(arm, runs) for arm, runs in arms.items() if runs]


def _listed(things: Iterable[object]) -> str:
    """Return different things in a row, - for none."""
    return ", ".join(dict.fromkeys(str(thing) for thing in things)) or "-"
