"""What is still known of each batch: matrix, metrics, and a drawing of them."""

from xml.etree import ElementTree

KEYS = {
    "acc", "bwt", "fwt", "forgetting", "learned", "batches", "versions", "units",
    "matrix", "losses", "base",
}  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


class TestOneNight:
    def test_its_lesson_is_known_and_there_is_no_past_to_compare(self, lived):
        found = lived.json("evaluate")

        assert set(found) == KEYS
        assert (found["versions"], found["batches"]) == (["v2"], [1])
        assert found["units"] == ["exact"]
        assert found["acc"] == found["matrix"][0][0] > 0.9 > 0.5 > found["base"][0]
        assert 0 < found["losses"][0][0] < 0.5
        assert (found["bwt"], found["fwt"], found["forgetting"]) == (None, None, None)

    def test_versions_that_are_no_row_of_lessons_have_no_metrics(self, lived):
        found = lived.json("evaluate", "live", "v0")

        assert found["versions"] == ["v0", "v2"]
        assert found["matrix"][0] == found["base"]
        assert found["matrix"][0][0] < found["matrix"][1][0]
        assert found["acc"] is None

    def test_people_get_a_table_and_a_drawing(self, lived, tmp_path):
        shown = lived.run("evaluate", "--plot", tmp_path / "m.svg").stdout

        assert "batch 1 (exact)" in shown
        assert "backward transfer" in shown
        drawn = ElementTree.parse(tmp_path / "m.svg")
        words = [text.text for text in drawn.iter(f"{SVG}text")]
        assert words[:2] == ["batch 1", "v2"]
        assert len(list(drawn.iter(f"{SVG}rect"))) == 1


def test_a_home_without_a_night_has_nothing_to_evaluate(cli):
    assert "expected an accepted night on the line of live" in cli.error("evaluate")
    assert "nothing to evaluate on" in cli.error("evaluate", "v0")


def test_a_drawing_in_no_folder_is_refused_before_any_work(cli, tmp_path):
    done = cli.run("evaluate", "--plot", tmp_path / "no" / "m.svg", exit_code=2)
    assert "there is no folder" in done.stderr
