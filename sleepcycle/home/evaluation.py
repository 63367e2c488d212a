"""The retention matrix: how well each night still knows each batch, held out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from statistics import mean

from sleepcycle.errors import NotFoundError, VersionError
from sleepcycle.home import inference
from sleepcycle.home.versions import VersionRegistry
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.exam import ExamQuestion, ask, question
from sleepcycle.model.portable import load_sealed
from sleepcycle.model.score import encode_held_out, nll
from sleepcycle.numerics.metrics import RetentionMetrics, retention_metrics
from sleepcycle.records.example import Example
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.settings.config import Settings
from sleepcycle.store import example_table, version_table
from sleepcycle.store.database import Session
from sleepcycle.store.values import Alias

ADAPTER = "evaluated"


class ScoreUnit(StrEnum):
    """What a batch's scores are; both are in [0, 1], and more is better."""

    EXACT = "exact"
    """Share of prompts whose greedy answer is the stored one, but for outer spaces."""

    PROBABILITY = "probability"
    """Geometric mean probability of a learned token: exp(-loss)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What versions know of what was held out, and what a sequence of nights left.

    The metrics are `RetentionMetrics`'s, of lessons: the batches that one row
    was the first to know, as the mean of their scores. They are None where rows and
    lessons make no square; intransigence also where no reference is known.
    """

    acc: float | None
    bwt: float | None
    fwt: float | None
    forgetting: float | None
    learned: float | None
    intransigence: float | None
    batches: list[int]
    """The columns, in the order in which they were learned."""

    versions: list[str]
    """The rows, oldest first."""

    units: list[ScoreUnit]
    """Of each column."""

    matrix: list[list[float]]
    losses: list[list[float]]
    """As `matrix`, in nats per learned token; NaN where no token is learned."""

    base: list[float]
    """The bare base's scores."""


@dataclass(frozen=True)
class EvaluationPlan:
    """Which versions are scored on which batches."""

    rows: list[Version]
    """Oldest first."""

    held_out: dict[int, list[Example]]
    """By batch, in the order in which the rows learned them; none is empty."""

    lessons: list[list[int]] | None
    """Batches that each row was the first to know, or None where the rows are not
    made from each other in turn, or a row or a batch has no partner."""


@dataclass(frozen=True, eq=False)
class HeldOutExam:
    """The held-out examples of one batch, ready to be scored."""

    encoded: list[Encoded]
    questions: list[ExamQuestion]
    """One for each example; none where the unit is a probability."""

    @property
    def unit(self) -> ScoreUnit:
        """What a score of this batch is."""
        return ScoreUnit.EXACT if self.questions else ScoreUnit.PROBABILITY


def evaluate(registry: VersionRegistry, names: Sequence[str]) -> Evaluation:
    """Score versions on what was held out of every batch that they learned.

    Args:
        registry: The versions of a home.
        names: Versions or aliases; none for every accepted night on the line of live
            whose files are there.

    Raises:
        VersionError: A version is unknown or removed, or there is no night to evaluate.
        NotFoundError: Nothing is held out of what was learned.
    """
    with registry.store.read() as session:
        course = plan(session, names, registry.settings)
    base = inference.load(registry.settings, registry.paths, registry.base)
    exams = {batch: prepare(base, held) for batch, held in course.held_out.items()}
    bare, _ = score(base, list(exams.values()))
    matrix, losses = [], []
    for version in course.rows:
        row = score_version(base, registry.folder(version), list(exams.values()))
        matrix.append(row[0])
        losses.append(row[1])
    found = sum_up(course, matrix, bare)
    return Evaluation(
        acc=found.acc if found else None,
        bwt=found.bwt if found else None,
        fwt=found.fwt if found else None,
        forgetting=found.forgetting if found else None,
        learned=found.learned if found else None,
        intransigence=found.intransigence if found else None,
        batches=list(exams),
        versions=[version.name for version in course.rows],
        units=[exam.unit for exam in exams.values()],
        matrix=matrix,
        losses=losses,
        base=bare,
    )


