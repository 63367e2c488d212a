"""Cells of a table: rounded, and signed."""

from sleepcycle_study.report.figures import signed, spread


def test_there_is_no_negative_zero():
    assert signed(-0.01).text == "+0.0"


def test_of_one_run_there_is_no_spread():
    assert spread([0.5], 100).text == "50.0"
    assert spread([]).text == "-"
