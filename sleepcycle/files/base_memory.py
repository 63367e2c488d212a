"""What is remembered of a home's base in its cache, so that it is not hashed again."""

import json
from pathlib import Path
from typing import Any

from sleepcycle.files import disk

FILE = "base.json"


def recall_base(cache: Path) -> dict[str, Any]:
    """Return what was remembered; nothing where it is damaged, or was never written."""
    try:
        known = json.loads((cache / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def remember_base(cache: Path, known: dict[str, Any]) -> None:
    """Write what is to be remembered."""
    disk.make(cache)
    (cache / FILE).write_text(json.dumps(known), encoding="utf-8")


def recall_quantization(cache: Path) -> str:
    """Return how the base's weights are packed, as was last seen; empty if unknown."""
    found = recall_base(cache).get("quantization")
    return found if isinstance(found, str) else ""
