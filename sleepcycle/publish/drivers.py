"""Which driver knows which kind of target."""

from collections.abc import Callable
from pathlib import Path

from sleepcycle.files.paths import HomePaths
from sleepcycle.publish.driver import Driver, LastBrought
from sleepcycle.publish.published_folder import FolderDriver
from sleepcycle.publish.server_models import ServerModels
from sleepcycle.publish.sglang import SglangDriver
from sleepcycle.publish.vllm import VllmDriver
from sleepcycle.publish.webhook import WebhookDriver
from sleepcycle.settings.publishconfig import (
    FolderTarget,
    SglangTarget,
    Target,
    VllmTarget,
)


def driver_of(
    target: Target,
    paths: HomePaths,
    home_id: str,
    last_brought: Callable[[], LastBrought],
) -> Driver:
    """Return what knows a target.

    Args:
        target: Its settings.
        paths: The home.
        home_id: Tells this home from others.
        last_brought: Reads which version the target was brought to last.
    """
    if isinstance(target, VllmTarget):
        models = ServerModels(target, paths.root, paths.versions)
        return VllmDriver(models, in_place=target.in_place)
    if isinstance(target, SglangTarget):
        return SglangDriver(ServerModels(target, paths.root, paths.versions))
    if isinstance(target, FolderTarget):
        return FolderDriver(Path(target.path).expanduser(), paths.root)
    return WebhookDriver(target, paths.root, home_id, last_brought)
