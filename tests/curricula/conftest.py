"""A curriculum written as text."""

import pytest

from sleepcycle.curricula.curriculum import read_curriculum

HEAD = 'name = "mine"\n[[phases]]\nname = "first"\n'
FORM = 'domain = "logic"\n[[phases.forms]]\nprompt = "Say {word}"\nanswer = "{word}!"\n'


@pytest.fixture
def read(tmp_path):
    """Read a curriculum from text."""

    def read(text):
        file = tmp_path / "mine.toml"
        file.write_text(text, encoding="utf-8")
        return read_curriculum(file)

    return read
