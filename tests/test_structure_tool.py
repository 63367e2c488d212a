"""The measure of structure, on a small package whose every figure is known by hand."""

import ast
import json

import pytest

from tools import structure
from tools.imports import cycles, import_graph, read_package

FILES = {
    "__init__.py": '"""Carry nothing."""\n',
    "one.py": '''\
"""Say one thing."""

from typing import TYPE_CHECKING

import made.room.two
from made import room

if TYPE_CHECKING:
    from made.store import books


class Twice:
    """Tells another."""


def short():
    return room
''',
    "alone.py": '"""Return nothing."""\n',
    "room/__init__.py": '"""Hold a room."""\n\nNAME = "room"\n',
    "room/two.py": '''\
"""Return two things."""

QUERY = "SELECT id FROM run"
PROSE = "Select one of DELETE /here"


class Twice:
    """Hold nothing."""

    FIELD = 1
    "DROP TABLE it"


def long(books, table):
    """Says what it does."""
    from made import one

    books.execute("BEGIN")
    books.execute(f"PRAGMA {table}")
    return one
''',
    "room/books.py": "from .two import QUERY as used\nfrom . import two\n",
    "store/__init__.py": "",
    "store/books.py": '"""Hold SQL."""\n\nQUERY = "SELECT 1"\n',
}


@pytest.fixture
def made(tmp_path):
    """The folder of the small package."""
    folder = tmp_path / "made"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def measured(made):
    """What is measured of it."""
    return structure.measure_packages([made])["made"]


def test_sizes_are_those_counted_by_hand(measured):
    found = measured.figures

    assert found["modules"] == 8
    assert found["packages"] == 3
    assert found["loose_modules"] == 2
    assert found["lines"] == 1 + 17 + 1 + 3 + 20 + 2 + 0 + 3
    assert (found["largest_file"], found["largest_file_lines"]) == (
        "made/room/two.py",
        20,
    )
    assert found["median_file_lines"] == 2


def test_functions_are_those_counted_by_hand(measured):
    found = measured.figures

    assert found["functions"] == 2
    assert [found[f"function_lines_{name}"] for name in ("p50", "p90", "max")] == [
        2,
        7,
        7,
    ]
    assert found["longest_function"] == "made.room.two.long:14"


def test_names_that_stand_twice_are_listed_with_their_places(measured):
    assert measured.lists["doubled_module_names"] == [
        "books: made/room/books.py, made/store/books.py"
    ]
    assert measured.lists["doubled_class_names"] == [
        "Twice: made/one.py:12, made/room/two.py:7"
    ]


def test_a_docstring_that_begins_with_say_or_tell_is_counted(measured):
    assert measured.lists["saying_docstrings"] == [
        "made/one.py:1",
        "made/one.py:13",
        "made/room/two.py:15",
    ]


def test_sql_is_what_begins_with_a_verb_outside_the_store(measured):
    """
    Neither prose nor a string under a field is SQL; a bare verb is where it is run.
    """
    found = measured.lists

    assert found["sql_outside_store"] == [
        f"made/room/two.py:{line}" for line in (3, 18, 19)
    ]
    assert found["sql_outside_store_run_in_place"] == [
        f"made/room/two.py:{line}" for line in (18, 19)
    ]


def test_imports_are_followed_in_functions_but_not_under_type_checking(made):
    assert import_graph(read_package(made)) == {
        "made": set(),
        "made.alone": set(),
        "made.one": {"made.room", "made.room.two"},
        "made.room": set(),
        "made.room.books": {"made.room.two"},
        "made.room.two": {"made.one"},
        "made.store": set(),
        "made.store.books": set(),
    }


def test_arrows_and_cycles_are_those_counted_by_hand(measured):
    found = measured.figures

    assert (found["rooms"], found["module_imports"]) == (4, 4)
    assert measured.lists["room_arrows"] == [
        "made.one -> made.room",
        "made.room -> made.one",
    ]
    assert measured.lists["room_cycles"] == ["made.one made.room"]
    assert measured.lists["module_cycles"] == ["made.one made.room.two"]
    assert (found["rooms_in_cycles"], found["modules_in_cycles"]) == (2, 2)
    assert measured.lists["one_importer_modules"] == ["made.one <- made.room.two"]


def test_two_cycles_that_an_arrow_joins_stay_two():
    graph = {"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}, "e": {"a"}}

    assert cycles(graph) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize(("share", "value"), [(0.5, 5), (0.9, 9), (1.0, 10)])
def test_a_percentile_is_one_of_the_values(share, value):
    assert structure.percentile(range(10, 0, -1), share) == value


def test_imports_between_packages_are_seen_in_all_alone(made, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "__init__.py").write_text("")
    (other / "use.py").write_text("import made.alone\n")

    found = structure.measure_packages([made, other])

    assert found["other"].lists["room_arrows"] == []
    assert "other.use -> made.alone" in found["all"].lists["room_arrows"]
    assert found["all"].figures["modules"] == 10


def test_a_saved_measure_stands_beside_the_new_one(made, tmp_path, capsys):
    structure.main([str(made), "--json"])
    saved = tmp_path / "saved.json"
    saved.write_text(capsys.readouterr().out)
    (made / "alone.py").unlink()

    structure.main([str(made), "--against", str(saved)])

    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells[0] == ["", "made before", "made after"]
    assert cells[1] == ["modules", "8", "7"]


def test_lists_are_saved_where_they_are_asked_for(made, capsys):
    structure.main([str(made), "--json"])
    plain = json.loads(capsys.readouterr().out)
    structure.main([str(made), "--json", "--verbose"])
    verbose = json.loads(capsys.readouterr().out)

    assert list(plain) == ["figures"]
    assert verbose["figures"] == plain["figures"]
    assert verbose["lists"]["made"]["loose_modules"] == ["made.alone", "made.one"]


def test_a_folder_without_modules_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        structure.main([str(tmp_path)])

    assert "expected the folder of a package" in capsys.readouterr().err


def test_sql_in_a_field_of_a_string_is_found_once():
    tree = ast.parse("""f"{books.execute('VACUUM')}" """)

    assert structure.sql_lines(tree) == [1]
