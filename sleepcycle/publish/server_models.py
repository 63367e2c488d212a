"""The models of an inference server that takes LoRA adapters while it runs."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any

from sleepcycle.errors import PublishError
from sleepcycle.publish.driver import WantedVersion
from sleepcycle.publish.exchange import ServerReply, send
from sleepcycle.publish.secret import read_secret
from sleepcycle.settings.publishconfig import ServerTarget

LOOK_S = 5.0  # to list what is loaded
LOAD_S = 120.0  # to load an adapter of some gigabytes from a slow disk
SAY_S = 60.0  # to answer one token on a server that is busy
LONGEST_WAIT_S = 15.0  # with a look of 5 s and jitter, a server is back within 30 s
PROBE = "Hello"
REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
KEYLESS = "name a file with its API key: token_file"


@dataclass(frozen=True, slots=True)
class Listed:
    """One model that a server lists."""

    id: str
    root: str | None
    """The folder that an adapter was loaded from; the model of a base."""

    parent: str | None
    """The base that an adapter sits on; None for a base."""


class ServerModels:
    """The models of one inference server, as far as they are ours.

    Args:
        target: Where the server is, and what it calls us.
        home: The folder of the home.
        versions: Its folder of versions.
    """

    def __init__(self, target: ServerTarget, home: Path, versions: Path) -> None:
        self._target, self._home, self._versions = target, home, versions
        self.name = target.serve_as or target.alias

    def id_of(self, version: str) -> str:
        """Return what a version is called there."""
        return f"{self.name}@{version}"

    def version_in(self, listed: Listed) -> str | None:
        """Return the version that a listed model is; None where it is not ours."""
        before, at, version = listed.id.rpartition("@")
        return version if at and before == self.name else None

    def path_of(self, wanted: WantedVersion) -> str:
        """Return where the server finds a version that is no bare base."""
        folder = wanted.folder or self._versions
        there = self._target.versions_path
        if there:
            return str(PurePosixPath(there) / folder.name)
        return str(folder.absolute())

    def listed(self) -> list[Listed]:
        """Return all models that the server lists, in its order.

        Raises:
            PublishError: It does not list them.
        """
        reply = self.get("/v1/models")
        told = reply.json() if reply.is_good else None
        models = told.get("data") if isinstance(told, dict) else None
        if not isinstance(models, list):
            hint = f"; {KEYLESS}" if reply.status in REFUSED else ""
            raise PublishError(
                f"expected a list of models at {self._target.url}/v1/models, got "
                f"{reply.status}: {reply.words()}{hint}"
            )
        return [
            Listed(model["id"], _text(model.get("root")), _text(model.get("parent")))
            for model in models
            if isinstance(model, dict) and isinstance(model.get("id"), str)
        ]

    def ours(self, listed: list[Listed]) -> dict[str, Listed]:
        """Return what is loaded there of our versions, by version, the newest last."""
        found = ((self.version_in(model), model) for model in listed)
        return {version: model for version, model in found if version is not None}

    def expect_listed(self, name: str) -> list[Listed]:
        """Return what the server lists after it has loaded a name.

        Raises:
            PublishError: The name is not among it.
        """
        listed = self.listed()
        if all(model.id != name for model in listed):
            raise PublishError(
                f"expected the server to list {name} once it said that it is loaded, "
                "got a list without it; are there several servers behind the address?"
            )
        return listed

    def superseded(self, wanted: WantedVersion) -> list[str]:
        """Return what our versions are called there that may go.

        They are all but the one that is wanted and the newest other.
        """
        versions = self.ours(self.listed())
        versions.pop(wanted.name, None)
        return [self.id_of(version) for version in list(versions)[:-1]]

    def get(self, path: str) -> ServerReply:
        """Ask the server something."""
        url = f"{self._target.url}{path}"
        return send("GET", url, headers=self._headers(), timeout_s=LOOK_S)

    def post(self, path: str, body: dict[str, Any], timeout_s: float) -> ServerReply:
        """Let the server do something, and return what it answers."""
        return send(
            "POST",
            f"{self._target.url}{path}",
            json.dumps(body).encode(),
            headers=self._headers(),
            timeout_s=timeout_s,
        )

    def probe(self, said: str, body: dict[str, str]) -> None:
        """Let a model that was just loaded say one token.

        Args:
            said: What it is called, for the error.
            body: How it is named in a request.

        Raises:
            PublishError: It says none.
        """
        asked = {**body, "prompt": PROBE, "max_tokens": 1, "temperature": 0}
        reply = self.post("/v1/completions", asked, SAY_S)
        told = reply.json() if reply.is_good else None
        if not (isinstance(told, dict) and told.get("choices")):
            raise PublishError(
                f"expected {said} to answer at {self._target.url}, got "
                f"{reply.status}: {reply.words()}"
            )

    def _headers(self) -> dict[str, str]:
        """Return what shows who we are."""
        if not self._target.token_file:
            return {}
        token = read_secret(self._home, self._target.token_file)
        return {"Authorization": f"Bearer {token}"}


def _text(value: object) -> str | None:
    """Return a text that a server may leave out."""
    return value if isinstance(value, str) else None
