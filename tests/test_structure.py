"""The packages keep their structure: names once, few loose modules, no cycles."""

from pathlib import Path

import pytest

from tools.structure import measure_packages

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "sleepcycle", ROOT / "study" / "sleepcycle_study")


@pytest.fixture(scope="module", params=PACKAGES, ids=lambda path: path.name)
def structure(request):
    """What one package looks like."""
    return measure_packages([request.param])[request.param.name]


def test_no_module_has_the_name_of_another(structure):
    """
    A name stands for one thing, so that it can be found and talked about.
    """
    assert structure.lists["doubled_module_names"] == []


def test_no_class_has_the_name_of_another(structure):
    assert structure.lists["doubled_class_names"] == []


def test_few_modules_lie_outside_a_room(structure):
    """
    `__init__` and `__main__` aside: errors, log and the worker.
    """
    assert structure.figures["loose_modules"] <= 3


def test_no_room_imports_one_that_imports_it(structure):
    assert structure.figures["room_cycles"] == 0
    assert structure.figures["module_cycles"] == 0


def test_docstrings_begin_with_what_is_done(structure):
    """
    Return, yield or print: "say" and "tell" leave open which of these.
    """
    assert structure.lists["saying_docstrings"] == []


def test_the_database_is_asked_in_the_store_alone(structure):
    assert structure.lists["sql_outside_store"] == []
