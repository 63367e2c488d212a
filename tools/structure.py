"""Measures the structure of packages: sizes, names that stand twice, imports, SQL.

python -m tools.structure [PACKAGE_DIR ...] [--against FILE.json] [--json] [--verbose]
"""

import argparse
import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from tools.imports import Graph, Module, cycles, import_graph, read_package, room_graph

ROOT = Path(__file__).parents[1]
DEFAULT = ("sleepcycle", "study/sleepcycle_study")
ALL = "all"
SHORT_LISTS = ("loose_modules", "doubled_module_names", "doubled_class_names")
STORE = "store"  # the folder that may hold SQL
SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|PRAGMA|CREATE|DROP|ALTER|BEGIN|COMMIT"
    r"|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|DETACH|VACUUM|REINDEX|ANALYZE)"
    r"\b(?P<more>\s+([\w*({'\"]|$))?"  # nothing after it: a field of the string
)
RUNS_SQL = {"execute", "executemany", "executescript", "exec_driver_sql", "text"}
SAYING = {"Say", "Says", "Tell", "Tells"}

Figures = dict[str, int | str]
Lists = dict[str, list[str]]


@dataclass(frozen=True)
class Structure:
    """What was measured of one package, or of all together."""

    figures: Figures
    lists: Lists


def measure(modules: Sequence[Module]) -> Structure:
    """Measure some modules as one whole; imports from elsewhere are not seen."""
    edges = import_graph(modules)
    rooms = room_graph(modules, edges)
    lists = {
        **_name_lists(modules),
        **_text_lists(modules),
        **_cycle_lists(rooms, edges),
    }
    lists["one_importer_modules"] = _one_importer(modules, edges)
    lists["room_arrows"] = _arrows(rooms)
    figures: Figures = _sizes(modules) | _function_sizes(modules)
    figures |= {name: len(found) for name, found in lists.items()}
    figures["module_imports"] = len(_arrows(edges))
    figures["rooms"] = len({each.room for each in modules if each.room})
    figures["rooms_in_cycles"] = sum(map(len, cycles(rooms)))
    figures["modules_in_cycles"] = sum(map(len, cycles(edges)))
    return Structure(figures, lists)


