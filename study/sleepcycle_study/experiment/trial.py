"""Runs a study: every arm with every seed, each run once, and again where it is new."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from sleepcycle.model.base import Base
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.progress import OnProgress, ignore_progress
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment import general, harness_tasks, questioning, results
from sleepcycle_study.experiment.arms import arm_of
from sleepcycle_study.experiment.codeprint import codeprint
from sleepcycle_study.experiment.life import Life, live
from sleepcycle_study.experiment.plan import StudyPlan
from sleepcycle_study.experiment.results import Glance, StudyRun
from sleepcycle_study.experiment.teaching import Course, draw


@dataclass(frozen=True, slots=True)
class Trial:
    """One arm with one seed."""

    arm: str
    seed: int


def trials(
    plan: StudyPlan, arms: Sequence[str] = (), seeds: Sequence[int] = ()
) -> list[Trial]:
    """Return the runs of a plan, or some of them, seed by seed.

    Raises:
        StudyError: An arm or a seed is not in the plan.
    """
    _expect_some("arms", arms, plan.arms)
    _expect_some("seeds", seeds, plan.seeds)
    return [
        Trial(arm, seed)
        for seed in plan.seeds
        if not seeds or seed in seeds
        for arm in plan.arms
        if not arms or arm in arms
    ]


def missing(
    plan: StudyPlan, base: Base, folder: Path, wanted: Sequence[Trial]
) -> Iterator[Trial]:
    """Yield those runs that are not in a folder yet, or were decided otherwise."""
    for job in wanted:
        print_ = results.fingerprint(decided_by(plan, base, job))
        if not results.has(folder, job.arm, job.seed, print_):
            yield job


def of_other_code(folder: Path, wanted: Sequence[Trial], todo: Sequence[Trial]) -> int:
    """Return how many runs are kept in a folder that other code has made."""
    kept = [
        results.read_run(folder / results.file_name(job.arm, job.seed))
        for job in wanted
        if job not in todo
    ]
    return sum(outcome.settings.get(results.CODE) != codeprint() for outcome in kept)


def run(
    plan: StudyPlan,
    base: Base,
    job: Trial,
    *,
    on_progress: OnProgress = ignore_progress,
) -> StudyRun:
    """Teach, ask and grade one run; the base is bare before and after.

    Raises:
        StudyError: The plan asks or teaches what is not there.
        HarnessError: A task of the harness cannot be run.
        DivergedError: The loss exploded or is not a number.
    """
    started, code = time.perf_counter(), codeprint()
    course = draw(
        plan.lessons(),
        seed=job.seed,
        questions=plan.questions,
        language=plan.language,
        samples_scale=plan.samples_scale,
    )
    look = partial(_general_scores, plan, base, job, _texts(plan))
    before = look({})
    life, stops = _live(plan, base, job, course, on_progress)
    after = look(life.whole)
    return StudyRun(
        study=plan.name,
        arm=job.arm,
        seed=job.seed,
        base=base.identity.id,
        domain=", ".join(course.questions),
        tokens_trained=life.trained,
        tokens_read=life.read,
        seconds=time.perf_counter() - started,
        rank=max((change.rank for change in life.whole.values()), default=0),
        curves=tuple(life.curves),
        folds=tuple(life.folds),
        rems=tuple(life.rems),
        stops=stops,
        answers=tuple(questioning.ask(base, life.whole, questioning.questions(course))),
        general={
            task: {"before": score, "after": after[task]}
            for task, score in before.items()
        },
        settings={**decided_by(plan, base, job), results.CODE: code},
    )


def _general_scores(
    plan: StudyPlan, base: Base, job: Trial, texts: Sequence[str], change: LayerChanges
) -> dict[str, float | None]:
    """Return the score of every general task under a change."""
    own = general.scores(base, change, seed=job.seed, count=plan.questions, texts=texts)
    name = Path(results.file_name(job.arm, job.seed)).stem
    return {**own, **harness_tasks.scores(plan, base, change, name)}


def _live(
    plan: StudyPlan, base: Base, job: Trial, course: Course, on_progress: OnProgress
) -> tuple[Life, tuple[Glance, ...]]:
    """Learn a course; return the life, and what was known after each of its steps."""
    life, stops = Life(), []
    lived = live(
        base, arm_of(job.arm), course, plan, seed=job.seed, on_progress=on_progress
    )
    for done, life in lived:
        stops.append(Glance(done, questioning.glance(base, life.whole, course)))
    return life, tuple(stops)


def decided_by(plan: StudyPlan, base: Base, job: Trial) -> dict[str, object]:
    """Return all that decides a run, as plain data."""
    read = {"curriculum", "text", "harness", "harness_limit"}  # wherever they lie
    named = {"arms", "controls", "seeds", "name"}
    study = plan.model_dump(mode="json", exclude=named | read)
    return {
        "arm": job.arm,
        "seed": job.seed,
        "base": base.identity.sha256,
        "sleepcycle": version("sleepcycle"),
        "curriculum": plan.lessons().model_dump(mode="json"),
        "texts": sha256("\n\n".join(_texts(plan)).encode()).hexdigest(),
        "arm_settings": _plain(arm_of(job.arm)),
        **harness_tasks.decided_by(plan),
        **study,
    }


def _plain(arm: object) -> Mapping[str, object]:
    """Return an arm's fields as plain data."""
    return {name: str(value) for name, value in vars(arm).items()}


def _texts(plan: StudyPlan) -> list[str]:
    """Return the texts on which the loss is looked at."""
    if not plan.text:
        return []
    path = plan.folder / plan.text
    try:
        whole = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise StudyError(
            f'expected texts in {path}, got: {why}; set text to another file, or to ""'
        ) from error
    return [text.strip() for text in whole.split("\n\n") if text.strip()]


def _expect_some(what: str, asked: Sequence[object], known: Sequence[object]) -> None:
    """Refuse what the plan does not have."""
    unknown = [one for one in asked if one not in known]
    if unknown:
        raise StudyError(
            f"expected {what} of the plan ({', '.join(map(str, known))}), got "
            f"{unknown[0]}"
        )
