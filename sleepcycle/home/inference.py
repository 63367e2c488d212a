"""Answers of sealed versions, computed in this process."""

from collections.abc import Sequence
from pathlib import Path

from sleepcycle.files.paths import HomePaths
from sleepcycle.files.sealed import verify
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base, pick_device
from sleepcycle.model.portable import load_portable
from sleepcycle.model.reply import Prompt, Reply, reply_to
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import Settings

ADAPTER = "asked"


def load(settings: Settings, paths: HomePaths, expected: BaseIdentity) -> Base:
    """Load the base of a home.

    Args:
        settings: The home's settings.
        paths: The home.
        expected: The base that its versions belong to.

    Raises:
        ModelError: It cannot be loaded, or is not the expected one.
    """
    device = pick_device(settings.engine.device)
    base = load_base(settings.model, device=device, cache=paths.cache)
    base.identity.expect(expected)
    return base


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
    asked = [Prompt(prompt, max_new_tokens=max_new_tokens) for prompt in prompts]
    return [said.text for said in reply(base, folder, asked)]


def reply(base: Base, folder: Path | None, asked: Sequence[Prompt]) -> list[Reply]:
    """Do the same, with the calculator for those prompts that have it."""
    names = put_on(base, ADAPTER, folder)
    adapters.activate(base, names)
    try:
        return reply_to(base, asked)
    finally:
        for name in names:
            adapters.remove(base, name)
