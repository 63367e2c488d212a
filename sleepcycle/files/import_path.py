"""Keep Python from running files of the current folder as modules.

Only what Python has loaded by itself is imported here, since a module of any other name
may lie in that folder.
"""

import os
import sys
from collections.abc import Mapping

SAFE, PATH = "PYTHONSAFEPATH", "PYTHONPATH"


def safe_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose Python takes no module from the current folder.

    An empty entry of `PYTHONPATH` stands for that folder too, and is left out; what is
    named there stays.
    """
    safe = {**environment, SAFE: "1"}
    if named := _named(environment):
        safe[PATH] = os.pathsep.join(named)
    else:
        safe.pop(PATH, None)
    return safe


def leave_current_folder() -> None:
    """Take the current folder from where this process, and each it starts, imports.

    It stays where `PYTHONPATH` names it, and where this very package lies in it.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:  # it was removed
        here = ""
    named = {os.path.abspath(folder) for folder in _named(os.environ) if here}
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if here not in named | {own}:
        sys.path[:] = [folder for folder in sys.path if folder not in {"", here}]
    os.environ.update(safe := safe_environment(os.environ))
    if PATH not in safe:
        os.environ.pop(PATH, None)


def _named(environment: Mapping[str, str]) -> list[str]:
    """Return the folders that `PYTHONPATH` names."""
    return [word for word in environment.get(PATH, "").split(os.pathsep) if word]
