"""Pictures of what an arm knew day by day."""

from dataclasses import replace
from xml.etree import ElementTree

from memory_results import result

from sleepcycle_study.experiment.common_knowledge import Knowledge
from sleepcycle_study.memory import plot
from sleepcycle_study.memory.pareto import pareto

SVG = "{http://www.w3.org/2000/svg}"


def keeping(made, kept):
    """Return a life that kept such a share of what the base knew."""
    common = [Knowledge(right=0.8, kept=1.0), Knowledge(right=0.8 * kept, kept=kept)]
    return replace(made, common=common)


def drawn(*lives):
    """Return the picture of all arms."""
    return ElementTree.fromstring(pareto(lives))


def circles(root):
    """Return where each circle lies."""
    return [
        (float(c.attrib["cx"]), float(c.attrib["cy"]))
        for c in root.iter(f"{SVG}circle")
    ]


def test_pictures_show_the_mean_of_the_runs(tmp_path):
    plot.draw_all([result("store", 0.2), result("store", 0.6)], tmp_path / "new")

    [file] = (tmp_path / "new").iterdir()
    assert file.name == "store.svg"
    assert file.read_text().count(">40%</text>") == 2


def test_names_become_files_that_any_system_takes(tmp_path):
    plot.draw_all([result("replay 1 %", 0.2)], tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["replay_1.svg"]


def test_many_lessons_are_drawn_without_figures(tmp_path):
    """
    32 days of 32 lessons in a hundred kilobytes, half as large on the page.
    """
    many = replace(result("store", 0.5), base=[0.0] * 32, matrix=[[0.5] * 32] * 32)

    plot.draw_all([many], tmp_path)

    [file] = tmp_path.iterdir()
    assert "50%" not in file.read_text()
    assert file.stat().st_size < 120_000


def test_all_arms_are_drawn_at_once_where_common_knowledge_was_asked(tmp_path):
    plot.draw_all([keeping(result("store", 0.2), 0.9)], tmp_path)

    assert {file.name for file in tmp_path.iterdir()} == {
        "store.svg",
        "general_against_lessons.svg",
    }


def test_where_none_was_asked_there_is_nothing_to_draw():
    assert pareto([result("store", 0.5)]) == ""


def test_more_is_farther_to_the_right_and_higher():
    """
    A dot for each life, a mean for each arm, and its sign in the legend.
    """
    root = drawn(keeping(result("store", 0.2), 0.5), keeping(result("joint", 0.7), 0.9))

    found = circles(root)
    assert len(found) == 6
    joint, store = found[0], found[1]
    assert joint[0] > store[0]
    assert joint[1] < store[1]


def test_the_mean_lies_between_the_lives():
    root = drawn(
        keeping(result("store", 0.2), 0.5), keeping(result("store", 0.6, seed=1), 0.9)
    )

    one, other, middle, _ = circles(root)
    assert middle[0] == (one[0] + other[0]) / 2
    assert middle[1] == (one[1] + other[1]) / 2


def test_arms_are_told_in_words_with_their_numbers():
    lives = [keeping(result("store", 0.2), 0.5), keeping(result("joint", 0.7), 0.9)]

    words = [text.text for text in drawn(*lives).iter(f"{SVG}text")]

    assert "joint: 70 % of the lessons, 90 % of the base kept" in words
    assert words.count("1") == words.count("2") == 2


def test_words_are_seen_on_a_light_page_and_on_a_dark_one():
    root = drawn(keeping(result("store", 0.2), 0.5))

    assert root.attrib["color"] not in ("black", "white")
    assert {text.get("fill", "white") for text in root.iter(f"{SVG}text")} == {"white"}
