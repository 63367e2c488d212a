"""Every exception this package raises.

SleepcycleError
├── ConfigError      a setting is unknown, missing or out of range
├── HomeError        the state directory is missing, busy or not usable
├── DiskError        the disk failed to keep what was written; the service stops
├── StoreError       the database is missing, too old, too new or damaged
├── QuotaError       there are as many bytes of files as there may be
├── NotFoundError    no batch, run or completion has that name
├── TuningError      what is asked of a file or a job of fine-tuning cannot be done
├── CaptureError     what is said of a kept completion is not as it may be
├── FeedError        an input cannot be fed
│   ├── FeedKeyError a key names another feed already
│   ├── TooLargeError a body is larger than the service takes
│   └── RowError     one input row cannot become an example (it is quarantined)
├── ModelError       a base model cannot be loaded or used
│   ├── ExampleError      one example cannot be learned by it (it is set aside)
│   ├── TextBaseError     it has no chat template, so it is not to be talked to
│   └── UnlearnableError  none of a run's examples can be learned
├── AdapterError     an adapter's files, shapes or values are wrong
│   └── ManifestError  a sealed version differs from its manifest
├── RankError        more directions were asked for than the factors hold
├── VersionError     no such version or alias, or it may not be used so
├── HarnessError     tasks of lm-evaluation-harness cannot be found or run
├── RunError         a wake or a night could not start or finish
│   └── DivergedError  the loss is not a number, or exploded
├── ChildError       a child process could not do what it was started for
│   ├── ChildStartError    it could not be started
│   ├── ChildTimeoutError  it did not end in time
│   ├── ChildGivenUpError  nobody waits for it any more
│   └── ChildResultError   it ended, and left no result
├── ServiceError     the running service refused, or cannot be reached
│   └── LostServiceError it cannot be reached, or its answer broke off
├── PublishError     another server could not be brought to a version
├── BackupError      a backup cannot be made, or is not whole
├── OutputError      nobody takes what a command writes
├── ExtensionError   a command's package is not installed
├── CalculationError an expression is not arithmetic, or is too large
└── Interrupted      the user stopped a run; the message says what stands
    └── Paused         a run was broken off at a checkpoint, to go on later
"""

from collections.abc import Sequence
from typing import Any

DISK_FAILED = 74
"""Exit code of a process that met a disk that failed: EX_IOERR of sysexits.h."""

START_ADVICE = "see what the machine has run out of: sleepcycle doctor"


class SleepcycleError(Exception):
    """Base of them all; the CLI prints its message on one line and exits 1."""


class ConfigError(SleepcycleError, ValueError):
    """A setting is unknown, missing or out of range."""


class HomeError(SleepcycleError, OSError):
    """The state directory is missing, busy or not usable."""


class DiskError(SleepcycleError, OSError):
    """The disk failed to keep what was written; nothing is tried again."""


class StoreError(SleepcycleError, RuntimeError):
    """The database is missing, too old, too new or damaged."""


class NotFoundError(SleepcycleError, LookupError):
    """No batch, run or completion has that name."""


class QuotaError(SleepcycleError, ValueError):
    """There would be more bytes of files than there may be."""


class CaptureError(SleepcycleError, ValueError):
    """What is said of a kept completion is not as it may be."""


class TuningError(SleepcycleError, ValueError):
    """What is asked of a file or a job of fine-tuning cannot be done.

    Args:
        message: What was expected, what came, what to do.
        param: The key of the request that is wrong.
        code: What a program goes by.
    """

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.param, self.code = param, code


class FeedError(SleepcycleError, ValueError):
    """An input cannot be fed."""


class FeedKeyError(FeedError):
    """A key names another feed already."""


class TooLargeError(FeedError):
    """A body is larger than the service takes; nothing of it was kept."""


class RowError(FeedError):
    """One input row cannot become an example; feed quarantines it.

    Args:
        code: Why, as a stable code such as `E_JSON`.
        message: What was expected, and what came.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ModelError(SleepcycleError, RuntimeError):
    """A base model cannot be loaded or used."""


class ExampleError(ModelError):
    """One example cannot be learned by the base; it is set aside by its code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TextBaseError(ModelError):
    """A base has no chat template: it goes on from texts, and is not talked to."""