def plan(session: Session, names: Sequence[str], settings: Settings) -> EvaluationPlan:
    """Choose rows, columns and lessons from the database."""
    live = version_table.resolve(session, Alias.LIVE)
    line = version_table.ancestors(session, live.number)
    rows = (
        {v.number: v for v in (version_table.resolve(session, n) for n in names)}
        if names
        else {
            v.number: v
            for v in version_table.list_versions(session)
            if v.number in line - version_table.removed(session).keys()
            and v.accepted
            and v.kind is VersionKind.SLEEP
        }
    )
    if not rows:
        raise VersionError(
            f"expected an accepted night on the line of live, which is {live.name}; "
            "run wake and sleep first, or name versions"
        )
    lines = {
        number: version_table.ancestors(session, number) for number in sorted(rows)
    }
    firsts = _firsts(session, lines, others=line)
    held_out = {
        batch: held
        for batch in firsts
        if (
            held := example_table.held_out(
                session,
                [batch],
                settings.gate.max_held_out,
                settings.wake.seed,
            )
        )
    }
    if not held_out:
        raise NotFoundError(
            "no example is held out of what these versions and live learned, so "
            "there is nothing to evaluate on; see feed.held_out_share"
        )
    return EvaluationPlan(
        rows=[rows[number] for number in lines],
        held_out=held_out,
        lessons=_lessons(lines, {batch: firsts[batch] for batch in held_out}),
    )


def prepare(base: Base, held_out: Sequence[Example]) -> HeldOutExam:
    """Encode a batch's held-out examples, and its prompts if all answers are short."""
    contents = [example.content for example in held_out]
    questions = [one for c in contents if (one := question(c, base)) is not None]
    whole = len(questions) == len(contents)
    return HeldOutExam(encode_held_out(base, held_out), questions if whole else [])


def score_version(
    base: Base, folder: Path | None, exams: Sequence[HeldOutExam]
) -> tuple[list[float], list[float]]:
    """Score a sealed version on each batch, as `score`; the base is bare afterwards."""
    with adapters.attached(base, ADAPTER, load_sealed(folder)):
        return score(base, exams)


def score(base: Base, exams: Sequence[HeldOutExam]) -> tuple[list[float], list[float]]:
    """Score whatever adapters are active on each batch.

    Returns:
        Scores in [0, 1], and losses in nats per learned token.
    """
    scores, losses = [], []
    for exam in exams:
        nats, tokens = nll(base, exam.encoded)
        loss = nats / tokens if tokens else math.nan  # all of it cut off
        losses.append(loss)
        if exam.unit is ScoreUnit.PROBABILITY:
            scores.append(math.exp(-loss))
            continue
        scores.append(mean(map(float, ask(base, exam.questions))))
    return scores, losses


def sum_up(
    course: EvaluationPlan, matrix: Sequence[Sequence[float]], bare: Sequence[float]
) -> RetentionMetrics | None:
    """Return the metrics of the lessons, or None where they make no square."""
    if course.lessons is None:
        return None
    column = {batch: place for place, batch in enumerate(course.held_out)}

    def grouped(row: Sequence[float]) -> list[float]:
        return [
            mean(row[column[batch]] for batch in lesson)
            for lesson in course.lessons or []
        ]

    return retention_metrics([grouped(row) for row in matrix], grouped(bare))


def _firsts(
    session: Session, lines: Mapping[int, set[int]], *, others: set[int]
) -> dict[int, int | None]:
    """Return the first row to know each batch, in that order; None for no row."""
    firsts: dict[int, int | None] = {}
    for number, line in lines.items():
        for batch in version_table.batches_of(session, line):
            firsts.setdefault(batch, number)
    for batch in version_table.batches_of(session, others):
        firsts.setdefault(batch, None)
    return firsts


def _lessons(
    lines: Mapping[int, set[int]], firsts: Mapping[int, int | None]
) -> list[list[int]] | None:
    """Group batches by the row that was first to know them, if rows follow in turn."""
    in_turn = all(older in lines[newer] for older, newer in pairwise(lines))
    lessons = [[b for b, first in firsts.items() if first == row] for row in lines]
    if not in_turn or None in firsts.values() or not all(lessons):
        return None
    return lessons
