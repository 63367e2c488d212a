"""The documents are what the code says, and name nothing that is not there."""

import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from sleepcycle.cli import app
from sleepcycle.curricula.curriculum import read_curriculum
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.settings.config import Settings
from sleepcycle.settings.configfile import load_settings
from tools import check_links, render_docs
from tools.reference.commands import commands
from tools.reference.home import HOME, RUN
from tools.reference.records import record_section
from tools.reference.shapes import GOLDEN, keys

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", render_docs.PAGES)
def test_a_page_of_the_reference_is_as_it_is_made(name):
    """
    `make docs` writes it again.
    """
    assert (REFERENCE / name).read_text(encoding="utf-8") == render_docs.render(name)


def test_the_readme_has_the_packages_as_they_are():
    """
    Each sentence is the first of the package's docstring; `make docs` writes them.
    """
    assert (ROOT / "README.md").read_text(encoding="utf-8") == render_docs.readme()


def test_the_readme_can_be_read_in_one_sitting():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200


def test_the_glossary_has_at_most_twenty_words_and_what_others_call_them():
    page = ROOT / "docs" / "explanation" / "glossary.md"
    rows = [line for line in page.read_text().splitlines() if line[:3] == "| *"]
    words = [row.split("|")[1] for row in rows]

    assert len(rows) <= 20
    assert len(set(words)) == len(words)
    assert all(row.split("|")[3].strip() for row in rows)


def test_a_section_begins_behind_an_empty_line():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

    glued = [page for page in pages if re.search(r"[^\n]\n#+ .*\n[A-Z]", text(page))]

    assert not glued


def text(page):
    """Return a page without what stands in blocks of code."""
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_document_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [
        path.relative_to(ROOT / "docs").as_posix()
        for kind in ("tutorial", "how-to", "reference", "explanation")
        for path in (ROOT / "docs" / kind).rglob("*.md")
    ]

    assert [page for page in pages if f"]({page})" not in index] == []


def test_no_document_names_what_is_not_there():
    found = [
        fault for path in check_links.documents() for fault in check_links.faults(path)
    ]

    assert found + list(check_links.source_faults()) == []


@dataclass
class Batched:
    """A record of these tests."""

    number: int
    best: tuple[float, int] | None
    """None where none is."""


class TestPages:
    def test_a_command_has_its_arguments_options_and_defaults(self):
        page = render_docs.render("commands.md")

        assert "sleepcycle versions export VERSION FOLDER" in page
        assert "| `--tool none\\|calculator` |" in page
        assert "Default: `peft`." in page

    def test_every_command_has_a_section(self):
        page = render_docs.render("commands.md")
        names = [command.name for command in commands(app)]

        assert len(names) > 30
        assert [name for name in names if f"\n## `{name}`\n" not in page] == []

    def test_every_setting_has_a_row(self):
        page = render_docs.render("settings.md")

        for name in Settings().model_dump()["gate"]:
            assert f"| `{name}` |" in page

    def test_every_file_of_the_golden_life_is_told(self):
        golden = json.loads((GOLDEN / "files.json").read_text())
        seen = {
            re.sub(r"^(versions|runs)/A [A-Z]+/", r"\1/", path)
            for path in golden["home"]
        }
        told = {re.sub(r"/(v0042-HASH|000041)/", "/", path) for path in HOME}
        told |= {f"runs/{name}" for name in RUN}
        inside = {path for path in seen if not path.endswith("/")}

        assert inside - told == {"scratch/lock"}  # in the row of its folder
        broken = golden["a run that was broken off"]
        assert {path for path in broken if not path.endswith("/")} <= set(RUN)

    @pytest.mark.parametrize(
        ("layout", "told"),
        [(HomePaths(Path("/h")), HOME), (RunFolder(Path("/h")), RUN)],
    )
    def test_every_place_that_the_code_knows_is_told(self, layout, told):
        places = [
            getattr(layout, name)
            for name, member in vars(type(layout)).items()
            if isinstance(member, property) and name != "home"
        ]
        names = [place.relative_to("/h").as_posix() + "/" for place in places]
        rows = [f"{path}/" for path in told]

        assert [n for n in names if not any(row.startswith(n) for row in rows)] == []

    def test_a_record_has_its_types_and_what_stands_under_its_fields(self):
        page = record_section(Batched)

        assert "| `number` | int |  |" in page
        assert "| `best` | list (float, int) or null | None where none is. |" in page

    def test_keys_are_named_by_the_way_to_them(self):
        rows = keys({"a": {"b": "int"}, "c": [{"d": "null | str"}], "e": []})

        assert rows == [
            "| `a.b` | int |",
            "| `c[].d` | null or str |",
            "| `e` | list |",
        ]


