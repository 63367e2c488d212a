"""Docstrings name no file, module or name of ours that is not there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sleepcycle.settings.config import Settings

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "sleepcycle", ROOT / "study" / "sleepcycle_study")
FILES = [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]
TICKED = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"[a-zA-Z_]\w*(\.[a-zA-Z_]\w*)+")
FILE = re.compile(r".*\.(json|html|toml|jsonl|md)")


def ticked(source: str) -> Iterator[str]:
    """Yield what stands in backticks in the docstrings of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from TICKED.findall(str(node.value.value))


def is_known(name: str) -> bool:
    """Return whether a file or a dotted name of ours exists; others are known."""
    if name.endswith(".py"):
        return any(path.as_posix().endswith(f"/{name}") for path in FILES)
    if not DOTTED.fullmatch(name) or FILE.fullmatch(name):
        return True
    first, *rest = name.split(".")
    for package in PACKAGES:
        if first == package.name:
            return is_in(package, rest)
        if (package / first).is_dir():
            return is_in(package / first, rest) or is_setting(first, rest)
    return True


def is_in(folder: Path, names: list[str]) -> bool:
    """Return whether names lead from a package to a module, or to what it defines."""
    if not names:
        return True
    first, *rest = names
    if (folder / first).is_dir():
        return is_in(folder / first, rest)
    module = folder / f"{first}.py"
    if not module.exists():
        return False
    return not rest or rest[0] in defined(module)


def defined(module: Path) -> set[str]:
    """Return the names that stand at the top of a module."""
    found: set[str] = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def is_setting(section: str, names: list[str]) -> bool:
    """Return whether a section of the settings has such a key."""
    fields = Settings.model_fields
    for name in (section, *names):
        if name not in fields:
            return False
        fields = getattr(fields[name].annotation, "model_fields", {})
    return True


def test_what_a_docstring_names_is_there():
    unknown = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in FILES
        for name in ticked(path.read_text(encoding="utf-8"))
        if not is_known(name)
    }

    assert unknown == set()


@pytest.mark.parametrize(
    "name",
    [
        "toolcall.py",
        "sleepcycle.model.toolcall",
        "sleepcycle_study.experiment.nothing",
        "numerics.metrics.Memory",
        "model.nothing",
    ],
)
def test_what_is_not_there_is_found(name):
    assert list(ticked(f'"""As `{name}` has it."""')) == [name]
    assert not is_known(name)


@pytest.mark.parametrize(
    "name",
    [
        "calculator.py",
        "model/calculator.py",
        "sleepcycle.model.calculator",
        "numerics.metrics.RetentionMetrics",
        "store.busy_timeout_s",
        "report.json",
        "model.layers.0.self_attn.q_proj",
        "transformers.Trainer",
    ],
)
def test_what_is_there_or_not_ours_passes(name):
    assert is_known(name)
