"""The plan that a study's folder keeps, with what it names: curriculum, text, tasks."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sleepcycle.curricula.curriculum import builtins
from sleepcycle.files import disk
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment import taskfiles
from sleepcycle_study.experiment.plan import StudyPlan, read_plan

PLAN, CURRICULUM, TEXT = "plan.toml", "curriculum.toml", "text.txt"
HEAD = "# What this study was run with; it can be run again from here.\n"


def keep(plan: StudyPlan, folder: Path) -> None:
    """Write a plan into the study's folder, every setting as it is in effect.

    The files that it names are copied beside it, so that the folder can be moved.

    Raises:
        StudyError: The folder is another study's, or a file cannot be read.
        HarnessError: The plan names tasks that are not there.
        DiskError: The disk could not keep it.
    """
    expect_own(plan, folder)
    fields = plan.model_dump(mode="json")
    copies = {}
    if plan.curriculum not in builtins():
        copies[CURRICULUM] = _read(plan.folder / plan.curriculum)
        fields["curriculum"] = CURRICULUM
    if plan.text:
        copies[TEXT] = _read(plan.folder / plan.text)
        fields["text"] = TEXT
    disk.make(folder)
    for name, text in copies.items():
        disk.write(folder / name, text)
    fields["harness"] = taskfiles.keep(plan, folder)
    disk.write(folder / PLAN, HEAD + "\n".join(_tables(fields)) + "\n")


def kept(folder: Path) -> StudyPlan | None:
    """Return the plan of a study's folder, None where it has none.

    Raises:
        ConfigError: It cannot be read, or is wrong.
    """
    path = folder / PLAN
    return read_plan(path) if path.exists() else None


def expect_own(plan: StudyPlan, folder: Path) -> None:
    """Refuse the folder of another study, or of one that asked others or otherwise.

    More arms or seeds go into the same folder. So do other lessons and other settings
    of learning: their runs are made again.

    Raises:
        StudyError: It is one.
        ConfigError: The plan that lies there is wrong.
    """
    there = kept(folder)
    if there is not None and there.name != plan.name:
        raise StudyError(
            f"expected {folder} to be new, or of the study {plan.name!r}, got that of "
            f"{there.name!r}; name another folder with --out"
        )
    if there is not None and _shared(there) != _shared(plan):
        differing = _shared(plan).items() - _shared(there).items()
        keys = sorted(key for key, _ in differing)
        wanted, got = (_told(_shared(one), keys) for one in (plan, there))
        raise StudyError(
            f"expected {folder} to be new, or of a study with {wanted}, got one with "
            f"{got}; name another folder with --out"
        )


def _shared(plan: StudyPlan) -> dict[str, str]:
    """Return what all runs of a study have in common: who is asked, and what."""
    model = {f"model.{key}": value for key, value in plan.model}
    asked = {"questions": plan.questions, "language": plan.language}
    return {key: _value(value) for key, value in (model | asked).items()}


def _told(settings: Mapping[str, str], keys: Sequence[str]) -> str:
    """Return some of the settings, as TOML."""
    return ", ".join(f"{key} = {settings[key]}" for key in keys)


def _read(path: Path) -> str:
    """Read a file that a plan names."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise StudyError(
            f"expected a text file in {path}, got: {why}; mend the plan that names it"
        ) from error


def _tables(fields: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Yield the lines of a table: its own keys, then the tables inside it."""
    if place:
        yield f"\n[{place}]"
    inner = {}
    for key, value in fields.items():
        if isinstance(value, dict):
            inner[key] = value
        else:
            yield f"{key} = {_value(value)}"
    for key, value in inner.items():
        yield from _tables(value, f"{place}.{key}" if place else key)


def _value(value: object) -> str:
    """Return a value as TOML; for a plan's that is JSON, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