class TestCheck:
    @pytest.fixture
    def page(self, tmp_path, monkeypatch):
        """Return the faults of a document with some text, beside a file of code."""
        (tmp_path / "there.md").write_text("# A heading, twice\n\n# A heading, twice\n")
        (tmp_path / "sleepcycle").mkdir()
        (tmp_path / "sleepcycle" / "__init__.py").write_text("")
        (tmp_path / "sleepcycle" / "fit.py").write_text("def train(): ...  # learn\n")
        monkeypatch.setattr(check_links, "ROOT", tmp_path)
        monkeypatch.setattr(check_links, "FOLDERS", {"sleepcycle"})

        def faults(text):
            (tmp_path / "page.md").write_text(text)
            return list(check_links.faults(tmp_path / "page.md"))

        return faults

    @pytest.mark.parametrize(
        "text",
        [
            "[a](there.md), [b](there.md#a-heading-twice), [c](https://x.y/z)",
            "[the second](there.md#a-heading-twice-1)",
            "`fit.py` `train`, `sleepcycle/fit.py`, `sleepcycle.fit.train`",
            "`[no](link.md)`, `a/b/c`, `sleepcycle/` and `inbox/` of a home",
            "```\npython -m sleepcycle.fit\n```",
        ],
    )
    def test_what_is_there_is_no_fault(self, page, text):
        assert page(text) == []

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("[a](gone.md)", "no file gone.md"),
            ("[a](there.md#other)", "no heading there.md#other"),
            ("[a](#other)", "no heading #other"),
            ("`gone.py`", "no file gone.py"),
            ("`fit.py` `learn`", "no learn in sleepcycle/fit.py"),
            ("`sleepcycle.gone`", "no module or name sleepcycle.gone"),
            ("`sleepcycle.fit.learn`", "no module or name sleepcycle.fit.learn"),
            ("`sleepcycle/gone/`", "no file or folder sleepcycle/gone/"),
            ("`gone/`", "no folder gone/"),
            (
                "```\npython -m sleepcycle.gone\n```",
                "no module or name sleepcycle.gone",
            ),
            ("| a |\n|---|\n| `gone.py` |", "no file gone.py"),
            ("    x   `gone.py`", "no file gone.py"),
        ],
    )
    def test_what_is_not_there_is_told_with_its_place(self, page, text, fault):
        [found] = page(text)

        assert found.startswith("page.md:")
        assert found.endswith(fault)


SNIPPETS = [
    pytest.param(text, id=f"{path.stem}-{number}")
    for path in sorted((ROOT / "docs").rglob("*.md"))
    for number, text in enumerate(
        re.findall(r"^ *```toml\n(.*?)^ *```$", path.read_text(), re.S | re.M)
    )
]


@pytest.mark.parametrize("text", SNIPPETS)
def test_settings_and_curricula_in_the_documents_can_be_read(text, tmp_path):
    """
    Whoever copies them gets no error.
    """
    file = tmp_path / "snippet.toml"
    file.write_text(textwrap.dedent(text))

    read = read_curriculum if "[[phases]]" in text else load_settings

    assert read(file)
