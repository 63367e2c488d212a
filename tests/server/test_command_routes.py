"""Routes that do what a command does: the same JSON, page by page, one at a time."""

import json
import shutil
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

import sleepcycle.home.weights  # noqa: F401 - so that no fork has to load them
from sleepcycle.cli import app
from sleepcycle.errors import BusyError
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.sealed import seal
from sleepcycle.home.export_formats import ADAPTER_FILES
from sleepcycle.home.home import Home
from sleepcycle.home.run_history import RunHistory
from sleepcycle.records.content import Text
from sleepcycle.records.example import Dream
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.server import server
from sleepcycle.server.api_client import Client
from sleepcycle.settings.config import ServeSettings, Settings
from sleepcycle.store import run_table, version_table
from tests.forked import forked_workers
from tests.server.conftest import TOKEN, FakeConductor, ask, ask_for_headers

ROWS = ['{"prompt": "a", "completion": "b"}\n{"nope": 1}\n', '{"text": "c"}\n']


@pytest.fixture(scope="module")
def home(made_once, tmp_path_factory):
    """A home in which two batches were fed, of which one has a bad row."""
    root = tmp_path_factory.mktemp("looked at") / "home"
    shutil.copytree(made_once, root)
    settings = Settings.model_validate({"feed": {"max_bad_ratio": 0.9}})
    home = Home(HomePaths(root), settings, "me")
    for number, rows in enumerate(ROWS):
        file = root / f"{number}.jsonl"
        file.write_text(rows)
        home.feed(str(file))
    begin_runs(home, 3)
    return home


@pytest.fixture(scope="module")
def scheduler():
    return FakeConductor()


@pytest.fixture(scope="module")
def served(home, scheduler):
    """One service of it for all tests here: what they change they change back."""
    running = server.start(scheduler, TOKEN, home.paths, ServeSettings())
    yield running
    running.stop()


def begin_runs(home, count):
    """Write down some runs that ended."""
    with home.store.write() as session:
        for _ in range(count):
            run = run_table.start(session, RunKind.WAKE, 1, "x")
            run_table.finish(session, run, RunState.FAILED, None, "no room")


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("versions list", "/api/versions"),
        ("versions show v0", "/api/versions/v0"),
        ("batches list", "/api/batches"),
        ("batches show 1", "/api/batches/1"),
        ("batches quarantine", "/api/batches/quarantine"),
        ("batches quarantine 1", "/api/batches/1/quarantine"),
        ("runs list", "/api/runs"),
        ("runs show 1", "/api/runs/1"),
        ("runs show 1 --dreams", "/api/runs/1/dreams"),
        ("inbox list", "/api/inbox"),
        ("token list", "/api/tokens"),
        ("batches show 1 --rendered", "/api/batches/1/examples"),
    ],
)
def test_a_route_answers_what_its_command_prints(served, home, command, path):
    words = ["--home", str(home.paths.root), *command.split(), "--json"]

    with forked_workers():
        printed = CliRunner().invoke(app, words).stdout
        status, found = ask(served, "GET", path)

    assert (status, found) == (200, json.loads(printed))


@pytest.mark.parametrize(
    ("path", "pages"),
    [
        ("/api/batches?limit=1", [[1], [2]]),
        ("/api/runs?limit=2", [[3, 2], [1]]),
    ],
)
def test_a_page_goes_on_behind_the_last_row_of_another(served, home, path, pages):
    found, after = [], 0
    while rows := ask(served, "GET", f"{path}&after={after}")[1]:
        found.append([row["id"] for row in rows])
        after = found[-1][-1]
        if len(found) > len(pages):
            break

    assert found == pages


def test_versions_are_paged_by_their_names(served):
    names = [row["version"] for row in ask(served, "GET", "/api/versions")[1]]
    rows = ask(served, "GET", "/api/versions?after=v0")[1]

    assert names == ["v0", *(row["version"] for row in rows)]
    assert ask(served, "GET", "/api/versions?after=live")[0] == 422


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "after=-1", "after=x"])
def test_a_page_of_another_size_is_refused(served, query):
    assert ask(served, "GET", f"/api/batches?{query}")[0] == 422


