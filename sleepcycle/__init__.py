"""A service that lets a language model keep learning without forgetting."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sleepcycle.home.home import Home
    from sleepcycle.server.api_client import Client

__all__ = ["Client", "open"]


def open(home: str | Path) -> "Home":
    """Open a home, and make it first where there is none.

    Args:
        home: The state directory.

    Raises:
        HomeError: There are other things at that place.
        ConfigError: A setting is wrong.
    """
    from sleepcycle.home.opening import create_home, open_home

    root = Path(home).expanduser().absolute()
    create_home(root)
    return open_home(root)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class, or a text
    """Return what is loaded only where it is asked for: the client, the version."""
    if name == "Client":
        from sleepcycle.server.api_client import Client

        return Client
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("sleepcycle")
