"""Reports on a study's runs, wherever they are kept, and packs them into one file."""

from collections.abc import Sequence
from pathlib import Path

from sleepcycle.cli.render import counted, printable, show_table
from sleepcycle_study.experiment import packed, planfile, results
from sleepcycle_study.experiment.plan import StudyPlan, read_plan
from sleepcycle_study.experiment.results import StudyRun
from sleepcycle_study.report import report
from sleepcycle_study.report.sample import arrange, lacking
from sleepcycle_study.report.tables import summary_table


def write_report(place: Path, plan: Path | None, out: Path | None) -> None:
    """Write the report on a study's runs, and print what it sums up to.

    Args:
        place: Folder of the runs, or the file that it was packed into.
        plan: What should be there; None for the plan that is kept with the runs.
        out: Folder of the report; None for that of the runs, or for `report-NAME` where
            they are packed.

    Raises:
        StudyError: There are no runs, or one of them is damaged.
    """
    outcomes, found = _read(place, plan)
    title = found.name if found else outcomes[0].study
    expected = found.expected() if found else None
    controls = found.controls if found else report.CONTROLS
    target = out or _folder_of(place)
    paths = report.report(outcomes, title, target, expected, controls)
    arms = arrange(outcomes, expected)
    table = summary_table(arms)
    show_table(table.columns, [[cell.text for cell in row.cells] for row in table.rows])
    for line in [*lacking(arms, expected, controls), *map(str, paths)]:
        print(printable(line))


def pack_runs(folder: Path, out: Path | None) -> None:
    """Pack a study's folder into one file, and print what it holds.

    Raises:
        StudyError: There are no runs, one of them is damaged, or the name is wrong.
    """
    file = out or Path(f"{folder.resolve().name}{packed.SUFFIX}")
    runs = counted(len(packed.pack(folder, file)), "run")
    print(printable(f"{file}: {runs}, {file.stat().st_size:,} bytes"))
    print(printable(f"look at them: sleepcycle study report {file}"))


def _read(
    place: Path, plan: Path | None
) -> tuple[Sequence[StudyRun], StudyPlan | None]:
    """Return a study's runs, and the plan that says what should be there."""
    if place.is_file():
        study = packed.read_packed(place)
        outcomes = study.outcomes()
        return outcomes, read_plan(plan) if plan else study.plan()
    outcomes = results.read(place)
    if not outcomes:
        raise results.no_runs(place)
    return outcomes, read_plan(plan) if plan else planfile.kept(place)


def _folder_of(place: Path) -> Path:
    """Return where a report goes that was given no place."""
    if place.is_file():
        return Path(f"report-{place.name.removesuffix(packed.SUFFIX)}")
    return place
