"""What changes is shown at once; a service that does not answer is said to be away."""

import shutil

import pytest

from sleepcycle.daemon.state import Activity
from sleepcycle.dashboard.pages import start
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.settings.config import ServeSettings
from tests.dashboard.chromium import Visit, chromium
from tests.dashboard.conftest import Dashboard
from tests.server.conftest import TOKEN

__all__ = ["chromium"]


@pytest.fixture
def watched(chromium, new_home, tmp_path):
    """A dashboard, and who watches its first page."""
    shutil.copytree(new_home, tmp_path / "home")
    served = Dashboard(tmp_path / "home")
    visit = Visit(chromium, served.port, served.link())
    yield served, visit
    visit.close()
    served.http.stop()


def test_what_is_done_is_shown_without_a_reload(watched):
    served, visit = watched
    visit.page.evaluate("() => { window.untouched = true; }")

    served.scheduler.become(
        word=Activity.AWAKE,
        kind=RunKind.WAKE,
        run=3,
        progress=Progress("wake", 2, 8, left_s=125.0),
    )

    visit.page.get_by_text("2 min left").wait_for()
    assert visit.page.locator("progress").get_attribute("value") == "2"
    assert visit.page.evaluate("() => window.untouched")
    assert visit.faults == []


def test_what_is_typed_stays_while_something_changes(watched):
    served, visit = watched
    visit.open("/data")
    field = visit.page.get_by_label("Text: questions and answers", exact=False).first
    field.fill("half a row")

    served.scheduler.become(word=Activity.PAUSED, paused=True)
    visit.page.wait_for_timeout(1500)

    assert field.input_value() == "half a row"


def test_a_service_that_is_away_and_comes_back_is_told(watched):
    served, visit = watched
    banner = visit.page.locator("#offline")
    assert banner.is_hidden()

    served.http.stop()
    banner.wait_for()
    settings = ServeSettings(port=served.port)
    served.http = start(served.scheduler, TOKEN, served.paths, settings)

    banner.wait_for(state="hidden")
