"""Names that climb: no route reads, shows or changes what is outside of its subject."""

import itertools
import re
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from sleepcycle.files.paths import HomePaths
from sleepcycle.server.routes import create_app
from tests.server.conftest import PATIENCE_S, TOKEN

SECRET = "planted-outside-of-what-routes-show"
UPWARDS = ("..", "%2e%2e", ".%2e", "%252e%252e", "..;", "....", "%c0%ae%c0%ae", "..%00")
BETWEEN = ("/", "%2f", "%252f", "\\", "%5c", "//", "%c0%af")
GOALS = ("secret.txt", "token", "config.toml", "etc/passwd", "versions")
NAMES = [
    *(
        between.join([*[up] * depth, goal])
        for up, between, goal in itertools.product(UPWARDS, BETWEEN, GOALS)
        for depth in (1, 3)
    ),
    *(
        "/etc/passwd",
        "file:///etc/passwd",
        "C:%5Cwindows",
        "~",
        "v0%00",
        "%00",
        "v0/..",
    ),
    *(
        "%ff%fe",
        "v" + "9" * 300,
        "A" * 5000,
        "%0d%0aX-Injected:%201",
        "${HOME}",
        "$(id)",
    ),
]


TO_CONDUCTOR = {
    "/api/versions/{name}/promote",
    "/v1/fine_tuning/jobs/{name}/cancel",
}
"""Left out: what looks the name up in the database is a fake here."""

PARAMETER = re.compile(r"\{\w+\}")
ROUTES = sorted(
    (method, route.path)
    for route in create_app(None, "", HomePaths(Path("/home"))).routes
    if PARAMETER.search(route.path) and route.path not in TO_CONDUCTOR
    for method in route.methods
)


def ask_raw(port, method, path):
    """Send a path byte for byte, and return status and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    with closing(connection):
        connection.putrequest(method, path, skip_host=True)
        headers = {
            "Host": f"127.0.0.1:{port}",
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Content-Length": "2",
        }
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(b"{}")
        answer = connection.getresponse()
        return answer.status, answer.read()


def files_of(folder):
    """Return each file with its bytes, but for what reading leaves behind."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock"))
    }


def test_there_are_names_and_routes_enough():
    """
    Else the tests below would hold nothing.
    """
    assert len(set(NAMES)) >= 250
    assert len(ROUTES) >= 30


def test_no_name_leads_out_of_what_a_route_is_about(served, paths, tmp_path):
    """
    Each name meets two routes; all routes meet each kind of name.
    """
    tmp_path.joinpath("secret.txt").write_text(SECRET)
    paths.root.joinpath("secret.txt").write_text(SECRET)
    paths.token.write_text(TOKEN)
    before = files_of(tmp_path)
    turns = itertools.cycle(ROUTES)

    for name in NAMES:
        for method, path in itertools.islice(turns, 2):
            status, said = ask_raw(
                served.port, method, name.join(PARAMETER.split(path))
            )

            assert 400 <= status < 500, (method, path, name)
            assert SECRET.encode() not in said, (method, path, name)
            assert TOKEN.encode() not in said, (method, path, name)
    assert files_of(tmp_path) == before
