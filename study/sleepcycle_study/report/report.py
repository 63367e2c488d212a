"""Writes what a study found as a page, as Markdown and as plain data."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from sleepcycle.files import disk
from sleepcycle_study.domains.arithmetic.article import ARTICLE
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment.results import Fold, GradedAnswer, StudyRun
from sleepcycle_study.report import charts
from sleepcycle_study.report.figures import PERCENT, Table, TableRow, row
from sleepcycle_study.report.generalism import general_table
from sleepcycle_study.report.page import ReportSection, html, markdown, plain
from sleepcycle_study.report.sample import (
    Arms,
    arrange,
    asked,
    headlines,
    lacking,
    profile,
    values,
)
from sleepcycle_study.report.statistics import estimate
from sleepcycle_study.report.stops import kept_table, rem_table, stop_table
from sleepcycle_study.report.tables import (
    article_table,
    axes_of,
    cost_table,
    curve_table,
    fold_table,
    paired_table,
    runs_table,
    score_tables,
    summary_table,
)

CONTROLS = ("base", "flat")
SHOWN = 2  # questions of each dimension whose answers are shown
LONGEST = 400  # characters of an answer that are shown
NOT_KNOWN = "No run measured it."
WHOLE = "Nothing is missing."
DRAWN = "A chart shows the runs that the tables of its section name."


def report(
    outcomes: Sequence[StudyRun],
    title: str,
    out: Path,
    expected: Mapping[str, Sequence[int]] | None = None,
    controls: Sequence[str] = CONTROLS,
) -> list[Path]:
    """Write `report.html`, `report.md` and `report.json` into a folder.

    Every row of a table names the files of the runs that its figures come from; each
    figure of the JSON is in the Markdown, rounded alike. The page needs nothing but
    itself.

    Args:
        outcomes: The runs of one study.
        title: Heads all three.
        out: The folder; made where it is not there.
        expected: Seeds that were planned of each arm, so that missing ones are said.
            Without it, every arm should have the seeds that any arm has.
        controls: Arms that every other arm is compared with.

    Returns:
        The three files.

    Raises:
        StudyError: There are no runs, or two of the same arm and seed.
        DiskError: The disk could not keep the report.
    """
    if not outcomes:
        raise StudyError("expected at least one run, got none; run the study first")
    arms = arrange(outcomes, expected)
    parts = [
        ReportSection(
            "What was run",
            (*(tuple(lacking(arms, expected, controls)) or (WHOLE,)), DRAWN),
            (runs_table(arms, expected),),
        ),
        *_sections(arms, controls),
    ]
    data = json.dumps(plain(title, parts), indent=1, ensure_ascii=False)
    texts = {"html": html(title, parts), "md": markdown(title, parts), "json": data}
    disk.make(out)
    paths = [out / f"report.{suffix}" for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        disk.write(path, text)
    return paths


def _sections(arms: Arms, controls: Sequence[str]) -> Iterator[ReportSection]:
    """Yield what was found."""
    scores = (summary_table(arms), *score_tables(arms))
    yield ReportSection("Scores", (), scores, tuple(_bars(arms)))
    yield _section("Paired differences", paired_table(arms, controls))
    yield _section("The article beside ours", article_table(arms))
    along = tuple(t for t in (stop_table(arms), kept_table(arms)) if t.rows)
    yield ReportSection("Along the way", () if along else (NOT_KNOWN,), along)
    yield _section("Generalism", general_table(arms))
    yield _section("Cost", cost_table(arms))
    yield _section("Learning curves", curve_table(arms), _curves(arms))
    yield _section("Spectra", fold_table(arms), *_spectra(arms))
    yield _section("REM", rem_table(arms))
    yield _radar(arms)
    yield _section("Answers", _answers(arms))


def _section(title: str, table: Table, *drawn: str) -> ReportSection:
    """Return a section with one table, or one that says that there is nothing."""
    if not table.rows:
        return ReportSection(title, (NOT_KNOWN,))
    return ReportSection(title, (), (table,), tuple(chart for chart in drawn if chart))


def _bars(arms: Arms) -> Iterator[str]:
    """Yield a chart of each measure that matters most: a bar an arm."""
    for measure in headlines(arms):
        bars = []
        for arm, runs in arms.items():
            if found := values(runs, measure):
                one = estimate(found)
                ends = (PERCENT * x for x in (one.mean, one.low, one.high))
                bars.append(charts.Bar(arm, *ends))
        yield charts.bars(measure, "percent", bars)


def _curves(arms: Arms) -> str:
    """Draw the loss of every run that learned: a colour an arm, a line a phase."""
    lines = {
        arm: [
            [(float(step), loss) for step, loss in curve.losses if loss is not None]
            for run in runs
            for curve in run.curves
        ]
        for arm, runs in arms.items()
    }
    learned = {arm: series for arm, series in lines.items() if any(series)}
    return charts.curves("Learning curves", learned)


def _spectra(arms: Arms) -> Iterator[str]:
    """Yield a chart of each fold of each arm, means over seeds."""
    for arm, runs in arms.items():
        folds = [fold for run in runs for fold in run.folds]
        for phase in dict.fromkeys(fold.phase for fold in folds):
            own = [fold for fold in folds if fold.phase == phase]
            before = _mean_spectrum(own, lambda fold: fold.before)
            after = _mean_spectrum(own, lambda fold: fold.after)
            yield charts.spectra(f"{arm}, {phase}", before, after)


def _mean_spectrum(
    folds: Sequence[Fold], side: Callable[[Fold], Sequence[float]]
) -> list[float]:
    """Return mean singular values; as many as the shortest spectrum has."""
    found = [side(fold) for fold in folds if side(fold)]
    return [fmean(values) for values in zip(*found, strict=False)]


def _radar(arms: Arms) -> ReportSection:
    """Draw the dimensions of every arm, and name the arms that lack one."""
    axes = axes_of(arms)
    shapes, short = {}, []
    for arm, runs in arms.items():
        profiles = [found for run in runs if (found := profile(run)).keys() == {*axes}]
        if profiles:
            shapes[arm] = [fmean(found[axis] for found in profiles) for axis in axes]
        if len(profiles) < len(runs) or not runs:
            short.append(arm)
    chart = charts.radar("Dimensions", axes, shapes)
    told = [f"Runs without all dimensions are left out: {', '.join(short)}."]
    few = ["A radar needs three dimensions or more."]
    sentences = [*(told if short else ()), *(() if chart else few)]
    return ReportSection("Radar", tuple(sentences), (), (chart,) if chart else ())


def _answers(arms: Arms) -> Table:
    """Show what each arm answered to the same few questions."""
    rows = tuple(
        found for dimension in asked(arms) for found in _answered(arms, dimension)
    )
    note = (
        f"The first {SHOWN} questions of each dimension, of each arm's first seed; "
        f"texts are cut to {LONGEST} characters."
    )
    columns = ("dimension", "question", "prompt", "arm", "answer", "measures")
    return Table("Answers", note, columns, rows)


def _answered(arms: Arms, dimension: str) -> Iterator[TableRow]:
    """Yield the answers to the first questions of a dimension, by question."""
    found = [
        (answer, runs[0])
        for runs in arms.values()
        if runs
        for answer in [a for a in runs[0].answers if a.dimension == dimension][:SHOWN]
    ]
    for answer, run in sorted(found, key=lambda pair: pair[0].question):
        texts = (answer.prompt, run.arm, _cut(answer.text), _graded(answer))
        yield row([run], dimension, answer.question, *texts)


def _cut(text: str) -> str:
    """Return a text that is not too long to show."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _graded(answer: GradedAnswer) -> str:
    """Return what an answer is worth by our own measures, in words."""
    return ", ".join(
        f"{measure} {value:g}"
        for measure, value in answer.measures.items()
        if not measure.startswith(ARTICLE)
    )
