"""The settings of publishing: which other servers are to have which version."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from sleepcycle.settings.section import Section

ALIAS_NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}")
SERVED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,95}")


def _name(written: str) -> str:
    """Refuse what would not do as a name in a line of status."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", written):
        raise ValueError("expected a name of a-z 0-9 . _ -, such as gpu-box")
    return written


def _alias(written: str) -> str:
    """Refuse what no alias can be called."""
    if not ALIAS_NAME.fullmatch(written):
        raise ValueError('expected an alias such as "live"')
    return written


def _served(written: str) -> str:
    """Refuse what would not do as a name of a model, or could be taken for another."""
    if written and not SERVED_NAME.fullmatch(written):
        raise ValueError(
            "expected a model's name of up to 96 letters, digits and . _ / -, or "
            '"" for the alias'
        )
    return written


def _url(written: str) -> str:
    """Refuse what is no address of a server, or holds a secret."""
    try:
        parts = urlsplit(written)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname)
        whole = known and parts.port != 0
    except ValueError:
        whole = False
    if "@" in written:
        raise ValueError(
            "expected an address without a user and a password, got one that may have "
            "them; put a token into a file, and name that"
        )
    if not whole or not re.fullmatch(r'[!"$->A-~]+', written):  # no space, ?, #
        raise ValueError(
            'expected an address such as "http://127.0.0.1:8000", without "?" and "#"'
        )
    return written.rstrip("/")


def _folder(written: str) -> str:
    """Refuse a place that would hang on where the service was started."""
    if not Path(written).expanduser().is_absolute():
        raise ValueError('expected a whole path such as "/srv/adapters"')
    return written


Url = Annotated[str, AfterValidator(_url)]


class AnyTarget(Section):
    """What every target has."""

    kind: str
    """What it is."""

    name: Annotated[str, AfterValidator(_name)]
    """What it is called in `status`; no two have the same."""

    alias: Annotated[str, AfterValidator(_alias)] = "live"
    """It is to have the version that this alias points at."""


class ServerTarget(AnyTarget):
    """What a target that is an inference server has."""

    url: Url
    """Where the server is, without `/v1`."""

    token_file: str = ""
    """A file with the server's API key, in the home or by a whole path; "" for none."""

    serve_as: Annotated[str, AfterValidator(_served)] = ""
    """What the model is called there: version 42 is `NAME@v42`. "" is the alias."""

    versions_path: str = ""
    """The home's folder `versions` as the server sees it, as in a container; "" where
    it sees it as we do."""


class VllmTarget(ServerTarget):
    """A vLLM server."""

    kind: Literal["vllm"]
    """What it is."""

    in_place: bool = True
    """Whether it also answers to NAME alone, with what is newest. An answer that is
    being written as a version comes is finished by the new one, where it was asked of
    NAME; `NAME@v42` never changes."""


class SglangTarget(ServerTarget):
    """An SGLang server."""

    kind: Literal["sglang"]
    """What it is."""


class FolderTarget(AnyTarget):
    """A folder, from which other programs read."""

    kind: Literal["folder"]
    """What it is."""

    path: Annotated[str, AfterValidator(_folder)]
    """Where to: each version is a folder such as `v42`, and the link `current` leads to
    the one to use."""


class WebhookTarget(AnyTarget):
    """An address that is told of each version."""

    kind: Literal["webhook"]
    """What it is."""

    url: Url
    """Where to post."""

    secret_file: str
    """A file with the secret that signs what is posted, in the home or by a whole
    path."""


Target = Annotated[
    VllmTarget | SglangTarget | FolderTarget | WebhookTarget,
    Field(discriminator="kind"),
]


def _each_once(targets: list[Target]) -> list[Target]:
    """Refuse two targets of one name."""
    names = [target.name for target in targets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"expected each name once, got {', '.join(twice)} again")
    return targets


class PublishSettings(Section):
    """Which other servers are to have the version that is live."""

    target: Annotated[list[Target], AfterValidator(_each_once)] = []
    """Each a table `[[publish.target]]`, with the keys of its kind; the running service
    looks every few seconds whether it has its version, and brings it where not."""