def percentile(values: Sequence[int], share: float) -> int:
    """Return the least value that `share` of them do not exceed; 0 where none is."""
    place = max(0, -int(-share * len(values) // 1) - 1)
    return sorted(values)[place] if values else 0


def _sizes(modules: Sequence[Module]) -> Figures:
    lines = [each.lines for each in modules]
    largest = max(modules, key=lambda each: each.lines)
    return {
        "modules": len(modules),
        "packages": sum(each.stem == "__init__" for each in modules),
        "lines": sum(lines),
        "largest_file": largest.path,
        "largest_file_lines": largest.lines,
        "median_file_lines": percentile(lines, 0.5),
    }


def _function_sizes(modules: Iterable[Module]) -> Figures:
    """Measure functions and methods, nested ones too, from `def` to their last line."""
    sizes = {
        f"{each.name}.{node.name}:{node.lineno}": _length(node)
        for each in modules
        for node in ast.walk(each.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    lines = list(sizes.values())
    return {
        "functions": len(lines),
        "function_lines_p50": percentile(lines, 0.5),
        "function_lines_p90": percentile(lines, 0.9),
        "function_lines_max": max(lines, default=0),
        "longest_function": max(sizes, key=lambda name: sizes[name], default=""),
    }


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _name_lists(modules: Sequence[Module]) -> Lists:
    plain = [each for each in modules if not each.is_special]
    classes = (
        (node.name, f"{each.path}:{node.lineno}")
        for each in modules
        for node in ast.walk(each.tree)
        if isinstance(node, ast.ClassDef)
    )
    return {
        "loose_modules": [each.name for each in plain if each.path.count("/") == 1],
        "doubled_module_names": _doubled((each.stem, each.path) for each in plain),
        "doubled_class_names": _doubled(classes),
    }


def _doubled(places: Iterable[tuple[str, str]]) -> list[str]:
    """List the names that have more than one place, each with its places."""
    found = defaultdict(list)
    for name, place in places:
        found[name].append(place)
    return [
        f"{name}: {', '.join(places)}"
        for name, places in sorted(found.items())
        if len(places) > 1
    ]


def _text_lists(modules: Sequence[Module]) -> Lists:
    outside = [each for each in modules if STORE not in each.path.split("/")[1:-1]]
    return {
        "saying_docstrings": [
            f"{each.path}:{line}"
            for each in modules
            for line in saying_lines(each.tree)
        ],
        "sql_outside_store": [
            f"{each.path}:{line}" for each in outside for line in sql_lines(each.tree)
        ],
        "sql_outside_store_run_in_place": [
            f"{each.path}:{line}" for each in outside for line in run_lines(each.tree)
        ],
    }


def saying_lines(tree: ast.Module) -> Iterator[int]:
    """Yield where a docstring begins with Say or Tell."""
    for node in ast.walk(tree):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ):
            first = re.match(r"\w+", ast.get_docstring(node) or "")
            if first and first.group() in SAYING:
                yield node.body[0].lineno


def sql_lines(tree: ast.Module) -> list[int]:
    """List where strings are SQL: with more than a verb, or where they are run.

    A docstring is none, nor is a string that stands alone under a field.
    """
    found = {id(node): node for node in _strings(tree) if _is_sql(node, alone=False)}
    found |= {id(node): node for node in _run_strings(tree)}
    return sorted(node.lineno for node in found.values())


def run_lines(tree: ast.Module) -> list[int]:
    """List where SQL is written out in the very call that runs it."""
    return sorted(node.lineno for node in _run_strings(tree))


def _strings(node: ast.AST) -> Iterator[ast.Constant]:
    """Yield the strings below a node, of one with fields only what it begins with."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            yield from (part for part in child.values[:1] if _is_text(part))
        elif _is_text(child):
            yield child
        elif not (isinstance(child, ast.Expr) and _is_text(child.value)):
            yield from _strings(child)


def _is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_sql(node: ast.Constant, *, alone: bool) -> bool:
    """Return whether a string begins as SQL does; `alone`: a verb is enough."""
    match = SQL.match(str(node.value))
    return bool(match and (alone or match["more"]))


def _run_strings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _called(node) in RUNS_SQL:
            start = _start(node.args[0])
            if start and _is_sql(start, alone=True):
                yield start


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _start(node: ast.expr) -> ast.Constant | None:
    """Return the string that an expression begins with."""
    while isinstance(node, ast.BinOp):
        node = node.left
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node if _is_text(node) else None


def _arrows(graph: Graph) -> list[str]:
    return [
        f"{source} -> {to}" for source in sorted(graph) for to in sorted(graph[source])
    ]


def _cycle_lists(rooms: Graph, edges: Graph) -> Lists:
    return {
        "room_cycles": [" ".join(each) for each in cycles(rooms)],
        "module_cycles": [" ".join(each) for each in cycles(edges)],
    }


def _one_importer(modules: Iterable[Module], edges: Graph) -> list[str]:
    """List the modules with one importer, without `__init__` and `__main__`."""
    importers = defaultdict(list)
    for source, targets in edges.items():
        for target in targets:
            importers[target].append(source)
    return [
        f"{each.name} <- {importers[each.name][0]}"
        for each in modules
        if not each.is_special and len(importers[each.name]) == 1
    ]


def table(columns: Mapping[str, Figures]) -> str:
    """Return the figures as a table, a line a figure and a column a name."""
    names = list(dict.fromkeys(name for each in columns.values() for name in each))
    rows = [["", *columns]]
    for name in names:
        cells = (str(each.get(name, "-")) for each in columns.values())
        rows.append([name.replace("_", " "), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
    return " | ".join([row[0].ljust(widths[0]), *cells[1:]])


def beside(
    before: Mapping[str, Figures], after: Mapping[str, Figures]
) -> dict[str, Figures]:
    """Return the columns of two measurements, each package's two side by side."""
    names = sorted({*before, *after}, key=lambda name: (name == ALL, name))
    return {
        f"{name} {when}": figures.get(name, {})
        for name in names
        for when, figures in (("before", before), ("after", after))
    }


def measure_packages(folders: Iterable[Path]) -> dict[str, Structure]:
    """Measure each package, and all of them as one."""
    packages = {folder.name: read_package(folder) for folder in folders}
    every = [module for modules in packages.values() for module in modules]
    found = {name: measure(modules) for name, modules in packages.items()}
    return {**found, ALL: measure(every)}


def as_json(measured: Mapping[str, Structure], *, verbose: bool) -> str:
    """Return the figures as JSON, with `verbose` also the lists behind them."""
    fields: dict[str, object] = {
        "figures": {name: each.figures for name, each in measured.items()}
    }
    if verbose:
        fields["lists"] = {name: each.lists for name, each in measured.items()}
    return json.dumps(fields, indent=1)


def as_text(measured: Mapping[str, Structure], *, against: Path | None) -> str:
    """Return the table, beside the figures of a saved one where it is given."""
    after = {name: each.figures for name, each in measured.items()}
    if not against:
        return table(_without_needless(after))
    before = json.loads(against.read_text(encoding="utf-8"))["figures"]
    return table(_without_needless(beside(before, after)))


def _without_needless(columns: dict[str, Figures]) -> dict[str, Figures]:
    """Leave out the columns of all packages where there is one package alone."""
    of_all = {name for name in columns if name.split()[0] == ALL}
    if len(columns) > 2 * len(of_all):
        return columns
    return {name: each for name, each in columns.items() if name not in of_all}


def lists_text(lists: Lists, *, verbose: bool) -> str:
    """Return the lists behind the figures, the short ones alone unless `verbose`."""
    names = lists if verbose else SHORT_LISTS
    return "\n".join(
        "\n  ".join([f"\n{name.replace('_', ' ')}:", *lists[name]])
        for name in names
        if lists[name]
    )


def _folders(parser: argparse.ArgumentParser, given: Sequence[Path]) -> list[Path]:
    """Return the packages to measure; refuse a folder in which no module is."""
    folders = [each.resolve() for each in given] or [
        ROOT / name for name in DEFAULT if (ROOT / name).is_dir()
    ]
    for folder in folders:
        if not any(folder.rglob("*.py")):
            parser.error(f"expected the folder of a package, got {folder}")
    return folders


def main(argv: Sequence[str] | None = None) -> None:
    """Print what was measured of the packages that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", type=Path, metavar="PACKAGE_DIR")
    parser.add_argument("--against", type=Path, help="a saved --json to stand beside")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--verbose", action="store_true", help="every list as well")
    chosen = parser.parse_args(argv)
    measured = measure_packages(_folders(parser, chosen.packages))
    if chosen.json:
        print(as_json(measured, verbose=chosen.verbose))
        return
    print(as_text(measured, against=chosen.against))
    print(lists_text(measured[ALL].lists, verbose=chosen.verbose))


if __name__ == "__main__":
    main()
