"""Reads the modules of packages and which of them import which."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Graph = dict[str, set[str]]


@dataclass(frozen=True)
class Module:
    """One file of Python."""

    name: str
    """Dotted; that of a package's `__init__` is the package's own."""

    path: str
    """Below the folder in which the package lies."""

    lines: int
    tree: ast.Module

    @property
    def stem(self) -> str:
        """Return the file's name without its ending."""
        return Path(self.path).stem

    @property
    def is_special(self) -> bool:
        """Return whether the file's name is Python's choice."""
        return self.stem in {"__init__", "__main__"}

    @property
    def room(self) -> str | None:
        """Return the subpackage or loose module at the top; None for the top's own."""
        parts = self.name.split(".")
        return None if parts[1:] in ([], ["__main__"]) else ".".join(parts[:2])


def read_package(folder: Path) -> list[Module]:
    """Read every module of a package, in the order of their paths."""
    return [_read(path, folder.parent) for path in sorted(folder.rglob("*.py"))]


def _read(path: Path, above: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    relative = path.relative_to(above)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    lines = len(text.splitlines())
    return Module(name, relative.as_posix(), lines, ast.parse(text, str(path)))


def import_graph(modules: Sequence[Module]) -> Graph:
    """Return which modules each module imports, in functions too.

    `from a.b import c` is an import of `a.b.c` where that is a module, else of
    `a.b`; neither imports the packages above. What stands under TYPE_CHECKING is not
    counted, nor a module's import of itself.
    """
    known = {each.name for each in modules}
    return {
        each.name: {
            target
            for name in _imported(each)
            for target in _resolve(name, known)
            if target != each.name
        }
        for each in modules
    }


def _resolve(name: str, known: set[str]) -> list[str]:
    return [each for each in (name, name.rpartition(".")[0]) if each in known][:1]


def _imported(module: Module) -> Iterator[str]:
    for node in _running(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one, but for what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _checks_types(child.test):
            for other in child.orelse:
                yield other
                yield from _running(other)
        else:
            yield child
            yield from _running(child)


def _checks_types(test: ast.expr) -> bool:
    return ast.unparse(test).rpartition(".")[2] == "TYPE_CHECKING"


def _base(module: Module, node: ast.ImportFrom) -> str:
    """Return the dotted name that a `from` names, a relative one from its module."""
    if not node.level:
        return node.module or ""
    up = node.level - (module.stem == "__init__")
    above = module.name.split(".")
    above = above[: len(above) - up]
    return ".".join([*above, *([node.module] if node.module else [])])


def room_graph(modules: Sequence[Module], edges: Graph) -> Graph:
    """Return which rooms each room imports; a package's own `__init__` is in none."""
    rooms = {each.name: each.room for each in modules}
    graph: Graph = {room: set() for room in rooms.values() if room}
    for source, targets in edges.items():
        if here := rooms[source]:
            graph[here] |= {room for each in targets if (room := rooms[each])} - {here}
    return graph


def cycles(graph: Graph) -> list[list[str]]:
    """List the strongly connected components of more than one node."""
    reach = {node: _reachable(graph, node) for node in graph}
    found = {
        frozenset(other for other in reach[node] if node in reach[other])
        for node in graph
    }
    return sorted(sorted(each) for each in found if len(each) > 1)


def _reachable(graph: Graph, start: str) -> set[str]:
    """Return what a walk along the arrows comes to; the start only by a way back."""
    seen: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        node = ahead.pop()
        if node not in seen:
            seen.add(node)
            ahead += graph[node]
    return seen
