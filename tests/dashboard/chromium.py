"""A real browser, where there is one, and a real service that it looks at."""

import os
import shutil
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 60
QUICK = """\
[wake]
max_steps = 8
min_steps = 1
warmup_steps = 1
patience = 0
min_pending = 100000

[sleep]
at = "03:00"
catch_up = false
stages = ["svd"]

[gate]
max_rise = 100.0
max_general_rise = 100.0
max_general_kl = 100.0
max_exact_drop = 1.0
max_agreement_loss = 1.0
probe_dreams = 8
max_held_out = 16
max_asked = 4

[feed]
held_out_share = 0.25

[engine]
threads = 1
reserve_mb = 0
"""


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window, for the tests of one module."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as started:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


class Visit:
    """One person at a dashboard, and all that went wrong on the way."""

    def __init__(self, chromium, port, link, **options):
        self.port, self.faults = port, []
        self.scripts = options.get("java_script_enabled", True)
        self.context = chromium.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_S * 1000)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on(
            "dialog", lambda one: (self.faults.append(one.message), one.dismiss())
        )
        self.page.on("console", self._said)
        self.page.goto(self.address(link))

    def address(self, path):
        """Return a whole address."""
        return f"http://127.0.0.1:{self.port}{path}"

    def open(self, path):
        """Open a page."""
        self.page.goto(self.address(path))

    @property
    def path(self):
        """Where the browser is."""
        return urlsplit(self.page.url).path

    def _asked(self, dialog):
        """Note a dialog: no page has any."""
        self.faults.append(dialog.message)
        dialog.dismiss()

    def _said(self, message):
        """Note what the console says of an error."""
        if message.type == "error" and "status of 4" not in message.text:
            self.faults.append(message.text)

    def close(self):
        """End it."""
        self.context.close()


class RealService:
    """A service in a process of its own, with real runs that are short."""

    def __init__(self, home):
        self.home = home
        (home / "config.toml").write_text(QUICK)
        self.said = home.parent / "service.log"
        self.log = self.said.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sleepcycle", "--home", home, "run"],
            stdout=self.log,
            stderr=self.log,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self.port = urlsplit(self.link(only_url=True)).port

    def link(self, *, only_url=False):
        """Return a link that signs in, once the service answers."""
        until = time.monotonic() + PATIENCE_S
        words = [sys.executable, "-m", "sleepcycle", "--home", self.home, "open"]
        while True:
            done = subprocess.run([*words, "--print"], capture_output=True, text=True)
            if done.returncode == 0:
                break
            if time.monotonic() > until or self.process.poll() is not None:
                self.close()
                raise AssertionError(done.stderr + self.said.read_text())
            time.sleep(0.2)
        parts = urlsplit(done.stdout.split()[0])
        return parts.geturl() if only_url else f"{parts.path}?{parts.query}"

    def close(self):
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.log.close()
