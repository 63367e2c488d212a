"""Answers of sealed versions, computed in this process."""

from collections.abc import Sequence
from pathlib import Path

from sleepcycle.files.paths import HomePaths
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base, pick_device
from sleepcycle.model.portable import load_sealed
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


def ask(
    base: Base, folder: Path | None, prompts: Sequence[str], max_new_tokens: int
) -> list[str]:
    """Let one version answer prompts, greedily; the base is bare again afterwards."""
    asked = [Prompt(prompt, max_new_tokens=max_new_tokens) for prompt in prompts]
    return [said.text for said in reply(base, folder, asked)]


def reply(base: Base, folder: Path | None, asked: Sequence[Prompt]) -> list[Reply]:
    """Return the answers of one version, with the calculator where a prompt has it."""
    with adapters.attached(base, ADAPTER, load_sealed(folder)):
        return reply_to(base, asked)
