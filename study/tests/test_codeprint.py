"""The fingerprint of the code that makes a run."""

import re
import tomllib
from pathlib import Path

import pytest

from sleepcycle_study.experiment.codeprint import ABOVE, codeprint

ROOT = Path(__file__).parents[2]


def written(folder, **changes):
    """Write a package and return its fingerprint."""
    files = {
        "wake.py": "a = 1\n",
        "experiment/run.py": "b = 2\n",
        "cli/commands.py": "c\n",
    }
    for name, text in (files | changes).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return codeprint((folder,))


def test_it_is_that_of_the_files_wherever_they_lie(tmp_path):
    first = written(tmp_path / "one")

    assert re.fullmatch(r"[0-9a-f]{16}", first)
    assert written(tmp_path / "two") == first


@pytest.mark.parametrize(
    "changes",
    [{"wake.py": "a = 2\n"}, {"experiment/run.py": ""}, {"experiment/wake.py": ""}],
)
def test_any_file_that_can_decide_a_run_changes_it(tmp_path, changes):
    assert written(tmp_path / "one", **changes) != written(tmp_path / "two")


@pytest.mark.parametrize(
    "changes",
    [{"cli/commands.py": "d\n"}, {"server/routes.py": ""}, {"notes.toml": "e"}],
)
def test_no_other_file_does(tmp_path, changes):
    assert written(tmp_path / "one", **changes) == written(tmp_path / "two")


def test_contents_that_change_places_are_other_code(tmp_path):
    swapped = {"wake.py": "b = 2\n", "experiment/run.py": "a = 1\n"}

    assert written(tmp_path / "one", **swapped) != written(tmp_path / "two")


def test_the_two_packages_do_not_change_places(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    written(one)
    written(two, **{"wake.py": "other\n"})

    assert codeprint((one, two)) != codeprint((two, one))


def test_what_is_left_out_is_not_imported_by_the_study():
    """
    An import contract keeps it from all but the tables and bars of the command line.
    """
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [forbidden] = [
        contract["forbidden_modules"]
        for contract in config["tool"]["importlinter"]["contracts"]
        if contract["name"] == "the study stands on what computes"
    ]

    own = {"memory", "report"}  # above `experiment` in the study's layers
    names = {name.removeprefix("sleepcycle.") for name in forbidden}
    assert names == {name.removesuffix(".py") for name in ABOVE - own}
