"""Bring a version to an SGLang server: under a name of its own, then the old is let go.

The contract is that of SGLang 0.5.23: `sglang.srt.managers.tokenizer_control_mixin`
and `sglang.srt.entrypoints.http_server`. A name that is loaded is refused, and one
that is unloaded answers what it was asked before it is gone.
"""

from sleepcycle.errors import PublishError
from sleepcycle.publish.driver import WantedVersion
from sleepcycle.publish.server_models import (
    LOAD_S,
    LONGEST_WAIT_S,
    Listed,
    ServerModels,
)


class SglangDriver:
    """Knows one SGLang server.

    Args:
        models: The models of the server.
    """

    longest_wait_s = LONGEST_WAIT_S

    def __init__(self, models: ServerModels) -> None:
        self._models = models
        self._tried: str | None = None  # the path of what has answered last

    def has(self, wanted: WantedVersion) -> str | None:
        """Return the version that the server answers with, as `Driver.has`."""
        versions = self._models.ours(self._models.listed())
        if wanted.folder is None:
            return wanted.name if not versions else next(reversed(versions))
        named, path = versions.pop(wanted.name, None), self._models.path_of(wanted)
        if self._tried == path and named is not None and named.root == path:
            return wanted.name
        return next(reversed(versions), None)

    def bring(self, wanted: WantedVersion) -> None:
        """Load a version under its own name, and try it."""
        listed = self._models.listed()
        versions = self._models.ours(listed)
        if wanted.folder is None:
            for version in versions:
                self._unload(self._models.id_of(version))
            return
        self._tried = None
        wanted.expect_whole()
        path, name = self._models.path_of(wanted), self._models.id_of(wanted.name)
        named = versions.get(wanted.name)
        if named is not None and named.root != path:
            self._unload(name)  # of another home, or of this one before a restore
            named = None
        if named is None:
            self._act("load", {"lora_name": name, "lora_path": path})
            listed = self._models.expect_listed(name)
        self._models.probe(name, {"model": f"{_base(listed)}:{name}"})
        self._tried = path

    def tidy(self, wanted: WantedVersion) -> None:
        """Unload all versions but the one that it is to have, and the last other."""
        if wanted.folder is None:
            return
        for name in self._models.superseded(wanted):
            self._unload(name)

    def _unload(self, name: str) -> None:
        """Unload a name once it has answered what it was asked.

        Raises:
            PublishError: The server refuses.
        """
        self._act("unload", {"lora_name": name})

    def _act(self, what: str, body: dict[str, str]) -> None:
        """Load or unload.

        Raises:
            PublishError: The server refuses.
        """
        reply = self._models.post(f"/{what}_lora_adapter", body, LOAD_S)
        told = reply.json()
        done = isinstance(told, dict) and told.get("success") is True
        if reply.is_good and done:
            return
        said = reply.words()
        hint = "; it takes adapters where it was started with --enable-lora"
        raise PublishError(
            f"expected the server to {what} {body['lora_name']}, got {reply.status}: "
            f"{said}{hint if said == 'Not Found' else ''}"
        )


def _base(listed: list[Listed]) -> str:
    """Return what the server calls its base.

    Raises:
        PublishError: It lists none.
    """
    for model in listed:
        if model.parent is None:
            return model.id
    raise PublishError("expected the server to list its base model, got none")
