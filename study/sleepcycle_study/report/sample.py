"""The runs of a study, arranged by arm and seed, and what each of them scored."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment.results import CODE, StudyRun
from sleepcycle_study.report.statistics import PARTS, composite, dimensions

MADE_UP = "hallucination"
"""The measure of answers to what has none; the lower the better."""

HEADLINES = tuple(name for part in PARTS.values() for name in part)

OWN = {"arm", "seed", "arm_settings", "base", CODE}
"""Settings that are a run's own, or that the report compares by themselves."""

Arms = Mapping[str, Sequence[StudyRun]]
"""Each arm's runs by seed, none where an arm that was planned was not run."""


def arrange(
    outcomes: Sequence[StudyRun], expected: Mapping[str, Sequence[int]] | None = None
) -> Arms:
    """Return runs by arm; planned arms come first, in their order.

    Raises:
        StudyError: Two runs are of the same arm and seed.
    """
    arms: dict[str, dict[int, StudyRun]] = {arm: {} for arm in expected or {}}
    for outcome in outcomes:
        runs = arms.setdefault(outcome.arm, {})
        if outcome.seed in runs:
            raise StudyError(
                f"expected one run of each arm and seed, got two of {outcome.arm!r}, "
                f"seed {outcome.seed}; report on one study's folder at a time"
            )
        runs[outcome.seed] = outcome
    return {arm: [runs[seed] for seed in sorted(runs)] for arm, runs in arms.items()}


def planned(
    arms: Arms, expected: Mapping[str, Sequence[int]] | None = None
) -> dict[str, list[int]]:
    """Return each arm's planned seeds; without a plan, all that any arm has."""
    seeds = {run.seed for runs in arms.values() for run in runs}
    return {arm: sorted((expected or {}).get(arm, seeds)) for arm in arms}


def lacking(
    arms: Arms,
    expected: Mapping[str, Sequence[int]] | None = None,
    controls: Sequence[str] = (),
) -> Iterator[str]:
    """Yield a sentence for all that a reader could think is there, and is not."""
    for arm, seeds in planned(arms, expected).items():
        have = {run.seed for run in arms[arm]}
        gone = ", ".join(str(seed) for seed in seeds if seed not in have)
        if not have:
            yield f"The arm {arm} was not run (seeds {gone or 'none'})."
        elif gone:
            yield f"The arm {arm} lacks seeds: {gone}."
    for control in controls:
        if not arms.get(control):
            yield f"The control arm {control} was not run: nothing is compared with it."
        yield from _unpaired(arms, control)
    yield from _unlike(arms)


def _unpaired(arms: Arms, control: str) -> Iterator[str]:
    """Yield a sentence for each arm that was not asked the same as a control."""
    theirs = _asked_of(arms.get(control, ()))
    for arm, runs in arms.items():
        ours = _asked_of(runs)
        both = {seed: (ours[seed], theirs[seed]) for seed in ours.keys() & theirs}
        alone = sum(len(one ^ other) for one, other in both.values())
        if alone:
            paired = any(one & other for one, other in both.values())
            noun = "question" if alone == 1 else "questions"
            yield (
                f"Of the arm {arm} and the control {control}, {alone} {noun} of the "
                "same seeds came up in one alone, or in other words: "
                f"{'these' if paired else 'all of them, so the two'} are not compared."
            )


def _asked_of(runs: Sequence[StudyRun]) -> dict[int, set[tuple[str, str]]]:
    """Return what was asked with each seed: ids, and prompts."""
    return {run.seed: {(a.question, a.prompt) for a in run.answers} for run in runs}


def _unlike(arms: Arms) -> Iterator[str]:
    """Yield a sentence for all in which the runs of a study should not differ."""
    for name in ("base", "domain", "study"):
        values = {getattr(run, name) for runs in arms.values() for run in runs}
        if len(values) > 1:
            several = ", ".join(sorted(values))
            yield f"The runs differ in their {name}: {several}; compare with care."
    if several := ", ".join(_differing(arms)):
        yield f"The runs differ in their settings: {several}; compare with care."
    codes = Counter(
        str(run.settings.get(CODE, "unknown")) for runs in arms.values() for run in runs
    )
    if len(codes) > 1:
        several = ", ".join(f"{code} ({count})" for code, count in codes.most_common())
        yield (
            f"The runs were made by {len(codes)} versions of the code: {several}; "
            "compare with care."
        )


def _differing(arms: Arms) -> Iterator[str]:
    """Yield the settings, other than those of an arm, that not all runs share."""
    decided = [run.settings for runs in arms.values() for run in runs]
    for name in dict.fromkeys(name for settings in decided for name in settings):
        values = (settings.get(name) for settings in decided)
        written = {json.dumps(v, sort_keys=True, default=str) for v in values}
        if name not in OWN and len(written) > 1:
            yield name


def measured(arms: Arms, dimension: str | None = None) -> list[str]:
    """Return the measures of a dimension, or of all, as they first come up."""
    return list(
        dict.fromkeys(
            measure
            for runs in arms.values()
            for run in runs
            for answer in run.answers
            if dimension in {None, answer.dimension}
            for measure in answer.measures
        )
    )


def asked(arms: Arms) -> list[str]:
    """Return the dimensions that were asked about, as they first come up."""
    return list(
        dict.fromkeys(
            answer.dimension
            for runs in arms.values()
            for run in runs
            for answer in run.answers
        )
    )


def headlines(arms: Arms) -> list[str]:
    """Return what matters most: the composite's measures, and those without a dot."""
    names = measured(arms)
    known = [name for name in HEADLINES if name in names]
    return known + [name for name in names if "." not in name and name not in known]


def values(
    runs: Sequence[StudyRun], measure: str, dimension: str | None = None
) -> dict[int, list[float]]:
    """Return the scores of the questions that have a measure, by seed."""
    found = {
        run.seed: [
            answer.measures[measure]
            for answer in run.answers
            if measure in answer.measures and dimension in {None, answer.dimension}
        ]
        for run in runs
    }
    return {seed: scores for seed, scores in found.items() if scores}


def keyed(runs: Sequence[StudyRun], measure: str) -> dict[str, float]:
    """Return the scores of a measure by seed, question id and prompt, to be paired.

    A key starts with "seed/". A question that was put in other words is another one.
    """
    return {
        f"{run.seed}/{answer.question}\n{answer.prompt}": answer.measures[measure]
        for run in runs
        for answer in run.answers
        if measure in answer.measures
    }


def means(outcome: StudyRun) -> dict[str, float]:
    """Return one run's score on each measure."""
    found: dict[str, list[float]] = {}
    for answer in outcome.answers:
        for measure, value in answer.measures.items():
            found.setdefault(measure, []).append(value)
    return {measure: fmean(scores) for measure, scores in found.items()}


def profile(outcome: StudyRun) -> dict[str, float]:
    """Return one run's dimensions, and what else was asked; all the higher the better.

    Made-up answers come as their opposite.
    """
    scores = means(outcome)
    rest = {
        name: scores[name]
        for name in headlines({"": [outcome]})
        if name not in HEADLINES and name != MADE_UP
    }
    if MADE_UP in scores:
        rest["nothing made up"] = 1 - scores[MADE_UP]
    return dimensions(scores) | rest


def summed(outcome: StudyRun) -> float | None:
    """Return one run's composite; None where its domain has not all five dimensions."""
    scores = means(outcome)
    return composite(scores) if scores.keys() >= set(HEADLINES) else None
