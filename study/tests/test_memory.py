"""The command line of the benchmark of forgetting."""

import pytest

from sleepcycle_study.memory.__main__ import main


@pytest.mark.parametrize("option", ["--orders", "--seeds", "--lessons"])
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


def test_a_stream_whose_data_is_missing_is_skipped(tmp_path, capsys):
    asked = ["--stream", "text", "--data", str(tmp_path)]

    assert main([*asked, "--out", str(tmp_path / "found.jsonl")]) == 0
    assert capsys.readouterr().out.startswith("skipped: expected the real models")
