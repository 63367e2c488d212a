"""Answers of sealed versions, computed in this process."""

from collections.abc import Sequence
from pathlib import Path

from sleepcycle.config import Settings
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base, pick_device
from sleepcycle.model.encode import render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.model.portable import load_portable
from sleepcycle.paths import HomePaths
from sleepcycle.sealed import verify

ADAPTER = "asked"


def load(settings: Settings, paths: HomePaths) -> Base:
    """Load the base of a home."""
    device = pick_device(settings.engine.device)
    return load_base(settings.model, device=device, cache=paths.cache)


def put_on(base: Base, name: str, folder: Path | None) -> list[str]:
    """Attach a sealed version, checked first.

    Returns:
        Names of the adapters to activate: none for the bare base.
    """
    if folder is None:
        return []
    verify(folder)
    adapters.attach(base, name, load_portable(folder))
    return [name]


def ask(
    base: Base, folder: Path | None, prompts: Sequence[str], max_new_tokens: int
) -> list[str]:
    """Let one version answer prompts, greedily; the base is bare again afterwards."""
    names = put_on(base, ADAPTER, folder)
    adapters.activate(base, names)
    try:
        ids = [render_prompt(prompt, base) for prompt in prompts]
        return answer(base, ids, max_new_tokens=max_new_tokens)
    finally:
        for name in names:
            adapters.remove(base, name)
