"""A conversation on a page: what was said, and what each version answered to it.

The page itself carries it, so that nothing of it is kept unless somebody wants that.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sleepcycle.errors import ConfigError

MOST_CHARS = 400_000  # of a conversation that a page carries
MOST_VERSIONS = 3  # side by side
MOST_TURNS = 500


class Answered(BaseModel):
    """What one version answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """As it was asked for, such as `live`."""

    version: str
    """That answered, such as `v3`."""

    text: str
    completion: str = ""
    """Id of the completion."""

    cut_off: bool = False
    """Whether it has as many tokens as it may."""


class Exchanged(BaseModel):
    """What was said, and all answers to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    said: str
    answers: Annotated[tuple[Answered, ...], Field(max_length=MOST_VERSIONS)]


Turns = Sequence[Exchanged]
_TURNS = TypeAdapter(Annotated[list[Exchanged], Field(max_length=MOST_TURNS)])


def read_conversation(text: str) -> list[Exchanged]:
    """Return the conversation that a page carried.

    Raises:
        ConfigError: It is none of ours, or too long.
    """
    if len(text) > MOST_CHARS:
        raise ConfigError(
            f"expected a conversation of at most {MOST_CHARS} characters, got "
            f"{len(text)}; begin a new one"
        )
    try:
        return _TURNS.validate_json(text or "[]")
    except ValidationError as error:
        raise ConfigError(
            "expected the conversation as the page has it, got something else; begin a "
            "new one"
        ) from error


def write_conversation(turns: Turns) -> str:
    """Return a conversation as a page carries it."""
    return _TURNS.dump_json(list(turns)).decode()


def messages_of(turns: Turns, name: str, said: str) -> list[dict[str, Any]]:
    """Return what one version is told: what it was asked and answered so far.

    Args:
        turns: The conversation so far; where the version did not answer is left out.
        name: The version, as it was asked for.
        said: What it is to answer now.
    """
    messages: list[dict[str, Any]] = []
    for turn in turns:
        for answer in turn.answers:
            if answer.name == name:
                messages.append({"role": "user", "content": turn.said})
                messages.append({"role": "assistant", "content": answer.text})
    return [*messages, {"role": "user", "content": said}]


def versions_of(text: str) -> list[str]:
    """Return the versions that an address or a form names, each once.

    Raises:
        ConfigError: There are too many.
    """
    names = list(
        dict.fromkeys(name for part in text.split(",") if (name := part.strip()))
    )
    if len(names) > MOST_VERSIONS:
        raise ConfigError(
            f"expected at most {MOST_VERSIONS} versions side by side, got {len(names)}"
        )
    return names or ["live"]
