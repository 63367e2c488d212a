"""What the runs of a study found: one file a run, refused where it is damaged."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from sleepcycle.files import disk
from sleepcycle.records.codec import finite, from_json, to_json
from sleepcycle_study.errors import StudyError

RUNS = "runs"
FORMAT = "sleepcycle study run 1"
AGAIN = "delete it, and run the study again: only what is missing is run"

NATS = "nats a token"  # how a general task ends whose score is a loss
HARNESS = "harness: "  # how one begins that is a task of lm-evaluation-harness

CODE = "code"
"""The setting that says what code made a run. It is kept beside those that decided the
run, yet is not in their fingerprint: a comment that is mended makes no run anew."""


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """What was answered to one question, and what it is worth."""

    question: str
    """The question's id; the same for every arm of a seed."""

    dimension: str
    prompt: str
    text: str
    """As it was written, the tool's result included."""

    measures: Mapping[str, float]
    tool: str | None = None
    """What the tool was asked; None where it was not."""


@dataclass(frozen=True, slots=True)
class Fold:
    """What one fold did to the adapter."""

    phase: str
    """When it was, such as `before consolidation`."""

    kept_energy: float
    """Share of the squared norm that was kept, in [0, 1]."""

    rank: int
    """After the fold."""

    before: tuple[float, ...] = ()
    """Mean singular values over the layers, strongest first."""

    after: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """How the loss fell in one phase."""

    phase: str
    losses: tuple[tuple[int, float | None], ...]
    """Step, counted over the whole life, and loss in nats per learned token; None where
    it was not a number."""


@dataclass(frozen=True, slots=True)
class Relearned:
    """How the REM of one night went."""

    when: str
    """When it was, such as `before consolidation`."""

    steps: int
    best_step: int
    """The step whose weights were kept; 0 where none was better than the fold."""

    held_out: tuple[tuple[int, float], ...]
    """Step and held-out loss of each look, in nats per token."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What was known at one point of a life."""

    after: str
    """What had just been done: a phase by its name, or a sleep."""

    scores: Mapping[str, float]
    """Mean of each measure over the first questions of each domain, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One run: an arm that was taught and asked with one seed."""

    study: str
    arm: str
    seed: int
    base: str
    domain: str
    tokens_trained: int
    tokens_read: int
    """Passed through the model without learning, such as by teachers and dreams."""

    seconds: float
    rank: int
    """Of the adapter at the end; 0 for the bare base."""

    curves: tuple[Curve, ...] = ()
    folds: tuple[Fold, ...] = ()
    rems: tuple[Relearned, ...] = ()
    stops: tuple[Glance, ...] = ()
    answers: tuple[GradedAnswer, ...] = ()
    general: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """By general task, the score "before" and "after"."""

    settings: Mapping[str, object] = field(default_factory=dict)
    """All that decided the run, as plain data: its fingerprint is taken of these, but
    for the code's."""

    @property
    def file(self) -> str:
        """Name of the run's file below the study's folder."""
        return file_name(self.arm, self.seed)


def file_name(arm: str, seed: int) -> str:
    """Return where a run is written, such as `runs/flat-half-more-0.json`."""
    slug = re.sub(r"[^a-z0-9]+", "-", arm.lower()).strip("-") or "arm"
    return f"{RUNS}/{slug}-{seed}.json"


