"""The examples run as they are, and print what they promise."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import forked_workers

EXAMPLES = Path(__file__).parents[1] / "examples"
AS_SCRIPT = "import runpy, sys; runpy.run_path(sys.argv[1], run_name=sys.argv[2])"


def run_tour(name, folder):
    """Run the tour by a name of its module, from a folder."""
    return subprocess.run(
        [sys.executable, "-c", AS_SCRIPT, EXAMPLES / "tour.py", name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """Return the lines that the tour prints, run from another directory."""
    with forked_workers():
        done = run_tour("__main__", tmp_path_factory.mktemp("elsewhere"))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def verdicts(tour: list[str], version: str) -> list[str]:
    """Return `right` or `wrong` for each answer that a version gave."""
    answers = [line.split() for line in tour if line.startswith(f"  {version} ")]
    return [words[1].removesuffix(":") for words in answers]


def test_the_tour_finds_all_that_it_imports_in_a_new_process(tmp_path):
    assert run_tour("tour", tmp_path).returncode == 0


@pytest.mark.slow
class TestTour:
    def test_the_base_knows_nothing_of_the_lesson(self, tour):
        """
        It is asked twice: in the day, when it is still live, and after the rollback.
        """
        assert verdicts(tour, "v0") == ["wrong"] * 6

    def test_the_wake_has_learned_it(self, tour):
        assert verdicts(tour, "v1") == ["right"] * 3

    def test_the_night_has_kept_it_and_a_rollback_deletes_nothing(self, tour):
        """
        It is asked twice: when it is live, and when it is not any more.
        """
        assert verdicts(tour, "v2") == ["right"] * 6

    def test_the_answers_are_those_of_the_lesson(self, tour):
        assert "  v2 right: What is the capital of Nitevia? Lapeston" in tour

    def test_the_aliases_moved_with_the_night(self, tour):
        assert "fed 400 of 400 rows, 16 of them held out" in tour
        assert "live is v0, day is v1, 384 examples known" in tour
        assert "v0 is a base version, previous" in tour
        assert "v2 is a sleep version, live" in tour
        assert "rolled back to v0, 384 examples orphaned" in tour
