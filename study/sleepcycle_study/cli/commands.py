"""The commands of the study: run, report on, pack, write lessons, list its parts."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sleepcycle.cli.app import Json

if TYPE_CHECKING:
    from sleepcycle_study.experiment.plan import StudyPlan

study = typer.Typer(
    no_args_is_help=True, help="Compare ways to learn, by a plan; needs no home."
)

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def _device(name: str) -> str:
    """Refuse what is no device."""
    if not DEVICE.fullmatch(name):
        raise typer.BadParameter(
            f"expected auto, cpu, mps, cuda or one such as cuda:1, got {name}"
        )
    return name


@study.command("run")
def run_study(  # noqa: PLR0913 - each is an option
    plan: Annotated[
        Path, typer.Argument(help="A plan's TOML file, or one built in, such as quick.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs (default: study-NAME).")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Base model: builtin:nano, a path, or a hub id."),
    ] = None,
    arms: Annotated[
        list[str] | None,
        typer.Option(help="An arm of the plan, all if none; may be repeated."),
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(help="A seed of the plan, all if none; may be repeated."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Questions of each dimension.")
    ] = None,
    device: Annotated[
        str,
        typer.Option(callback=_device, help="auto, cpu, cuda, cuda:1 or mps."),
    ] = "auto",
    threads: Annotated[
        int,
        typer.Option(min=0, help="CPU threads of a run; 0 leaves the choice to torch."),
    ] = 0,
    jobs: Annotated[
        int,
        typer.Option(
            min=1, help="Runs at a time; each has a base of its own, and its memory."
        ),
    ] = 1,
    as_json: Json = False,
) -> None:
    """Make the runs of a plan that are missing; exit 1 if one of them diverged."""
    from sleepcycle_study.cli.make_runs import Part, make_runs, show_tally
    from sleepcycle_study.experiment.plan import read_plan

    asked = _changed(read_plan(plan), base, limit)
    folder = out or Path(f"study-{_slug(asked.name)}")
    part = Part(tuple(arms or ()), tuple(seeds or ()), device, threads, jobs)
    tally = make_runs(asked, folder, part, quietly=as_json)
    show_tally(tally, as_json=as_json)
    if tally.diverged:
        raise typer.Exit(1)


@study.command()
def report(
    runs: Annotated[
        Path, typer.Argument(help="Folder of the runs, or the file it was packed into.")
    ],
    plan: Annotated[
        Path | None,
        typer.Option(help="What should be there (default: the kept plan.toml)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the report (default: the runs'; for a file, report-NAME)."
        ),
    ] = None,
) -> None:
    """Write report.html, report.md and report.json, and print the scores."""
    from sleepcycle_study.cli.report_pages import write_report

    write_report(runs, plan, out)


@study.command()
def pack(
    folder: Annotated[Path, typer.Argument(help="Where the runs are.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The file (default: the folder's name and .tar.xz)."),
    ] = None,
) -> None:
    """Write a study's plan and runs into one small file; a report reads it as is."""
    from sleepcycle_study.cli.report_pages import pack_runs

    pack_runs(folder, out)


@study.command()
def write(
    curriculum: Annotated[
        Path, typer.Argument(help="A curriculum's TOML file, or one built in.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the files (default: lessons-NAME).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the lessons.")] = 42,
    language: Annotated[
        str, typer.Option(help="Of the lessons, such as en or it.")
    ] = "en",
) -> None:
    """Write each phase's lessons as JSONL, and say how to feed them."""
    from sleepcycle_study.cli.listings import write_lessons

    write_lessons(curriculum, out, seed=seed, language=language)


@study.command("list")
def list_parts(as_json: Json = False) -> None:
    """List what is built in: plans, curricula, arms and domains."""
    from sleepcycle_study.cli.listings import show_parts

    show_parts(as_json=as_json)


def _changed(plan: "StudyPlan", base: str | None, limit: int | None) -> "StudyPlan":
    """Return a plan with another base, or with fewer or more questions."""
    model = plan.model.model_copy(update={"base": base or plan.model.base})
    questions = limit or plan.questions
    return plan.model_copy(update={"model": model, "questions": questions})


def _slug(name: str) -> str:
    """Return a name as part of a folder's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "plan"
