"""Parts of requests that several routes take, and how each is checked."""

from pathlib import Path
from typing import Annotated

from fastapi import Path as Part
from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sleepcycle.errors import ConfigError

LONGEST_PATH = 4096  # that Linux opens
LARGEST = 2**63 - 1  # number that the database can hold
MOST_LISTED = 1000  # rows of one answer; who wants more asks for the next page
LISTED = 100

Number = Annotated[int, Part(ge=1, le=LARGEST)]
"""A number that the database can hold."""

After = Annotated[int, Query(ge=0, le=LARGEST)]
"""Which row a page comes after; 0 for the first page."""

Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]
"""How many rows a page has at most; one with fewer is the last."""


class Body(BaseModel):
    """What a request may hold, and no more."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def expect_path(path: str) -> str:
    """Refuse what is longer than any path; pydantic's own bound wants UTF-8.

    Raises:
        ValueError: It is longer.
    """
    if len(path) > LONGEST_PATH:
        raise ValueError(f"expected at most {LONGEST_PATH} characters, got {len(path)}")
    return path


WHOLE_PATH = Field(json_schema_extra={"pattern": "^/", "maxLength": LONGEST_PATH})
"""What the document says of it; a path that is not whole has an error of its own."""

MachinePath = Annotated[str, AfterValidator(expect_path), WHOLE_PATH]
"""A place on this machine, by its whole path."""


def whole(path: str, what: str) -> Path:
    """Return a path that a request names.

    Args:
        path: As it was given.
        what: It in words, such as `a folder`.

    Raises:
        ConfigError: It is not whole: the service's own folder is nobody's business. Or
            the system takes none such.
    """
    if not Path(path).is_absolute():
        raise ConfigError(f"expected the whole path of {what}, got {path!r}")
    try:
        Path(path).lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # whoever uses it says what is wrong, if that is
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"expected a path of {what}, got one with: {error}"
        ) from error
    return Path(path)
