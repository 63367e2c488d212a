"""A day is lived in a real browser: by clicks, by keyboard, and without scripts."""

import json
import shutil
import time

import pytest

from tests.dashboard.chromium import PATIENCE_S, RealService, Visit, chromium

__all__ = ["chromium"]

LESSON = "\n".join(
    json.dumps({"prompt": f"Capital of land {n}?", "completion": f" Town {n}"})
    for n in range(12)
)


@pytest.fixture(scope="module")
def service(new_home, tmp_path_factory):
    """A real service, one for all walks."""
    home = tmp_path_factory.mktemp("walk") / "home"
    shutil.copytree(new_home, home)
    running = RealService(home)
    yield running
    running.close()


class Clicks:
    """Does everything with the mouse."""

    def __init__(self, visit):
        self.page = visit.page

    def press(self, name, role="button"):
        """Use a button or a link by its name."""
        self.page.get_by_role(role, name=name, exact=True).first.click()

    def write(self, label, text):
        """Fill a field."""
        self.page.get_by_label(label, exact=True).first.fill(text)


class Keys:
    """Does everything with the keyboard: reaches each thing by the tab key alone."""

    def __init__(self, visit):
        self.page = visit.page

    def press(self, name, role="button"):
        """Use a button or a link by its name."""
        wanted = self.page.get_by_role(role, name=name, exact=True).first
        self._reach(wanted)
        self.page.keyboard.press("Enter")

    def write(self, label, text):
        """Fill a field."""
        self._reach(self.page.get_by_label(label, exact=True).first)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def _reach(self, wanted):
        """Go to a thing by the tab key."""
        wanted.wait_for()
        for _ in range(200):
            if wanted.evaluate("one => one === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the tab key does not come to {wanted}")


PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True}
WAYS = {
    "clicks, on a phone in the dark": (Clicks, {**PHONE, "color_scheme": "dark"}),
    "keyboard": (Keys, {"viewport": {"width": 1280, "height": 800}}),
    "without scripts": (Clicks, {"java_script_enabled": False}),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", WAYS)
def test_a_day_is_lived(chromium, service, way):
    """
    Feed, watch it learn, let it sleep, read the verdict, ask two side by side, go back.
    """
    kind, options = WAYS[way]
    visit = Visit(chromium, service.port, service.link(), **options)
    hands, page = kind(visit), visit.page
    lesson = LESSON.replace("land", f"land {way}")

    hands.press("Data", "link")
    hands.write("Text: questions and answers as JSON, a table, or plain text", lesson)
    hands.press("Look what it would bring")
    hands.press("Feed it")
    page.get_by_text("Fed as batch").wait_for()

    hands.press("Now", "link")
    hands.press("Learn it now")
    page.get_by_text("Learning has begun.").wait_for()
    watch(visit, hands)
    hands.press("Now", "link")
    hands.press("Sleep now")
    page.get_by_text("The night has begun.").wait_for()
    await_idle(visit)

    hands.press("Timeline", "link")
    page.get_by_text("folded the day, and its version went live").first.wait_for()
    page.locator("ol a", has_text="folded the day").first.click()
    page.get_by_role("heading", name="Verdict").wait_for()

    live = live_version(visit)
    hands.press("Versions", "link")
    hands.press("Compare")
    page.get_by_text("side by side").first.click()
    hands.write("Your message", "Capital of land 3?")
    hands.press("Send")
    page.locator(".turn section").nth(1).wait_for()

    visit.open(f"/versions/{before(live)}/make-live")
    hands.press(f"Make {before(live)} live")
    page.get_by_text(f"{before(live)} is live").first.wait_for()
    assert live_version(visit) == before(live)
    visit.close()
    assert visit.faults == []


def watch(visit, hands):
    """Watch a wake until it is over, on its own page."""
    until = time.monotonic() + PATIENCE_S
    while not visit.path.startswith("/runs/"):
        assert time.monotonic() < until
        hands.press("Watch it", "link")
        visit.page.wait_for_timeout(500)  # at first its address may be this page still
    while "made v" not in visit.page.locator("h1").inner_text():
        assert time.monotonic() < until
        visit.page.wait_for_timeout(200)
        if not visit.scripts:
            visit.page.reload()


def await_idle(visit):
    """Wait until no run is on; who has no scripts loads the page again."""
    for _ in range(120):
        if visit.page.locator(".word.idle").count():
            return
        visit.page.wait_for_timeout(500)
        if not visit.scripts:
            visit.page.reload()
    raise AssertionError(visit.page.inner_text("main"))


def live_version(visit):
    """Return the live version, by the first page."""
    visit.open("/")
    return visit.page.locator("dl.figures a[href^='/versions/']").inner_text()


def before(live):
    """Return the night before the live one, two versions back."""
    return f"v{int(live[1:]) - 2}"
