"""Every page in every state keeps to WCAG 2.2 AA, as far as axe-core can tell."""

import shutil
from dataclasses import replace

import pytest

from sleepcycle.daemon.state import Activity
from sleepcycle.home.opening import open_home
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind
from tests.dashboard.chromium import Visit, chromium
from tests.dashboard.conftest import Dashboard
from tests.dashboard.lived import lived_once
from tests.server.conftest import IDLE

__all__ = ["chromium", "lived_once"]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = {
    "desktop, light": {"viewport": {"width": 1280, "height": 800}},
    "phone, dark": {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
}
PAGES = [
    *("/", "/timeline", "/versions", "/memory", "/data", "/talk", "/care"),
    *("/data/quarantine", "/data/review", "/nothing"),
    *("/care/doctor", "/care/journal", "/care/tokens", "/care/settings"),
]
OF_A_LIFE = [
    *("/versions?show=nights", "/versions/v0", "/versions/v2", "/versions/v4"),
    *("/versions/v2/compare/v4", "/versions/v2/make-live", "/runs/1", "/runs/2"),
    *("/data/batches/1", "/talk?versions=live,v2"),
]
STATES = {
    "learning": replace(
        IDLE,
        word=Activity.AWAKE,
        kind=RunKind.WAKE,
        run=1,
        progress=Progress("wake", 3, 10, loss=1.2, tokens_per_second=99.0, left_s=9.0),
    ),
    "asleep": replace(IDLE, word=Activity.ASLEEP, kind=RunKind.SLEEP, run=2),
    "paused": replace(IDLE, word=Activity.PAUSED, paused=True),
    "waiting": replace(IDLE, word=Activity.WAITING, banner="the disk is nearly full"),
}


@pytest.fixture(scope="module")
def axe():
    """The text of axe-core."""
    module = pytest.importorskip("axe_playwright_python.base")
    return module.AXE_FILE_PATH.read_text()


@pytest.fixture(scope="module", params=["new", "lived"])
def home(request, new_home, lived_once, tmp_path_factory):
    """The dashboard of a home, and the pages that it has."""
    root = tmp_path_factory.mktemp("seen") / "home"
    shutil.copytree(new_home if request.param == "new" else lived_once, root)
    if request.param == "lived":
        spoil(open_home(root))
    served = Dashboard(root)
    served.pages = PAGES + (OF_A_LIFE if request.param == "lived" else [])
    yield served
    served.http.stop()


def spoil(home):
    """Feed rows of which one cannot be read."""
    file = home.paths.root / "spoilt.jsonl"
    rows = [f'{{"text": "row {n}"}}' for n in range(30)]
    file.write_text("\n".join([*rows, "not json"]))
    home.feed(file)


@pytest.fixture(scope="module", params=LOOKS)
def visit(request, chromium, home):
    """One person who looks at it."""
    visit = Visit(chromium, home.port, home.link(), **LOOKS[request.param])
    yield visit
    visit.close()


def faults_of(visit, axe):
    """Return what axe-core finds wrong with the page that is shown."""
    visit.page.evaluate(axe)
    found = visit.page.evaluate(
        "rules => axe.run({runOnly: rules}).then(found => found.violations)", RULES
    )
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        for node in one["nodes"]
    ]


@pytest.mark.timeout(120)
def test_each_page_can_be_used_by_everybody(home, visit, axe):
    found = {}
    for path in home.pages:
        visit.open(path)
        if faults := faults_of(visit, axe):
            found[path] = faults

    assert found == {}
    assert visit.faults == []


def test_each_state_can_be_read_by_everybody(home, visit, axe):
    found = {}
    for name, state in STATES.items():
        home.scheduler.now = state
        visit.open("/")
        if faults := faults_of(visit, axe):
            found[name] = faults
    home.scheduler.now = IDLE

    assert found == {}


def test_who_is_not_signed_in_can_read_how(chromium, home, axe):
    visit = Visit(chromium, home.port, "/")

    assert faults_of(visit, axe) == []
    assert "sleepcycle open" in visit.page.inner_text("main")
    visit.close()


def test_nothing_is_wider_than_a_phone(home, visit):
    wide = {}
    for path in home.pages:
        visit.open(path)
        width, shown = visit.page.evaluate(
            "() => [document.documentElement.scrollWidth, window.innerWidth]"
        )
        if width > shown:
            wide[path] = (width, shown)

    assert wide == {}
