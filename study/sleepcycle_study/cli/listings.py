"""Writes a study's lessons, and shows what is built in."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from sleepcycle.cli.render import printable, show_json, show_table
from sleepcycle.curricula.curriculum import (
    Curriculum,
    builtin,
    builtins,
    read_curriculum,
)
from sleepcycle.files import disk
from sleepcycle_study.domains.registry import DOMAINS
from sleepcycle_study.experiment.arms import ARMS, Arm
from sleepcycle_study.experiment.plan import PLANS, StudyPlan, read_plan
from sleepcycle_study.experiment.teaching import rows

SHOWN = {"curriculum", "arms", "controls", "seeds", "questions"}  # of a plan


def write_lessons(name: Path, out: Path | None, *, seed: int, language: str) -> None:
    """Write a file for each phase of a curriculum, and print how to feed them.

    Raises:
        ConfigError: There is no such curriculum, or it lacks a form.
        StudyError: A phase has rows of its own.
    """
    curriculum = _curriculum(name)
    folder = out or Path(f"lessons-{curriculum.name}")
    lessons = list(rows(curriculum, seed=seed, language=language))
    disk.make(folder)
    for number, (phase, (source, lines)) in enumerate(
        zip(curriculum.phases, lessons, strict=True), start=1
    ):
        path = folder / f"{number}-{phase.name}.jsonl"
        disk.write_lines(path, (f"{line}\n" for line in lines))
        words = ["sleepcycle", "feed", "--source", source, str(path)]
        print(printable(shlex.join(words)))


def show_parts(*, as_json: bool) -> None:
    """Show the plans, curricula, arms and domains that come with the package."""
    plans = {file.stem: read_plan(file) for file in sorted(PLANS.glob("*.toml"))}
    if as_json:
        return show_json(_parts(plans))
    show_table(
        ["plan", "curriculum", "arms", "seeds", "questions"],
        [
            [name, plan.curriculum, len(plan.arms), len(plan.seeds), plan.questions]
            for name, plan in plans.items()
        ],
    )
    print()
    show_table(
        ["curriculum", "phases"],
        [[name, ", ".join(phases)] for name, phases in _curricula().items()],
    )
    print()
    show_table(["arm", "how it learns"], [[n, way(arm)] for n, arm in ARMS.items()])
    print()
    print(f"domains: {', '.join(DOMAINS)}")


def way(arm: Arm) -> str:
    """Return how an arm learns."""
    if not arm.teaches:
        return "not at all"
    if arm.last_only:
        return "the last phase alone"
    days = "all phases at once" if arm.mixed else "phase by phase"
    if arm.full_rate and not arm.mixed:
        days += ", none of them at a lower learning rate"
    if arm.is_cycle:
        days += ", replaying what is known"
    if arm.general_share:
        days += f", {arm.general_share:.1%} the base's own turns"
    if arm.rank:
        days += f", rank {arm.rank}"
    return f"{days}, {_nights(arm)}" if arm.stages else days


def _nights(arm: Arm) -> str:
    """Return when an arm sleeps, and how."""
    place = "after every phase" if arm.is_cycle else "where the curriculum folds"
    place = "at the end" if arm.sleeps_last else place
    done = " then ".join(arm.stages)
    told = ", ".join(f"{key} {value}" for key, value in _flat(arm.sleep))
    return f"a night {place}: {done}{f' ({told})' if told else ''}"


def _flat(settings: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield settings, those of inner tables among them."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield key, value


def _parts(plans: Mapping[str, StudyPlan]) -> dict[str, object]:
    """Return what is built in as plain data."""
    return {
        "plans": {
            name: plan.model_dump(mode="json", include=SHOWN)
            for name, plan in plans.items()
        },
        "curricula": _curricula(),
        "arms": {name: way(arm) for name, arm in ARMS.items()},
        "domains": list(DOMAINS),
    }


def _curriculum(name: Path) -> Curriculum:
    """Return a curriculum that is built in, or one's own."""
    known = str(name) in builtins()
    return builtin(str(name)) if known else read_curriculum(name)


def _curricula() -> dict[str, list[str]]:
    """Return the names of each curriculum's phases."""
    return {name: [p.name for p in builtin(name).phases] for name in builtins()}
