"""Assets are what was taken over, are small, and are kept by their content."""

import hashlib
import json
import re
from importlib.resources import files

import pytest

from sleepcycle.dashboard import assets as module
from sleepcycle.dashboard.assets import asset_url, assets
from sleepcycle.errors import ServiceError

MOST_BYTES = 150_000  # of one page with all that it asks for


def test_libraries_of_others_are_byte_for_byte_what_was_taken_over():
    folder = files("sleepcycle.dashboard") / "static"
    known = json.loads((folder / "vendored.json").read_text())

    found = {file.name for file in (folder / "vendor").iterdir()}

    assert {name for name in found if not name.endswith(".LICENSE")} == set(known)
    for name, told in known.items():
        content = (folder / "vendor" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == told["sha256"]


def test_one_that_was_changed_is_refused(tmp_path, monkeypatch):
    (tmp_path / "static" / "vendor").mkdir(parents=True)
    (tmp_path / "static" / "vendor" / "a.js").write_text("evil()")
    (tmp_path / "static" / "vendored.json").write_text('{"a.js": {"sha256": "0"}}')
    monkeypatch.setattr(module, "files", lambda package: tmp_path)

    with pytest.raises(ServiceError, match=r"a\.js of the dashboard with sha256 0"):
        assets.__wrapped__()


def test_all_that_the_first_page_asks_for_is_small(browser):
    page = browser.get("/")
    wanted = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text))

    sizes = [len(page.text.encode())]
    for url in wanted:
        asset = browser.send("GET", url)
        assert asset.status == 200
        assert "immutable" in asset.headers["Cache-Control"]
        sizes.append(int(asset.headers["Content-Length"]))

    assert len(wanted) >= 4
    assert sum(sizes) <= MOST_BYTES


def test_an_asset_of_an_older_release_is_not_kept(browser):
    path = asset_url("style.css").split("?")[0]

    assert browser.send("GET", path).headers["Cache-Control"] == "no-cache"


def test_one_that_is_not_there_is_refused(browser):
    assert browser.send("GET", "/assets/..%2Fvendored.json").status == 404
    assert browser.send("GET", "/assets/vendored.json").status == 404


def test_the_policy_lets_no_asset_build_code_from_strings():
    """
    Of htmx that is the part for filters and scripts in attributes, which no page has.
    """
    templates = files("sleepcycle.dashboard") / "templates"
    for file in templates.iterdir():
        text = file.read_text()
        assert not re.search(r"hx-on|js:|javascript:|hx-trigger=\"[^\"]*\[", text), file
