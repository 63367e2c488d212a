"""The command that scores versions: as table, JSON and heatmap."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sleepcycle.cli.app import Json, app, home_of

if TYPE_CHECKING:
    from sleepcycle.home.evaluation import Evaluation
    from sleepcycle.model.harness import HarnessScores

TITLE = "Held-out score by version and batch"


@app.command()
def evaluate(
    ctx: typer.Context,
    versions: Annotated[
        list[str] | None,
        typer.Argument(
            help="Every accepted night that live comes from, if none; "
            "with --harness the bare base and live."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the matrix to this SVG file.", dir_okay=False),
    ] = None,
    harness: Annotated[
        str | None,
        typer.Option(
            help="Run lm-evaluation-harness instead: a task's local YAML file, or a "
            "folder of them. Their own functions are run, so trust them.",
            metavar="TASKS",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score versions on what was held out of each batch, and sum up what was kept."""
    from sleepcycle.cli.render import show_json

    if harness is not None:
        if plot is not None:
            raise typer.BadParameter(
                "--plot draws no scores of --harness; leave it out"
            )
        _evaluate_with_harness(ctx, harness, versions or [], as_json=as_json)
        return
    if plot is not None:
        _check_drawable(plot)
    found = home_of(ctx).evaluate(versions or [])
    if plot is not None:
        _draw(found, plot)
    if as_json:
        show_json(found)
    else:
        _show(found)


def _draw(found: "Evaluation", plot: Path) -> None:
    """Write the matrix to an SVG file."""
    from sleepcycle.cli.heatmap import heatmap

    batches = [f"batch {batch}" for batch in found.batches]
    drawn = heatmap(TITLE, found.versions, batches, found.matrix)
    plot.write_text(drawn, encoding="utf-8")


def _check_drawable(plot: Path) -> None:
    """Refuse a file that the drawing cannot be written to.

    Raises:
        BadParameter: It is no SVG file, or its folder is missing.
    """
    if plot.suffix.lower() != ".svg":
        raise typer.BadParameter(
            f"expected --plot to name a file that ends in .svg, got {plot.name}"
        )
    if not plot.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {plot.absolute().parent}")


def _evaluate_with_harness(
    ctx: typer.Context, tasks: str, names: Sequence[str], *, as_json: bool
) -> None:
    """Score versions on tasks of lm-evaluation-harness, and print that."""
    from sleepcycle.cli.render import show_json
    from sleepcycle.home.harness_scores import score_with_harness

    found = score_with_harness(home_of(ctx).versions, tasks, names)
    if as_json:
        show_json({"harness": dataclasses.asdict(found)})
    else:
        show_harness(found)


def show_harness(found: "HarnessScores") -> None:
    """Print a row for each measure, and how far the last version is from the first."""
    from sleepcycle.cli.render import show_table

    several = len(found.versions) > 1
    rows = zip(found.measures, found.matrix, found.errors, strict=True)
    show_table(
        ["task", "metric", *found.versions, *(["change"] if several else [])],
        [
            [
                measure.task,
                measure.label,
                *(_with_error(*pair) for pair in zip(scores, errors, strict=True)),
                *([f"{scores[-1] - scores[0]:+.4f}"] if several else []),
            ]
            for measure, scores, errors in rows
        ],
    )


def _with_error(score: float, error: float | None) -> str:
    """Return a score with its standard error, where that is known."""
    return f"{score:.4f}" if error is None else f"{score:.4f} ± {error:.4f}"


def _show(found: "Evaluation") -> None:
    """Print the matrix for people, and what it sums up to."""
    from sleepcycle.cli.render import show_facts, show_table

    columns = zip(found.batches, found.units, strict=True)
    show_table(
        ["version", *(f"batch {batch} ({unit})" for batch, unit in columns)],
        [
            ["bare base", *found.base],
            *([v, *row] for v, row in zip(found.versions, found.matrix, strict=True)),
        ],
    )
    show_facts(
        {
            "average score": found.acc,
            "backward transfer": found.bwt,
            "forward transfer": found.fwt,
            "forgetting": found.forgetting,
            "intransigence": found.intransigence,
        }
    )