def test_a_log_goes_on_where_the_page_before_ended(served, home):
    folder = home.paths.run(1)
    folder.mkdir(parents=True)
    (folder / "worker.log").write_text("one\ntwo\nthree")
    beat = {"stage": "train", "step": 1, "steps": 2}
    (folder / "progress.jsonl").write_text(json.dumps(beat) + "\n{broken")

    first = ask(served, "GET", "/api/runs/1/log?limit=2")[1]
    second = ask(served, "GET", f"/api/runs/1/log?limit=2&after={first['after']}")[1]

    assert (first["log"], first["progress"]) == (["one", "two"], [beat])
    assert (second["log"], second["progress"]) == (["three"], [])
    assert not second["is_on"]


def test_a_page_of_a_log_is_bounded_in_bytes(served, home):
    """
    A line of any length is cut, which is said; lines behind it are on the next page.
    """
    folder = home.paths.run(2)
    folder.mkdir(parents=True)
    long, lines = b"x" * 50_000_000, [b"y" * 90_000] * 30
    (folder / "worker.log").write_bytes(b"\n".join([b"one", long, *lines]))

    pages, after = [], "0-0"
    while not pages or pages[-1]["log"]:
        path = f"/api/runs/2/log?limit=1000&after={after}"
        pages.append(ask(served, "GET", path)[1])
        after = pages[-1]["after"]

    assert pages[0]["log"][:2] == ["one", "x" * 100_000]
    assert [page["cut"] for page in pages] == [[1], [], [], []]
    assert all(sum(map(len, page["log"])) < 1_100_000 for page in pages)
    assert sum(len(page["log"]) for page in pages) == 2 + len(lines)


def test_dreams_come_page_by_page(served, home, monkeypatch):
    dreams = [Dream(7, Text(f"dream {number}")) for number in range(3)]
    monkeypatch.setattr(RunHistory, "dreams", lambda *_: dreams)

    path = "/api/runs/1/dreams?limit=2"
    pages = [
        ask(served, "GET", f"{path}&after={after}")[1] for after in (0, 2, 2**63 - 1)
    ]

    told = [[row["content"]["text"] for row in page] for page in pages]
    assert told == [["dream 0", "dream 1"], ["dream 2"], []]
    monkeypatch.setattr("sleepcycle.server.client_parts.PAGE", 2)
    every = Client(served.url, TOKEN).runs.dreams(1)
    assert [row["content"]["text"] for row in every] == [*told[0], *told[1]]


def test_a_batch_is_taken_out_and_back_in(served, home):
    assert ask(served, "POST", "/api/batches/2/exclude")[1]["excluded"] == 1
    found = ask(served, "POST", "/api/batches/2/requeue")[1]
    assert found["pending"] + found["held_out"] == 1


def test_a_name_points_at_a_version_until_it_is_forgotten(served):
    body = {"alias": "mine"}
    named = ask(served, "POST", "/api/versions/v0/alias", body=body)
    dropped = ask(served, "DELETE", "/api/aliases/mine")

    assert named == (200, {"alias": "mine", "version": "v0"})
    assert dropped == (200, {"alias": "mine", "version": None})
    assert ask(served, "DELETE", "/api/aliases/mine")[0] == 404


def test_a_token_is_made_used_and_revoked(served):
    made = ask(served, "POST", "/api/tokens", body={"scope": "read", "name": "tv"})[1]
    assert ask(served, "GET", "/api/runs", token=made["token"])[0] == 200

    assert ask(served, "DELETE", f"/api/tokens/{made['id']}")[1]["name"] == "tv"

    assert ask(served, "GET", "/api/runs", token=made["token"])[0] == 401
    assert ask(served, "POST", "/api/tokens", body={"scope": "all"})[0] == 422