def fingerprint(settings: Mapping[str, object]) -> str:
    """Return 16 hexadecimal digits that stand for all that decided a run.

    The order of keys does not matter, and neither does whether the settings were
    written to a file and read again. The code is left out.
    """
    deciding = {name: value for name, value in settings.items() if name != CODE}
    plain = json.dumps(finite(deciding), sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def write(folder: Path, outcome: StudyRun) -> Path:
    """Write a run to its file below a study's folder, in place of one that is there.

    Raises:
        StudyError: A score is not a number, or another arm's name gives the same file.
        DiskError: The disk could not keep it.
    """
    _expect_numbers(outcome)
    path = folder / outcome.file
    _expect_own(path, outcome.arm)
    body = json.loads(to_json(outcome))
    whole = {
        "format": FORMAT,
        "fingerprint": fingerprint(outcome.settings),
        "sha256": _digest(body),
        "outcome": body,
    }
    disk.make(path.parent)
    disk.write(path, json.dumps(whole, indent=1) + "\n")
    return path


def read(folder: Path) -> list[StudyRun]:
    """Return a study's runs by arm and seed; none where there are none yet.

    Raises:
        StudyError: A file is damaged, or is not a run of a study.
    """
    outcomes = [read_run(path) for path in (folder / RUNS).glob("*.json")]
    return sorted(outcomes, key=lambda outcome: (outcome.arm, outcome.seed))


def has(folder: Path, arm: str, seed: int, fingerprint: str) -> bool:
    """Return whether a run was made, and was decided by the same settings.

    Raises:
        StudyError: Its file is damaged, or is not a run of a study.
    """
    path = folder / file_name(arm, seed)
    if not path.exists():
        return False
    found = read_run(path)
    return found.arm == arm and _fingerprint_of(found) == fingerprint


def read_run(path: Path) -> StudyRun:
    """Read one run.

    Raises:
        StudyError: The file is damaged, is not a run, or bears another run's name.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    return parse_run(path, data)


def parse_run(path: Path, data: bytes) -> StudyRun:
    """Read one run from the bytes of its file.

    Raises:
        StudyError: They are damaged, are no run, or the path is another run's.
    """
    try:
        whole = json.loads(data)
    except ValueError as error:
        raise _unreadable(path, error) from error
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise StudyError(
            f"expected a run of a study ({FORMAT!r}) in {path}, got another file; "
            "move it elsewhere"
        )
    outcome = _outcome(path, whole)
    if outcome.file != f"{RUNS}/{path.name}":
        raise StudyError(
            f"expected {path} to be the run that its name says, got {outcome.file}; "
            "give it that name"
        )
    return outcome


def no_runs(folder: Path) -> StudyError:
    """Return what is said of a folder without runs."""
    return StudyError(
        f"expected the runs of a study in {folder}, got none; make some with: "
        f"sleepcycle study run PLAN --out {folder}"
    )


def _unreadable(path: Path, error: Exception) -> StudyError:
    """Return what is said of a run's file that cannot be read."""
    return StudyError(
        f"expected a run of a study in {path}, got what cannot be read: {error}; "
        f"{AGAIN}"
    )


def _outcome(path: Path, whole: Mapping[str, object]) -> StudyRun:
    """Return what a file holds, once its bytes are what was written."""
    body = whole.get("outcome")
    if _digest(body) != whole.get("sha256"):
        raise StudyError(f"expected {path} as it was written, got a change; {AGAIN}")
    try:
        outcome = from_json(json.dumps(body), StudyRun)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StudyError(
            f"expected a whole run in {path}, got at {place or 'the top'}: "
            f"{first['msg']}; {AGAIN}"
        ) from error
    if _fingerprint_of(outcome) != whole.get("fingerprint"):
        raise StudyError(
            f"expected {path} to bear its settings' fingerprint, got "
            f"{whole.get('fingerprint')}; {AGAIN}"
        )
    return outcome


def _fingerprint_of(outcome: StudyRun) -> str:
    """Return the fingerprint of what decided a run."""
    return fingerprint(outcome.settings)


def _digest(body: object) -> str:
    """Return the SHA-256 of plain data, whatever its layout in the file."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _expect_numbers(outcome: StudyRun) -> None:
    """Refuse a score that a file could not give back."""
    for answer in outcome.answers:
        for measure, value in answer.measures.items():
            if not math.isfinite(value):
                raise StudyError(
                    f"expected {measure} of question {answer.question} to be a number, "
                    f"got {value}"
                )


def _expect_own(path: Path, arm: str) -> None:
    """Refuse to write over another arm's run."""
    if path.exists() and (other := read_run(path).arm) != arm:
        raise StudyError(
            f"expected arms whose names differ in letters or digits, got {arm!r} and "
            f"{other!r}, which share {path}; give one of them another name"
        )
