"""Charts: well formed, and where they place what they draw."""

from xml.etree import ElementTree

import pytest

from sleepcycle_study.report import charts


@pytest.mark.parametrize(
    "drawn",
    [
        charts.curves("t", {}),
        charts.curves("t", {"a": [[]]}),
        charts.spectra("t", [], []),
        charts.spectra("t", [0.0], [0.0]),
        charts.radar("t", ["a", "b"], {"x": [1.0, 1.0]}),
        charts.radar("t", ["a", "b", "c"], {}),
        charts.bars("t", "percent", []),
    ],
)
def test_nothing_is_drawn_of_nothing(drawn):
    assert drawn == ""


@pytest.mark.parametrize(
    "drawn",
    [
        charts.curves("<t> & t", {"<a>": [[(1.0, 2.0)]]}),
        charts.curves("t", {"a": [[(1.0, 0.0), (2.0, 0.0)]]}),
        charts.spectra("t", [1.0], []),
        charts.spectra("t", [2.0, 1e-9], [2.0]),
        charts.radar("t", ["<a>", "b", "c"], {"x": [0.0, 2.0, -1.0]}),
        charts.bars("t", "<u>", [charts.Bar("a", 0.0, 0.0, 0.0)]),
        charts.bars("t", "u", [charts.Bar("a", -5.0, -9.0, 3.0)]),
    ],
)
def test_a_chart_is_well_formed_whatever_is_drawn(drawn):
    """
    All that it places is inside of it.
    """
    root = ElementTree.fromstring(drawn)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])

    for element in root.iter():
        for name in ("x", "x1", "x2"):
            assert 0 <= float(element.attrib.get(name, 0)) <= width
        for name in ("y", "y1", "y2"):
            assert 0 <= float(element.attrib.get(name, 0)) <= height


def test_singular_values_lie_evenly_by_powers_of_ten():
    drawn = charts.spectra("t", [10.0, 1.0, 0.1], [])
    root = ElementTree.fromstring(drawn)
    points = root.find("polyline").attrib["points"].split()

    heights = [float(point.partition(",")[2]) for point in points]

    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], 0.01)
    assert heights[0] < heights[1]  # upwards is towards zero


def test_a_single_point_is_a_dot():
    """
    A line from it to itself, with round ends: alone it would not be drawn.
    """
    root = ElementTree.fromstring(charts.spectra("t", [1.0], []))
    points = root.find("polyline").attrib["points"].split()

    assert len(points) == 2
    assert points[0] == points[1]


def test_a_bar_ends_at_its_value():
    """
    Half the value, half the height.
    """
    bars = [charts.Bar("a", 80.0, 70.0, 90.0), charts.Bar("b", 40.0, 30.0, 50.0)]
    root = ElementTree.fromstring(charts.bars("t", "u", bars))

    tall, low = (float(rect.attrib["height"]) for rect in root.findall("rect")[:2])

    assert low == pytest.approx(tall / 2, abs=0.1)


def test_a_long_line_is_thinned_to_its_means():
    series = [(float(step), float(step % 2)) for step in range(1000)]

    found = charts.thin(series)

    assert len(found) == 200
    assert found[0] == pytest.approx((2.0, 0.4))
