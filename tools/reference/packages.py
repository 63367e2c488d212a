"""The map of modules, and the tree of packages, from their docstrings."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

from tools.imports import Module, read_package

ROOT = Path(__file__).parents[2]
LOOSE = ("worker.py", "errors.py", "log.py")  # beside the packages of the service
SERVICE, STUDY = ROOT / "sleepcycle", ROOT / "study" / "sleepcycle_study"
HEAD = """\
# Modules

Every module of both packages, with the first sentence of its docstring.
Imports point down the layers in `pyproject.toml`; how a day runs through the packages is in [architecture](../explanation/architecture.md).
"""


def modules_page() -> str:
    """Return the map of modules: a section a package, a table a room."""
    return "\n".join([HEAD, *_package(SERVICE), *_package(STUDY)])


def package_tree() -> str:
    """Return the packages of the service as a tree, and the study's, a line each."""
    width = max(len(path.name) for path in [*_rooms(SERVICE), *_rooms(STUDY)]) + 1
    lines = []
    for package in (SERVICE, STUDY):
        lines.append(f"{package.relative_to(ROOT).as_posix()}/")
        lines += [
            f"  {path.name + '/':{width}}  {sentence(path)}" for path in _rooms(package)
        ]
        lines += [
            f"  {name:{width}}  {_module_sentence(package / name)}"
            for name in (LOOSE if package == SERVICE else ())
        ]
    return "\n".join(lines)


def sentence(package: Path) -> str:
    """Return the first sentence of a package's docstring."""
    return _module_sentence(package / "__init__.py")


def _module_sentence(file: Path) -> str:
    """Return the first sentence of a module's docstring."""
    return first_sentence(ast.parse(file.read_text(encoding="utf-8")))


def first_sentence(tree: ast.Module) -> str:
    """Return the first sentence of a module's docstring, without its full stop."""
    docstring = ast.get_docstring(tree) or ""
    return " ".join(docstring.split("\n\n")[0].split()).rstrip(".")


def _rooms(package: Path) -> list[Path]:
    """Return the packages below one, in the order of its layers; others come last."""
    order = _layers(package.name)
    rooms = (path.parent for path in package.glob("*/__init__.py"))
    return sorted(rooms, key=lambda path: (order.get(path.name, len(order)), path.name))


def _layers(package: str) -> dict[str, int]:
    """Return the place of each room in the import contract of a package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and contract["containers"] == [package]:
            layers = enumerate(contract["layers"])
            return {name: at for at, one in layers for name in re.findall(r"\w+", one)}
    raise LookupError(f"expected layers of {package} in pyproject.toml, got none")


def _package(folder: Path) -> list[str]:
    """Return the section of one package."""
    rooms: dict[str, list[Module]] = defaultdict(list)
    modules = read_package(folder)
    for module in modules:
        if not module.is_special:
            rooms[_room(module)].append(module)
    titles = {"": f"## `{folder.name}`\n\n{sentence(folder)}."}
    parts = []
    for room in ["", *(path.name for path in _rooms(folder))]:
        said = f"### `{room}/`\n\n{sentence(folder / room)}." if room else titles[""]
        parts += [said, "", *_table(rooms[room])]
    return parts


def _room(module: Module) -> str:
    """Return the package at the top that a module lies in; empty for the top itself."""
    parts = module.path.split("/")[1:]
    return parts[0] if len(parts) > 1 else ""


def _table(modules: list[Module]) -> list[str]:
    """Return the rows of one room."""
    if not modules:
        return []
    rows = [
        f"| `{module.path.partition('/')[2]}` | {first_sentence(module.tree)} |"
        for module in modules
    ]
    return ["| module | what it is for |", "|---|---|", *rows, ""]
