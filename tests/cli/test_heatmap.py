"""A matrix of scores as a picture: well formed, and the darker the higher."""

import math
from xml.etree import ElementTree

from sleepcycle.cli.heatmap import heatmap

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*matrix):
    """Draw scores under names that would break a careless document."""
    rows = [f"<{i}>" for i in range(len(matrix))]
    columns = [f"& {i}" for i in range(len(matrix[0]))]
    return ElementTree.fromstring(heatmap("<t> & t", rows, columns, matrix))


def test_a_field_is_the_darker_the_higher_its_score():
    """
    White for 0, the darkest for 1, grey for none, and words that can be read on each.
    """
    root = drawn([0.0, 1.0, math.nan])

    fields = [field.attrib["fill"] for field in root.iter(f"{SVG}rect")]
    assert fields == ["#ffffff", "#08519c", "#cccccc"]
    inks = {text.text: text.attrib["fill"] for text in root.iter(f"{SVG}text")}
    assert (inks["0.00"], inks["1.00"]) == ("black", "white")


def test_all_that_is_placed_is_inside():
    root = drawn([0.1, 0.2], [0.3, 0.4])

    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in (*root.iter(f"{SVG}rect"), *root.iter(f"{SVG}text")):
        assert 0 <= float(element.attrib["x"]) <= width
        assert 0 <= float(element.attrib["y"]) <= height


def test_every_row_and_column_has_its_name():
    words = [text.text for text in drawn([0.1, 0.2], [0.3, 0.4]).iter(f"{SVG}text")]

    assert {"<0>", "<1>", "& 0", "& 1"} <= set(words)


def test_names_are_read_on_a_light_page_and_on_a_dark_one():
    inks = {text.text: text.attrib["fill"] for text in drawn([0.1]).iter(f"{SVG}text")}

    assert inks["<0>"] == inks["& 0"]
    assert inks["<0>"] not in ("black", "white")


def test_small_fields_may_hold_no_figure():
    picture = heatmap("t", ["a"], ["b", "c"], [[0.5, 0.5]], lambda _: "", (20, 10))
    root = ElementTree.fromstring(picture)

    assert {text.text for text in root.iter(f"{SVG}text")} == {"a", "b", "c"}
    assert {field.attrib["width"] for field in root.iter(f"{SVG}rect")} == {"20"}
