"""Pictures of what an arm knew day by day."""

from memory_results import result

from sleepcycle_study.memory import plot


def test_pictures_show_the_mean_of_the_runs(tmp_path):
    plot.draw_all([result("store", 0.2), result("store", 0.6)], tmp_path / "new")

    [file] = (tmp_path / "new").iterdir()
    assert file.name == "store.svg"
    assert file.read_text().count(">40%</text>") == 2


def test_names_become_files_that_any_system_takes(tmp_path):
    plot.draw_all([result("replay 1 %", 0.2)], tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["replay_1.svg"]
