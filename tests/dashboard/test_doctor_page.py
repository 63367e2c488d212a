"""The doctor on a page: what is quick at once, everything when it is asked."""

import re

from sleepcycle.doctor.doctor import CHECKS, QUICK


def test_what_is_quick_is_there_at_once(browser):
    page = browser.get("/care/doctor")

    assert "is closed to other users" in page.words
    assert "Reads every version and every row" in page.words
    checks = set(re.findall(r'<th scope="row">([^<]+)</th>', page.text))
    assert {"home", "disk", "schema"} <= checks <= set(QUICK)
    assert set(QUICK) < CHECKS.keys()


def test_what_is_wrong_comes_first_with_what_to_do(dashboard, browser):
    dashboard.paths.root.chmod(0o777)

    page = browser.get("/care/doctor")

    first = page.words.partition("Found")[2]
    assert first.strip().startswith("wrong home other users can write to")
    assert "chmod 700" in first


def test_everything_is_looked_at_when_it_is_asked(browser, workers_forked):
    page = browser.post("/care/doctor")

    assert "Everything was looked at." in page.words
    assert "All that there is to look at" in page.words
    assert "a wake needs up to" in page.words
    assert "a wake needs up to" in browser.get("/care").words
