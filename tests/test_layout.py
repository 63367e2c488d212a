"""The repository holds to its own rules: map, sizes, messages, house words."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "sleepcycle", ROOT / "study" / "sleepcycle_study")
MAP = re.compile(r"^\| `([\w/]+)\.py` \| (.+) \|$", re.MULTILINE)
MODULES = sorted(
    path
    for package in PACKAGES
    for path in package.rglob("*.py")
    if path.stem not in {"__init__", "__main__"}
)
TESTS = sorted(
    path
    for folder in (ROOT / "tests", ROOT / "study" / "tests")
    for path in folder.rglob("test_*.py")
)


def name_of(path: Path) -> str:
    """Return a module's name on the map, which the package above it does not have."""
    package = next(each for each in PACKAGES if path.is_relative_to(each))
    return path.relative_to(package).with_suffix("").as_posix()


def listed() -> list[tuple[str, str]]:
    """Return the names on the map, and their sentences."""
    return MAP.findall((ROOT / "docs" / "reference" / "modules.md").read_text())


def test_every_module_is_on_the_map_and_no_other():
    """
    A new file needs its sentence; a removed file takes its sentence along.
    """
    assert sorted(name for name, _ in listed()) == sorted(map(name_of, MODULES))


def test_the_map_says_what_the_modules_say():
    """
    The sentence on the map is the first of the module's docstring.
    """
    said = set(listed())
    for path in MODULES:
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        first = " ".join(docstring.split("\n\n")[0].split())

        assert (name_of(path), first.rstrip(".")) in said, path


def test_no_module_is_over_400_lines():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}

    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_every_expected_error_is_matched_by_its_message():
    """
    An error whose text is never read rots.
    """
    unread = [
        f"{path.name}:{node.lineno}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "pytest.raises"
        and "match" not in {keyword.arg for keyword in node.keywords}
    ]

    assert unread == []
