"""Write the pages of docs/reference, and the README's tree of packages, again.

python -m tools.render_docs
"""

import re
from collections.abc import Callable
from pathlib import Path

from tools.reference.commands import commands_page
from tools.reference.formats import formats_page
from tools.reference.home import home_page
from tools.reference.packages import modules_page, package_tree
from tools.reference.python import python_page
from tools.reference.settings import settings_page
from tools.reference.shapes import http_page, json_page

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
README = ROOT / "README.md"
MARK = "<!-- Made by `make docs`, which runs tools/render_docs.py. -->\n\n"
TREE = re.compile(r"(?<=<!-- tree -->\n```\n).*?(?=\n```\n)", re.DOTALL)
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "settings.md": settings_page,
    "formats.md": formats_page,
    "json.md": json_page,
    "http.md": http_page,
    "home.md": home_page,
    "python.md": python_page,
    "modules.md": modules_page,
}


def render(name: str) -> str:
    """Return one page."""
    return MARK + PAGES[name]()


def readme() -> str:
    """Return the README with its tree of packages as the packages say it."""
    return TREE.sub(package_tree(), README.read_text(encoding="utf-8"))


def main() -> None:
    """Write every page, and the README's tree."""
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        (REFERENCE / name).write_text(render(name), encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    main()
