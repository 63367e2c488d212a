"""The table of odd answers, as the tests of both rules read it."""

import tomllib
from pathlib import Path

ROWS = tomllib.loads((Path(__file__).parent / "answers.toml").read_text("utf-8"))
NUMBERS, DECISIONS = ROWS["number"], ROWS["decision"]


def shown(value):
    """Return a reading as the table writes it."""
    return "-" if value is None else str(value)
