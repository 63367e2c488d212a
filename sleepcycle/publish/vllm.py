"""Bring a version to a vLLM server: a name for each, and one that moves in place.

The contract is that of vLLM 0.33.0: `vllm.entrypoints.serve.lora.protocol` and
`vllm.entrypoints.openai.models.serving`. An adapter that is unloaded is taken off
the list alone: what is being answered by it is answered to its end.
"""

import re
from http import HTTPStatus

from sleepcycle.errors import PublishError
from sleepcycle.publish.driver import WantedVersion
from sleepcycle.publish.exchange import ServerReply
from sleepcycle.publish.server_models import (
    LOAD_S,
    LONGEST_WAIT_S,
    LOOK_S,
    Listed,
    ServerModels,
)

FIRST = (0, 33)
"""The first that changes an adapter in place without reading it again at each step."""

ROUTELESS = (
    "it takes adapters while it runs where it was started with --enable-lora and "
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
)


class VllmDriver:
    """Knows one vLLM server.

    Args:
        models: The models of the server.
        in_place: Whether our bare name is to be what is newest, too.
    """

    longest_wait_s = LONGEST_WAIT_S

    def __init__(self, models: ServerModels, *, in_place: bool) -> None:
        self._models, self._in_place = models, in_place
        self._tried: str | None = None  # the path of what has answered last

    def has(self, wanted: WantedVersion) -> str | None:
        """Return the version that the server answers with, as `Driver.has`."""
        listed = self._models.listed()
        moving = self._moving(listed)
        versions = self._models.ours(listed)
        if wanted.folder is None:
            left = moving is not None if self._in_place else bool(versions)
            return self._other(versions, moving) if left else wanted.name
        path = self._models.path_of(wanted)
        named = versions.get(wanted.name)
        there = [named, moving] if self._in_place else [named]
        if self._tried == path and all(each and each.root == path for each in there):
            return wanted.name
        versions.pop(wanted.name, None)
        return self._other(versions, moving)

    def bring(self, wanted: WantedVersion) -> None:
        """Load a version under its own name, try it, and then move the bare one."""
        listed = self._models.listed()
        if wanted.folder is None:
            return self._clear(listed)
        self._tried = None
        wanted.expect_whole()
        path, name = self._models.path_of(wanted), self._models.id_of(wanted.name)
        named = self._models.ours(listed).get(wanted.name)
        if named is not None and named.root != path:
            self._unload(name)  # of another home, or of this one before a restore
            named = None
        if named is None:
            self._load(name, path)
        self._models.probe(name, {"model": name})
        if self._in_place:
            self._move(listed, path)
        self._tried = path

    def tidy(self, wanted: WantedVersion) -> None:
        """Unload all versions but the one that it is to have, and the last other."""
        if wanted.folder is None:
            return
        for name in self._models.superseded(wanted):
            self._unload(name)

    def _moving(self, listed: list[Listed]) -> Listed | None:
        """Return what our bare name is, if it is to be anything.

        Raises:
            PublishError: It is the base's.
        """
        named = (model for model in listed if model.id == self._models.name)
        moving = next(named, None) if self._in_place else None
        if moving is not None and moving.parent is None:
            raise PublishError(
                f"expected no base model called {moving.id} on the server, got one; "
                "set serve_as to another name, or in_place = false"
            )
        return moving

    def _other(self, versions: dict[str, Listed], moving: Listed | None) -> str | None:
        """Return which of these versions the server answers with, if any."""
        if not self._in_place:
            return next(reversed(versions), None)
        root = None if moving is None else moving.root
        return next((each for each, at in versions.items() if at.root == root), None)

    def _move(self, listed: list[Listed], path: str) -> None:
        """Let the bare name be what lies at a path; who asks goes on to be answered."""
        moving = self._moving(listed)
        if moving is not None and moving.root == path:
            return
        self._expect_new_enough()
        self._load(self._models.name, path, in_place=True)
        self._models.probe(self._models.name, {"model": self._models.name})

    def _clear(self, listed: list[Listed]) -> None:
        """Unload all that is ours: what is wanted is the bare base, by its own name."""
        if self._moving(listed) is not None:
            self._unload(self._models.name)
        for version in self._models.ours(listed):
            self._unload(self._models.id_of(version))

    def _load(self, name: str, path: str, *, in_place: bool = False) -> None:
        """Load what lies at a path under a name.

        Raises:
            PublishError: The server refuses.
        """
        body = {"lora_name": name, "lora_path": path}
        asked = {**body, "load_inplace": True} if in_place else body
        reply = self._models.post("/v1/load_lora_adapter", asked, LOAD_S)
        if not reply.is_good:
            raise _refused(f"to load {name} from {path}", reply)
        self._models.expect_listed(name)

    def _unload(self, name: str) -> None:
        """Take a name off the list; where it is gone already, all the better.

        Raises:
            PublishError: The server refuses.
        """
        reply = self._models.post(
            "/v1/unload_lora_adapter", {"lora_name": name}, LOOK_S
        )
        if not reply.is_good and not _is_unknown(reply):
            raise _refused(f"to unload {name}", reply)

    def _expect_new_enough(self) -> None:
        """Refuse a server that would read an adapter again at each step.

        One that does not tell its version, as behind a proxy, is let pass.

        Raises:
            PublishError: It is too old.
        """
        reply = self._models.get("/version")
        told = reply.json() if reply.is_good else None
        said = str(told.get("version", "")) if isinstance(told, dict) else ""
        number = re.match(r"(\d+)\.(\d+)", said)
        if number and (int(number[1]), int(number[2])) < FIRST:
            raise PublishError(
                f"expected vLLM {FIRST[0]}.{FIRST[1]} or newer, which changes an "
                f"adapter in place, got {said:.40}; update it, or set in_place = false"
            )


def _is_unknown(reply: ServerReply) -> bool:
    """Return whether the server says that there is no such adapter."""
    told = reply.json()
    error = told.get("error") if isinstance(told, dict) else None
    return (
        reply.status == HTTPStatus.NOT_FOUND
        and isinstance(error, dict)
        and "cannot be found" in str(error.get("message"))
    )


def _refused(what: str, reply: ServerReply) -> PublishError:
    """Return the error for what the server did not do."""
    said = reply.words()
    hint = f"; {ROUTELESS}" if said in {"Not Found", "Method Not Allowed"} else ""
    return PublishError(f"expected the server {what}, got {reply.status}: {said}{hint}")
