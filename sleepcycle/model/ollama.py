"""Models that Ollama has pulled: from a name to the file that holds the weights."""

import json
import os
from pathlib import Path
from typing import Any

from sleepcycle.errors import ModelError

REGISTRY, OWNER, TAG = "registry.ollama.ai", "library", "latest"
MODEL_LAYER = "application/vnd.ollama.image.model"
ADAPTER_LAYER = "application/vnd.ollama.image.adapter"
SYSTEM_STORE = Path("/usr/share/ollama/.ollama/models")
"""Where Ollama's own systemd unit, which has a user of its own, keeps models."""


def find_blob(name: str) -> Path:
    """Return the file of a model that Ollama has pulled.

    Args:
        name: As `ollama list` says it: `llama3.2`, `llama3.2:1b`, `user/name:tag`, or
            with its registry before, as in `hf.co/user/name:tag`.

    Raises:
        ModelError: There is no such model here, or it is not one plain file.
    """
    parts = _split(name)
    stores = _stores()
    manifest = next(
        (
            file
            for store in stores
            if (file := store.joinpath("manifests", *parts)).is_file()
        ),
        None,
    )
    if manifest is None:
        raise ModelError(
            f"expected the model {name} of Ollama in {_listed(stores)}, found none; "
            f"see: ollama list; or fetch it: ollama pull {name}"
        )
    layers = _layers(manifest)
    if any(layer.get("mediaType") == ADAPTER_LAYER for layer in layers):
        raise ModelError(
            f"expected a base in Ollama's {name}, got a base with an adapter on it; "
            "name the base that its Modelfile begins from"
        )
    digests = [
        str(layer.get("digest"))
        for layer in layers
        if layer.get("mediaType") == MODEL_LAYER
    ]
    if len(digests) != 1:
        raise ModelError(
            f"expected one file of weights in Ollama's {name}, got {len(digests)}; "
            "models that run in the cloud have none here"
        )
    return _blob(manifest, name, digests[0])


def _split(name: str) -> tuple[str, str, str, str]:
    """Return registry, owner, model and tag of a name."""
    path, _, tag = name.partition(":")
    parts = path.split("/")
    if not all(_is_plain(part) for part in (*parts, tag or TAG)) or len(parts) > 3:
        raise ModelError(
            f"expected a name as `ollama list` says it after ollama:, got {name!r}"
        )
    registry, owner, model = (REGISTRY, OWNER, "")[: 3 - len(parts)] + tuple(parts)
    return registry, owner, model, tag or TAG


def _is_plain(part: str) -> bool:
    """Return whether a part of a name stays in the folder it is looked for in."""
    return bool(part) and part not in {".", ".."} and not set(part) & set("\\\0/:")


def _stores() -> list[Path]:
    """Return the folders in which Ollama keeps models, the likeliest first."""
    named = os.environ.get("OLLAMA_MODELS")
    if named:
        return [Path(named).expanduser()]
    return [Path.home() / ".ollama" / "models", SYSTEM_STORE]


def _listed(stores: list[Path]) -> str:
    """Return folders in words."""
    return " or ".join(map(str, stores))


def _layers(manifest: Path) -> list[dict[str, Any]]:
    """Return the layers that a manifest lists."""
    try:
        layers = json.loads(manifest.read_text(encoding="utf-8"))["layers"]
        return [dict(layer) for layer in layers]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(
            f"expected a manifest of Ollama in {manifest}, got: {error!r}; pull the "
            "model again"
        ) from error


def _blob(manifest: Path, name: str, digest: str) -> Path:
    """Return the file of a digest, beside the manifests."""
    file = digest.replace(":", "-")
    blob = manifest.parents[4] / "blobs" / file
    if not _is_plain(file) or not blob.is_file():
        raise ModelError(
            f"expected {blob}, which Ollama's {name} names, found none; pull the model "
            f"again: ollama pull {name}"
        )
    return blob
