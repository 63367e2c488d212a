"""The command line of the benchmark of forgetting."""

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory import records
from sleepcycle_study.memory.__main__ import main


@pytest.mark.parametrize("option", ["--orders", "--seeds", "--lives", "--jobs"])
def test_none_of_what_is_counted_is_refused(option, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([option, "0"])

    assert f"{option}: expected a number from 1, got '0'" in capsys.readouterr().err


def test_what_was_lived_is_not_lived_again(tmp_path, capsys):
    """
    The second call finds every run in the file; another seed is another run.
    """
    file = str(tmp_path / "found.jsonl")
    asked = ["--arms", "base", "--orders", "2", "--seeds", "1", "--lessons", "1"]
    asked += ["--whole", "--device", "cpu", "--out", file]

    assert main(asked) == 2
    assert main(asked) == 0
    assert main([*asked, "--only-seed", "1", "--only-order", "0"]) == 1
    assert capsys.readouterr().out.count("| base | 3 | 0.0 ± 0.0 |") == 1


def test_lives_are_orders_each_with_the_seed_of_its_number(tmp_path, capsys):
    """
    Also of an arm that is lived with every order and seed else.
    """
    file = tmp_path / "found.jsonl"
    asked = ["--stream", "chat", "--base", "builtin:nano", "--arms", "base"]
    asked += ["--lives", "2", "--lessons", "1", "--questions", "1"]

    assert main([*asked, "--device", "cpu", "--out", str(file)]) == 2

    runs = [found.run for found in records.read(file)]
    assert [(run.order, run.seed) for run in runs] == [(0, 0), (1, 1)]
    assert {(run.base, run.questions, run.examples) for run in runs} == {
        ("builtin:nano", 1, 480)
    }
    assert "[2/2] base, order 1, seed 1: 0.0% right in " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected the folder of the real models and data, got none"),
        (["--data", "nowhere"], "expected the real models and data there, got no "),
    ],
)
def test_a_stream_whose_data_is_missing_is_refused(tmp_path, words, said):
    file = str(tmp_path / "found.jsonl")

    with pytest.raises(StudyError, match=said):
        main(["--stream", "text", *words, "--out", file])


def test_more_lessons_than_there_are_are_refused(tmp_path):
    file = str(tmp_path / "found.jsonl")

    with pytest.raises(StudyError, match="expected 1 to 32 lessons, got 99"):
        main(["--lessons", "99", "--out", file])
