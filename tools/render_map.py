"""Write the README's map of modules again, from their docstrings.

python -m tools.render_map
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sleepcycle"
HEAD = "| module | what it is for |\n|---|---|\n"


def render() -> str:
    """Return one row for each module."""
    modules = sorted(
        path
        for path in PACKAGE.rglob("*.py")
        if path.stem not in {"__init__", "__main__"}
    )
    return "".join(
        f"| `{path.relative_to(PACKAGE).as_posix()}` | {_sentence(path)} |\n"
        for path in modules
    )


def _sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split()).rstrip(".")


if __name__ == "__main__":
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(HEAD)
    after = re.sub(r"\A(\|.*\n)*", "", rest)
    readme.write_text(before + HEAD + render() + after, encoding="utf-8")