@pytest.mark.parametrize(
    "path", ["/api/backup", "/api/versions/v0/export", "/api/versions/import"]
)
def test_a_place_of_this_machine_is_named_whole(served, path):
    status, told = ask(served, "POST", path, body={"path": "here"})

    assert status == 422
    assert "expected the whole path of a" in told["message"]


@pytest.mark.parametrize("path", ["/\0", "/" + "x" * 300])
def test_a_path_that_no_system_takes_is_refused(served, path):
    status, told = ask(served, "POST", "/api/backup", body={"path": path})

    assert (status, told["error"]) == (422, "ConfigError")
    assert "expected a path of a new file, got one with" in told["message"]


def test_a_backup_goes_where_it_is_told(served, home, tmp_path):
    file = str(tmp_path / "one.tar")
    status, told = ask(served, "POST", "/api/backup", body={"path": file})

    assert (status, told["file"], told["examples"]) == (200, file, 2)
    assert ask(served, "POST", "/api/backup", body={"path": file})[0] == 409


def test_a_command_that_needs_torch_fails_as_it_would_by_itself(served, tmp_path):
    body = {"path": str(tmp_path / "out")}
    with forked_workers():
        status, told = ask(served, "POST", "/api/versions/v0/export", body=body)

    assert (status, told["error"]) == (404, "VersionError")
    assert "v0 is the bare base" in told["message"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/versions/v0/diff/v9", None),
        ("POST", "/api/versions/v9/export", {"path": "/new"}),
        ("POST", "/api/evaluate", {"versions": ["v9"]}),
    ],
)
def test_no_process_is_started_for_what_is_no_version(served, home, method, path, body):
    log = home.paths.logs / "command.log"
    log.unlink(missing_ok=True)

    assert ask(served, method, path, body=body)[0] == 404
    assert not log.exists()


def test_a_version_is_written_where_that_can_be(served, home, sealed, tmp_path):
    path = f"/api/versions/{sealed}/export"
    there = {"path": str(tmp_path / "out"), "format": "peft"}
    nowhere = {"path": str(home.paths.config / "out")}
    with forked_workers():
        written = ask(served, "POST", path, body=there)
        status, told = ask(served, "POST", path, body=nowhere)

    assert written == (200, {"version": sealed, "folder": there["path"], **PEFT})
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert (status, told["error"]) == (409, "ServiceError")
    assert "Not a directory" in told["message"]


PEFT = {"format": "peft"}


@pytest.fixture
def sealed(home):
    """A version with files that nobody reads, and its name."""
    stage = home.paths.staging / "made"
    stage.mkdir(parents=True)
    for name in ADAPTER_FILES:
        (stage / name).write_text("{}")
    folder = seal(stage, home.paths.versions, "v0001")
    made = Version(1, VersionKind.IMPORT, folder.name, (0,), 1, True, datetime.now(UTC))
    with home.store.write() as session:
        version_table.add(session, made, home.versions.base, "{}", {})
    return made.name


def test_an_evaluation_is_a_job(served, home):
    with forked_workers():
        status, begun = ask(served, "POST", "/api/evaluate", body={})
        found = {"state": "running"}
        while found["state"] == "running":
            found = ask(served, "GET", f"/api/job/{begun['job']}")[1]

    assert (status, found["error"]) == (202, "VersionError")
    assert "expected an accepted night" in found["message"]


def test_who_comes_too_early_is_told_when_to_ask_again(served, scheduler):
    scheduler.error = BusyError("not now", retry_s=7)

    status, headers = ask_for_headers(served, "POST", "/api/versions/v0/promote")
    scheduler.error = None

    assert (status, headers["Retry-After"]) == (503, "7")


def test_a_page_of_bad_rows_behind_all_there_can_be_is_empty(served):
    after = 2**63 - 1

    path = f"/api/batches/quarantine?after={after}&limit=100"

    assert ask(served, "GET", path) == (200, [])
