"""Check the documents: links, anchors, and the names of modules and files.

python -m tools.check_links [FILE.md ...]
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "study/README.md")
BASES = (".", "sleepcycle", "study/sleepcycle_study", "study")
TOPS = r"(?:sleepcycle|sleepcycle_study|tools|benchmarks)"
DOTTED = re.compile(rf"(?<![\w./-]){TOPS}(?:\.\w+)+(?![\w/])")
FILE = re.compile(r"[\w-]+(?:/[\w-]+)*\.py")
OF_A_HOME = {
    *("backups", "cache", "checkpoint", "inbox", "logs", "result", "runs", "scratch"),
    *("staging", "unclaimed", "uploads", "versions"),
}
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()}
DOCUMENT = re.compile(r"\bdocs/[\w/-]+\.(?:md|json)\b")
NAME = re.compile(r"[A-Za-z_]\w*")
NO_MODULES = {
    "sleepcycle.commands",  # the group of entry points
    "sleepcycle.db",
    "sleepcycle.log",
    "sleepcycle.service",
}


def documents() -> list[Path]:
    """Return the documents of the repository."""
    found = [ROOT / name for name in DOCUMENTS]
    return found + sorted((ROOT / "docs").rglob("*.md"))


def faults(path: Path) -> Iterator[str]:
    """Yield what is wrong with one document: its place, and what is not there."""
    for token in MarkdownIt().enable("table").parse(path.read_text(encoding="utf-8")):
        line = (token.map or [0])[0] + 1
        for fault in _token_faults(token, path):
            yield f"{path.relative_to(ROOT)}:{line}: {fault}"


def _token_faults(token: Token, path: Path) -> Iterator[str]:
    """Yield what is wrong with one block."""
    if token.type in {"fence", "code_block"}:
        yield from _dotted_faults(token.content)
        quoted = re.findall(rf"`({FILE.pattern})`", token.content)
        yield from (f"no file {name}" for name in quoted if _file(name) is None)
    for inner in token.children or ():
        if inner.type == "link_open":
            yield from _link_faults(str(inner.attrs["href"]), path)
        elif inner.type == "code_inline":
            yield from _dotted_faults(inner.content)
    yield from _file_faults(token.children or [])


def _link_faults(target: str, path: Path) -> Iterator[str]:
    """Yield what is wrong with a link; one to elsewhere is not followed."""
    if re.match(r"\w+:", target):
        return
    name, _, anchor = target.partition("#")
    place = (path.parent / name).resolve() if name else path
    if not place.exists():
        yield f"no file {target}"
    elif anchor and place.suffix == ".md" and anchor not in anchors(place):
        yield f"no heading {target}"


@cache
def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            said = "".join(each.content for each in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", said.lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {
        f"{slug}-{number}" if number else slug
        for slug, most in found.items()
        for number in range(most + 1)
    }


def _dotted_faults(text: str) -> Iterator[str]:
    """Yield the dotted names that no module, and no name in one, has."""
    for name in DOTTED.findall(text):
        if name not in NO_MODULES and not _is_known(name):
            yield f"no module or name {name}"


def _is_known(name: str) -> bool:
    """Return whether a dotted name is a module, or one that a module has."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        module = _module(parts[:size])
        if module is not None:
            return set(parts[size:]) <= names(module)
    return False


def _module(parts: Sequence[str]) -> Path | None:
    """Return the file of a module, if there is one."""
    for base in (ROOT, ROOT / "study"):
        place = base.joinpath(*parts)
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


def _file_faults(children: Sequence[Token]) -> Iterator[str]:
    """Yield the files that are not there, and names that are not in their file.

    A name is held to be in a file where it stands right behind it: `file.py` `name`.
    """
    file: Path | None = None
    for token in children:
        if token.type == "code_inline" and FILE.fullmatch(token.content):
            file = _file(token.content)
            if file is None:
                yield f"no file {token.content}"
        elif token.type == "code_inline":
            if file is not None and not _has(file, token.content):
                yield f"no {token.content} in {file.relative_to(ROOT)}"
            yield from _folder_faults(token.content)
            file = None
        elif token.content != " ":
            file = None


def _file(name: str) -> Path | None:
    """Return the file of that name, from the top or from a package's folder."""
    places = (ROOT / base / name for base in BASES)
    return next((place for place in places if place.is_file()), None)


def _has(file: Path, name: str) -> bool:
    """Return whether a file has a name; what is none is not looked for."""
    return not NAME.fullmatch(name) or name in names(file)


@cache
def names(file: Path) -> set[str]:
    """Return what a module defines, imports or assigns, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).rpartition(".")[2])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _folder_faults(text: str) -> Iterator[str]:
    """Yield a room that is not there, or a path below the top that is not."""
    parts = text.rstrip("/").split("/")
    if re.fullmatch(r"[a-z_]+/", text):
        known = any((ROOT / base / parts[0]).is_dir() for base in BASES)
        if not known and parts[0] not in OF_A_HOME:
            yield f"no folder {text}"
        return
    whole = re.fullmatch(r"[\w./-]+/[\w./-]*", text) is not None
    if whole and parts[0] in FOLDERS and not (ROOT / text).exists():
        yield f"no file or folder {text}"


def source_faults() -> Iterator[str]:
    """Yield the documents that the code or the settings name and that are not there."""
    for path in _sources():
        for name in DOCUMENT.findall(path.read_text(encoding="utf-8")):
            if not (ROOT / name).exists():
                yield f"{path.relative_to(ROOT)}: no document {name}"


def _sources() -> Iterator[Path]:
    """Yield the files that may name a document."""
    yield from (ROOT / "config.toml", ROOT / "Makefile", ROOT / "pyproject.toml")
    for folder in ("sleepcycle", "study", "tools", "benchmarks", "examples", "deploy"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def main(argv: Sequence[str]) -> int:
    """Print every fault of the documents that are named, or of all."""
    paths = [Path(name).resolve() for name in argv] or documents()
    found = [fault for path in paths for fault in faults(path)]
    found += [] if argv else source_faults()
    print("\n".join([*found, f"{len(paths)} documents, {len(found)} faults"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
