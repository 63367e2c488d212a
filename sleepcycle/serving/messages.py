"""What the service and its serving process tell each other: a line of JSON each."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from sleepcycle.records.codec import from_plain
from sleepcycle.records.version import BaseIdentity

MOST_TOLD = 20  # likeliest tokens that are told of


@dataclass(frozen=True, slots=True)
class ServingOrder:
    """What a serving process is started with."""

    model: dict[str, object]
    """Settings of the base."""

    device: str
    threads: int
    """0 leaves the choice to torch."""

    cache: str
    base: BaseIdentity
    """That the home's versions belong to."""

    most_versions: int
    """Held side by side; those that are not asked leave first."""


@dataclass(frozen=True, slots=True)
class Ask:
    """An answer is wanted."""

    id: int
    version: str
    """Its name, such as `v3`."""

    folder: str | None
    """Where its sealed files lie; None for the bare base."""

    content: str
    """A conversation as canonical JSON, or a text to go on from."""

    is_chat: bool
    most: int | None = None
    """New tokens at most; None for as many as the base has places for."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stops: tuple[str, ...] = ()
    told: int | None = None
    """Likeliest tokens to be told of, with their log-probabilities; None for none."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """An answer is wanted no longer."""

    id: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The base is loaded."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The prompt of an answer is known to fit."""

    id: int
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class ToldToken:
    """A token, and how likely it was."""

    text: str
    log_prob: float
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """An answer goes on."""

    id: int
    text: str
    """May be empty, where a token is no whole character."""

    tokens: int = 1
    told: tuple[ToldToken, ...] = ()


class Reason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    """By itself, or at a stop string."""

    LENGTH = "length"
    """It has as many tokens as it may."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An answer is over."""

    id: int
    text: str
    """What was held back until now."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class AnswerRefused:
    """An answer cannot be given, or not be finished."""

    id: int
    error: str
    """Class of the error."""

    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The base could not be loaded; nothing comes after it."""

    error: str
    message: str


Line = Ask | Cancel | Ready | Begun | Said | Ended | AnswerRefused | Failed
KINDS: dict[str, type[Line]] = {
    kind.__name__: kind
    for kind in (Ask, Cancel, Ready, Begun, Said, Ended, AnswerRefused, Failed)
}


def written(line: Line) -> bytes:
    """Return a message as its line."""
    fields = {"kind": type(line).__name__, **asdict(line)}
    return json.dumps(fields, allow_nan=False).encode() + b"\n"


def parsed(line: bytes) -> Line:
    """Return the message that a line holds.

    Raises:
        ValueError: It holds none.
    """
    fields = json.loads(line)
    name = fields.pop("kind", None) if isinstance(fields, dict) else None
    kind = KINDS.get(str(name))
    if kind is None:
        raise ValueError(f"expected one of {', '.join(KINDS)}, got {line[:80]!r}")
    return from_plain(fields, kind)
