"""Make the pictures of the dashboard that the documents show.

It teaches the built-in base three short lessons, serves that home, and takes pictures
with the Chromium of the system. Usage: python -m tools.screenshots [FOLDER]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
LESSONS = ROOT / "examples" / "lessons"
FOLDER = ROOT / "docs" / "dashboard"
DAYS = ("capitals", "dates", "plurals")
ROWS = 200
PATIENCE_S = 60
DESKTOP = {"width": 1200, "height": 760}
PHONE = {"width": 390, "height": 760}
PAGES = {
    "timeline": "/timeline",
    "versions": "/versions",
    "memory": "/memory",
    "care": "/care",
    "batch": "/data/batches/1?shown=yes",
}
ASKED = "Name the capital of Sativia."


def main(folder: Path = FOLDER) -> None:
    """Make all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "assistant"
        live_days(home)
        with served(home), sync_playwright() as started:
            browser = started.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--no-sandbox"] if os.geteuid() == 0 else [],
            )
            take_all(browser, home, folder)
            browser.close()


def live_days(home: Path) -> None:
    """Teach a lesson a day, and feed one more that is still to be learned."""
    sleepcycle(home, "init")
    for day in DAYS:
        feed(home, day, 0, ROWS)
        sleepcycle(home, "wake")
        sleepcycle(home, "sleep")
    feed(home, DAYS[0], ROWS, 40)


def feed(home: Path, lesson: str, first: int, rows: int) -> None:
    """Feed some rows of a lesson."""
    file = home.parent / f"{lesson}.jsonl"
    with (LESSONS / file.name).open(encoding="utf-8") as whole:
        file.write_text("".join(islice(whole, first, first + rows)), encoding="utf-8")
    sleepcycle(home, "feed", file.name)


def sleepcycle(home: Path, *words: str) -> str:
    """Run a command, and return what it prints."""
    line = [sys.executable, "-m", "sleepcycle", "--home", str(home), *words]
    done = subprocess.run(
        line, cwd=home.parent, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


@contextmanager
def served(home: Path) -> Iterator[None]:
    """Have a service of a home for a block, in which nothing begins by itself."""
    sleepcycle(home, "pause")
    line = [sys.executable, "-m", "sleepcycle", "--home", str(home), "run"]
    with (home.parent / "service.log").open("wb") as log:
        service = subprocess.Popen(line, stdout=log, stderr=log)
    try:
        until = time.monotonic() + PATIENCE_S
        while not (home / "daemon.json").exists():
            if time.monotonic() > until:
                raise TimeoutError("the service did not come up")
            time.sleep(0.2)
        sleepcycle(home, "resume")
        yield
    finally:
        service.terminate()
        service.wait(PATIENCE_S)


def take_all(browser: Browser, home: Path, folder: Path) -> None:
    """Take the pictures: on a desk by day, and one on a phone at night."""
    by_day = browser.new_context(viewport=DESKTOP)
    page = by_day.new_page()
    link = sleepcycle(home, "open", "--print").split()[0]
    site = link.partition("/sign-in")[0]
    page.goto(link)
    take(page, folder / "now.png")
    for name, path in PAGES.items():
        page.goto(site + path)
        take(page, folder / f"{name}.png")
    page.goto(f"{site}/talk?versions=live,v2")
    page.get_by_label("Your message").fill(ASKED)
    page.get_by_role("button", name="Send").click()
    page.locator(".turn form").first.wait_for(timeout=PATIENCE_S * 1000)
    take(page, folder / "talk.png")
    at_night = browser.new_context(
        viewport=PHONE, color_scheme="dark", storage_state=by_day.storage_state()
    )
    page = at_night.new_page()
    page.goto(f"{site}/")
    take(page, folder / "now-phone.png")


def take(page: Page, file: Path) -> None:
    """Take a picture of what is seen without scrolling."""
    page.wait_for_timeout(500)  # for what is drawn by scripts
    page.screenshot(path=file)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
