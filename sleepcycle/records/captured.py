"""A completion that was kept, with all that was judged of it since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sleepcycle.errors import CaptureError
from sleepcycle.records.content import plain_json

ID_PREFIX = "chatcmpl-"
MAX_PAIRS = 16
MAX_KEY_CHARS = 64
MAX_VALUE_CHARS = 512


class CapturedState(StrEnum):
    """Whether a kept completion may be learned."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Feedback(StrEnum):
    """What is said of an answer by who got it."""

    DEMONSTRATION = "demonstration"
    """The answer that should have been given."""

    THUMB = "thumb"
    """Whether it was a good one."""


class Thumb(StrEnum):
    """What a thumb says."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer, as they came: nothing is taken out yet."""

    id: str
    """Of the completion; it begins with `chatcmpl-`."""

    version: int
    """Number of the version that answered."""

    model: str
    """As the request named it, such as `live`."""

    messages: Sequence[Mapping[str, Any]]
    """The request's, as OpenAI has them."""

    answer: Mapping[str, Any]
    """The message of the assistant."""

    tools: Sequence[Mapping[str, Any]] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Captured:
    """A completion that is kept, without what is private."""

    id: str
    created_at: datetime
    version: str
    """The version that answered, such as `v3`."""

    model: str
    """As the request named it."""

    messages: list[Any]
    tools: list[Any]
    answer: dict[str, Any]
    metadata: dict[str, str]
    state: CapturedState
    thumb: Thumb | None
    """What who got the answer thinks of it; None where nothing was said."""

    correction: dict[str, Any] | None
    """The message that should have been the answer; None where there is none."""

    example: int | None
    """What it became when it was accepted; None where it never was."""

    batch: int | None
    """Where that example came in: by this completion, or before it."""

    @property
    def wanted(self) -> dict[str, Any]:
        """The message to learn: the correction, or else the answer."""
        return self.answer if self.correction is None else self.correction


@dataclass(frozen=True, slots=True)
class Deleted:
    """What became of a completion that was deleted."""

    id: str
    erased: bool
    """Whether the text of its example is gone; not so where that came in otherwise, or
    another accepted completion is the same."""

    tainted: tuple[str, ...]
    """Versions that know the erased example, oldest first."""

    batch: int | None
    """Where an example that stays came in; None where none does."""


def turn_text(turn: Mapping[str, Any]) -> str:
    """Return what a turn says: its text, or else its calls as JSON."""
    content = turn.get("content")
    if isinstance(content, list):
        parts = (part.get("text") or plain_json(part) for part in content)
        content = "\n".join(parts)
    calls = turn.get("tool_calls")
    texts = [content or "", plain_json(calls) if calls else ""]
    return "\n".join(text for text in texts if text)


def checked_metadata(metadata: object) -> dict[str, str]:
    """Return metadata as a plain object; what OpenAI refuses is refused.

    Raises:
        CaptureError: It is no object of texts, or too large.
    """
    if not isinstance(metadata, Mapping):
        raise _invalid("metadata", "an object", type(metadata).__name__)
    if len(metadata) > MAX_PAIRS:
        raise _invalid(
            "metadata", f"at most {MAX_PAIRS} properties", str(len(metadata))
        )
    for key, value in metadata.items():
        if not isinstance(key, str) or len(key) > MAX_KEY_CHARS:
            wanted = f"names of at most {MAX_KEY_CHARS} characters"
            raise _invalid("metadata", wanted, f"{str(key)[:20]!r}...")
        if not isinstance(value, str):
            raise _invalid(f"metadata.{key}", "a string", type(value).__name__)
        if len(value) > MAX_VALUE_CHARS:
            wanted = f"a string of at most {MAX_VALUE_CHARS} characters"
            raise _invalid(f"metadata.{key}", wanted, str(len(value)))
    return dict(metadata)


def _invalid(name: str, expected: str, got: str) -> CaptureError:
    """Return the error for a parameter of a request."""
    return CaptureError(f"invalid '{name}': expected {expected}, got {got}")