class UnlearnableError(ModelError):
    """None of a run's examples can be learned by the base.

    Args:
        message: How many, and why.
        set_aside: The examples by their reasons: `records.example.SetAside`.
    """

    def __init__(self, message: str, set_aside: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.set_aside = set_aside


class AdapterError(SleepcycleError, ValueError):
    """An adapter's files, shapes or values are wrong."""


class ManifestError(AdapterError):
    """A sealed version differs from its manifest."""


class RankError(SleepcycleError, ValueError):
    """More directions were asked for than the factors hold."""


class VersionError(SleepcycleError, LookupError):
    """No such version or alias, or it may not be used so."""


class HarnessError(SleepcycleError, RuntimeError):
    """Tasks of lm-evaluation-harness cannot be found or run."""


class RunError(SleepcycleError, RuntimeError):
    """A wake or a night could not start or finish."""


class DivergedError(RunError):
    """The loss is not a number, or exploded."""


class ChildError(SleepcycleError, RuntimeError):
    """A child process could not do what it was started for."""


class ChildStartError(ChildError):
    """A child process could not be started.

    Args:
        program: What was to be started.
        reason: What the system says.

    Attributes:
        reason: The same, and what to do about it.
    """

    def __init__(self, program: str, reason: str) -> None:
        self.reason = f"{reason}; {START_ADVICE}"
        super().__init__(f"expected to start {program!r}, got: {self.reason}")


class ChildTimeoutError(ChildError):
    """A child process did not end in time."""


class ChildGivenUpError(ChildError):
    """A child process was ended, since nobody waits for it any more."""


class ChildResultError(ChildError):
    """A child process ended, and left neither a result nor why there is none.

    Args:
        exit_code: The child's.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(
            "expected a result, or why there is none, and the process ended with exit "
            f"code {exit_code} and neither"
        )
        self.exit_code = exit_code


class ServiceError(SleepcycleError, RuntimeError):
    """The running service refused, or cannot be reached."""


class LostServiceError(ServiceError):
    """The service cannot be reached, or its answer broke off."""


class BusyError(ServiceError):
    """The service cannot answer now, and can later.

    Args:
        message: Why.
        retry_s: When to ask again, in seconds.
    """

    def __init__(self, message: str, retry_s: int = 60) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class PublishError(SleepcycleError):
    """Another server, or a folder, could not be brought to a version."""


class BackupError(SleepcycleError, ValueError):
    """A backup cannot be made, or is not whole."""


class OutputError(SleepcycleError, OSError):
    """Nobody takes what a command writes, such as a disk that is full."""


class ExtensionError(SleepcycleError, ImportError):
    """A command's package is not installed."""


class CalculationError(SleepcycleError, ValueError):
    """An expression is not arithmetic, or is too large."""


class Interrupted(SleepcycleError):  # noqa: N818 - an event, not a fault
    """The user stopped a run; the message says what stands."""


class Paused(Interrupted):
    """A run was broken off at a checkpoint; it goes on later from there."""


def error_named(
    name: str,
    message: str,
    errno: int | None = None,
    *,
    otherwise: type[SleepcycleError],
    among: tuple[type[SleepcycleError], ...] = (SleepcycleError,),
) -> SleepcycleError:
    """Return the error that another process met, by the name of its class.

    Args:
        name: The class, as the other process wrote it.
        message: What it said.
        errno: The system's number, of an error that has one.
        otherwise: The class where there is none of that name, or one that takes more
            than a message.
        among: Classes that may be returned, with those below them.
    """
    found = globals().get(name)
    is_known = isinstance(found, type) and issubclass(found, among)
    kind: Any = found if is_known and _takes_message(found) else otherwise
    error: SleepcycleError = kind(message)
    if isinstance(error, OSError):
        error.errno = errno
    return error


def _takes_message(kind: Any) -> bool:  # noqa: ANN401 - one of our classes
    """Return whether a message alone makes an error of this class."""
    ours = (base for base in kind.__mro__ if issubclass(base, SleepcycleError))
    return not any("__init__" in vars(base) for base in ours)
