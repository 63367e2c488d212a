"""The packages keep their structure: names once, few loose modules, no cycles."""

import ast
import tomllib
from pathlib import Path

import pytest

from tools.structure import measure_packages

ROOT = Path(__file__).parents[1]
PROCESSES = {"subprocess", "multiprocessing", "killpg", "fork", "posix_spawn"}
"""Names by which a process is started, or a group of them ended."""

STARTERS = {
    "sleepcycle/files/child_process.py": "the one place that starts and ends children",
    "sleepcycle/daemon/systemd_unit.py": "asks systemctl, which is no child of ours",
    "sleepcycle/cli/editor.py": "waits for the editor of a person, who ends it",
    "study/sleepcycle_study/experiment/worker_pool.py": "passes records both ways",
}
PACKAGES = (ROOT / "sleepcycle", ROOT / "study" / "sleepcycle_study")


@pytest.fixture(scope="module")
def measured():
    """What the packages look like, each and all together."""
    return measure_packages(PACKAGES)


@pytest.fixture(params=PACKAGES, ids=lambda path: path.name)
def structure(measured, request):
    """What one package looks like."""
    return measured[request.param.name]


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


def test_no_name_stands_in_both_packages(measured):
    """
    But for the errors of each.
    """
    whole = measured["all"]

    assert [each.split(":")[0] for each in whole.lists["doubled_module_names"]] == [
        "errors"
    ]
    assert whole.lists["doubled_class_names"] == []


def test_each_contract_on_a_library_speaks_of_every_package():
    """
    A package that a list forgets would be free to import what has one home.
    """
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = {
        f"sleepcycle.{path.stem}"
        for path in PACKAGES[0].iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"sleepcycle.__init__", "sleepcycle.__main__", "sleepcycle.nano"}
    homes = {
        contract["name"]: {
            name.removeprefix("sleepcycle.")
            for name in names - set(contract["source_modules"])
        }
        for contract in config["tool"]["importlinter"]["contracts"]
        if "live" in contract["name"] and contract["type"] == "forbidden"
    }

    torch = "torch lives where tensors are: numerics, model, learning"
    assert homes == {
        "the database lives in the store alone": {"store"},
        "transformers and peft live in the model package alone": {"model"},
        torch: {"numerics", "model", "learning"},
        "the web framework lives in the server and the dashboard": {
            "server",
            "dashboard",
        },
        "the clock's library lives in the daemon alone": {"daemon"},
    }


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


def test_processes_are_started_and_ended_in_one_place():
    """
    So that whatever happens none is left; each other place has its reason.
    """
    found = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in package.rglob("*.py")
        if PROCESSES & set(names(ast.parse(file.read_text(encoding="utf-8"))))
    }

    assert found == set(STARTERS)


def names(tree):
    """Yield each name and attribute that a module uses, and what it imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            yield from module.split(".")
            for alias in node.names:
                yield from alias.name.split(".")
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
