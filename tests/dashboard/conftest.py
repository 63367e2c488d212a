"""A served dashboard, and a browser without scripts that is signed in."""

import json
import re
import shutil
from html.parser import HTMLParser
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest

from sleepcycle.dashboard.pages import start
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.opening import create_home
from sleepcycle.settings.config import ServeSettings
from tests.server.conftest import PATIENCE_S, TOKEN, FakeConductor

FIELDS = {"input", "textarea", "select", "button"}
FORM = "application/x-www-form-urlencoded"


class Page:
    """One answer: its status, where it sends on to, and what it holds."""

    def __init__(self, answer, body):
        self.status, self.headers = answer.status, answer.headers
        self.text = body.decode()
        self.to = self.headers.get("Location", "")
        self.forms = forms_of(self.text)

    @property
    def words(self):
        """What a person reads, on one line."""
        text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]+>", " ", self.text)
        return " ".join(text.replace("&#39;", "'").replace("&amp;", "&").split())


class Browser:
    """Sends requests as a browser does whose scripts are off."""

    def __init__(self, port):
        self.port, self.cookie = port, ""

    def send(self, method, path, fields=None, **headers):
        """Send one request, and return what came."""
        body = None if fields is None else urlencode(fields).encode()
        return self.send_body(method, path, body, FORM, **headers)

    def send_body(self, method, path, body, kind, **headers):
        """Send one request with a body of some kind, if there is one."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        sent = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
        if self.cookie:
            sent["Cookie"] = self.cookie
        if body is not None:
            sent["Content-Type"] = kind
            sent["Origin"] = f"http://127.0.0.1:{self.port}"
        sent.update({name.replace("_", "-"): text for name, text in headers.items()})
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            page = Page(answer, answer.read())
        finally:
            connection.close()
        if "Set-Cookie" in page.headers:
            self.cookie = page.headers["Set-Cookie"].split(";")[0]
        return page

    def get(self, path):
        """Open a page, going on to where it sends."""
        page = self.send("GET", path)
        while page.status == 303:
            page = self.send("GET", page.to)
        return page

    def post(self, path, **fields):
        """Send a form, going on to where it sends."""
        page = self.send("POST", path, fields)
        return self.get(page.to) if page.status == 303 else page


class Dashboard:
    """A service with a dashboard, whose scheduler does nothing."""

    def __init__(self, root):
        self.paths, self.scheduler = HomePaths(root), FakeConductor()
        self.http = start(self.scheduler, TOKEN, self.paths, ServeSettings())
        self.port = self.http.port

    def link(self):
        """Return the path of a link that signs in."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Length": "0"}
        connection.request("POST", "/api/sign-in-links", headers=headers)
        parts = urlsplit(json.loads(connection.getresponse().read())["url"])
        connection.close()
        return f"{parts.path}?{parts.query}"

    def stranger(self):
        """Return a browser that is not signed in."""
        return Browser(self.port)

    def browser(self):
        """Return a browser that is signed in."""
        browser = self.stranger()
        browser.send("GET", self.link())
        assert browser.cookie
        return browser


def forms_of(text):
    """Return the forms of a page: method, address and fields of each."""
    reader = _Forms()
    reader.feed(text)
    return reader.forms


class _Forms(HTMLParser):
    """Reads the forms of a page."""

    def __init__(self):
        super().__init__()
        self.forms = []

    def handle_starttag(self, tag, pairs):
        """Note a form, or a field of it."""
        told = dict(pairs)
        if tag == "form":
            method = told.get("method", "get")
            self.forms.append((method, told.get("action"), {}))
        elif tag in FIELDS and self.forms and told.get("name"):
            self.forms[-1][2][told["name"]] = told.get("value") or ""


@pytest.fixture(scope="session")
def new_home(tmp_path_factory):
    """A new home, made once for all tests."""
    root = tmp_path_factory.mktemp("new") / "home"
    create_home(root)
    return root


@pytest.fixture
def dashboard(new_home, tmp_path):
    """The dashboard of a new home."""
    shutil.copytree(new_home, tmp_path / "home")
    served = Dashboard(tmp_path / "home")
    yield served
    served.http.stop()


@pytest.fixture
def browser(dashboard):
    """A browser that is signed in."""
    return dashboard.browser()
