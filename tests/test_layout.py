"""The repository holds to its own rules: map, sizes, messages, house words."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sleepcycle"
MAP = re.compile(r"^\| `([\w/]+)\.py` \| (.+) \|$", re.MULTILINE)
MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.stem not in {"__init__", "__main__"}
)
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def name_of(path: Path) -> str:
    """Return a module's name on the map."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def test_every_module_is_on_the_map_and_no_other():
    """
    A new file needs its sentence; a removed file takes its sentence along.
    """
    listed = MAP.findall((ROOT / "README.md").read_text())

    assert sorted(name for name, _ in listed) == [name_of(path) for path in MODULES]


def test_the_map_says_what_the_modules_say():
    """
    The sentence on the map is the first of the module's docstring.
    """
    listed = dict(MAP.findall((ROOT / "README.md").read_text()))
    for path in MODULES:
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        first = " ".join(docstring.split("\n\n")[0].split())

        assert listed[name_of(path)] == first.rstrip("."), path


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_is_over_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_expected_error_is_matched_by_its_message(path):
    """
    An error whose text is never read rots.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
            keywords = {keyword.arg for keyword in node.keywords}

            assert "match" in keywords, f"{path.name}:{node.lineno}"
