"""The files of a plan's harness tasks: found, fingerprinted, and copied."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sleepcycle.files import disk, sealed
from sleepcycle.model.harness import locate_tasks
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment.plan import StudyPlan

KEPT = "harness"
"""Folder of the copies, below the study's."""

DIGITS = 12  # of a fingerprint, in a copy's name
INCLUDE = re.compile(r"^include:(.*(?:\n[ \t]*-.*)*)$", re.MULTILINE)
WORD = re.compile(r"""[^\s\[\],'"-][^\s\[\],'"]*""")


@dataclass(frozen=True, slots=True)
class TaskFiles:
    """What one of a plan's `harness` entries names."""

    folder: Path
    """All files in it decide the scores: other tasks, their functions, the data."""

    file: str = ""
    """The task's file in the folder; empty where all tasks are run."""

    @property
    def path(self) -> Path:
        """What the harness is given."""
        return self.folder / self.file


def task_files(plan: StudyPlan) -> list[TaskFiles]:
    """Find the tasks that a plan names.

    Raises:
        HarnessError: There are none in one of the places.
        StudyError: The plan lies in a folder of tasks, which is then not theirs alone.
    """
    found = []
    for name in plan.harness:
        path = locate_tasks(plan.folder / name)
        whole = path.is_dir()
        entry = TaskFiles(path) if whole else TaskFiles(path.parent, path.name)
        expect_apart(entry.folder, plan.folder)
        found.append(entry)
    return found


def expect_apart(tasks: Path, folder: Path) -> None:
    """Refuse tasks in whose folder the plan or the study lies.

    All that lies beside tasks is part of what decides their scores, and is copied.

    Raises:
        StudyError: It does.
    """
    if folder.resolve().is_relative_to(tasks.resolve()):
        raise StudyError(
            "expected the harness's tasks in a folder of their own, with their data, "
            f"got {tasks}, in which {folder} lies; move the tasks into one of their own"
        )


def expect_inside(tasks: Path, place: Path, named: Sequence[str], what: str) -> None:
    """Refuse what a task names outside of its folder: it would not be copied.

    Args:
        tasks: The tasks' folder.
        place: From where names are looked up.
        named: Files, folders, or data sets.
        what: What they are for, in words.

    Raises:
        StudyError: One is outside.
    """
    root = os.path.normpath(tasks)
    for name in named:
        if not Path(os.path.normpath(place / name)).is_relative_to(root):
            raise StudyError(
                f"expected {what} in {tasks}, so that the study can keep them, got "
                f"{name!r}; copy what it names into that folder"
            )


def expect_whole(tasks: Path) -> None:
    """Refuse tasks that include files from elsewhere.

    Raises:
        StudyError: One does, or a file cannot be read.
    """
    for path in files(tasks):
        if path.suffix == ".yaml":
            named = WORD.findall(" ".join(INCLUDE.findall(_text(path))))
            expect_inside(tasks, path.parent, named, f"what {path.name} includes")


def files(folder: Path) -> Iterator[Path]:
    """Yield a folder's files in order, but for hidden ones and what Python leaves.

    Raises:
        StudyError: A folder in it is a link, and so is not surely part of it.
    """
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _counts(name))
        for name in folders:
            if (Path(place) / name).is_symlink():
                raise StudyError(
                    f"expected the folder {Path(place) / name} itself among the "
                    "harness's tasks, got a link to one; copy it there"
                )
        yield from (Path(place) / name for name in sorted(names) if _counts(name))


def digest(folder: Path) -> str:
    """Return the SHA-256 of all files in a folder, and of their names in it.

    Raises:
        StudyError: A file cannot be read.
    """
    whole = sha256()
    for path in files(folder):
        name = path.relative_to(folder).as_posix()
        whole.update(f"{_sha256(path)} {name}\0".encode())
    return whole.hexdigest()


def decided_by(plan: StudyPlan) -> list[dict[str, str]]:
    """Return what of a plan's tasks decides their scores, wherever they lie.

    Raises:
        HarnessError: There are none in one of the places.
        StudyError: A file cannot be read.
    """
    return [
        {"folder": digest(entry.folder), "file": entry.file}
        for entry in task_files(plan)
    ]


def keep(plan: StudyPlan, out: Path) -> list[str]:
    """Copy a plan's tasks into the study's folder, and return the copies' names there.

    A folder that was copied before is left alone, so that this can be done to a plan
    that names its copies.

    Raises:
        HarnessError: There are none in one of the places.
        StudyError: A file cannot be read.
        DiskError: The disk could not keep it.
    """
    names = []
    for entry in task_files(plan):
        expect_apart(entry.folder, out)
        whole = digest(entry.folder)
        name = f"{KEPT}/{whole[:DIGITS]}"
        if not (out / name).is_dir() or digest(out / name) != whole:
            _copy(entry.folder, out / name)
        names.append(f"{name}/{entry.file}" if entry.file else name)
    return names


def _copy(folder: Path, target: Path) -> None:
    """Copy the files of a folder in place of one that is there."""
    disk.remove(target)
    for path in files(folder):
        copied = target / path.relative_to(folder)
        disk.make(copied.parent)
        disk.copy(path, copied)


def _counts(name: str) -> bool:
    """Return whether a file or folder is part of what decides scores."""
    return not name.startswith(".") and name != "__pycache__"


def _sha256(path: Path) -> str:
    """Hash a file of a task."""
    try:
        return sealed.sha256(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _text(path: Path) -> str:
    """Read a task's own file."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> StudyError:
    """Return what is said of a file that cannot be read."""
    why = getattr(error, "strerror", None) or error
    return StudyError(
        f"expected to read {path}, which lies beside the harness's tasks, got: {why}; "
        "mend it, or take it out of that folder"
    )
