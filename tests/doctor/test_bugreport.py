import gzip
import json
import shutil
import tarfile
from datetime import UTC, datetime

import pytest
from loguru import logger

from sleepcycle.doctor.bugreport import LOG_LINES, default_name, write_report
from sleepcycle.errors import HomeError
from sleepcycle.home.opening import open_home
from sleepcycle.log import TEXT
from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.records.example import FeedReport
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.store import (
    batch_table,
    example_table,
    journal,
    run_table,
    version_table,
)
from sleepcycle.store.values import ExampleState

SECRET = "zq7planted"


@pytest.fixture
def home(new_home, tmp_path):
    """A home below a directory whose name nobody should read."""
    root = tmp_path / f"my {SECRET} files" / "home"
    shutil.copytree(new_home, root)
    return open_home(root)


@pytest.fixture
def report(home, tmp_path):
    """Writes a report on the home, and returns its parts by their names."""

    def write():
        file = tmp_path / "report.tar.gz"
        file.unlink(missing_ok=True)
        write_report(home.paths.root, file, answers=lambda: True)
        return read(file)

    return write


def read(file):
    """Return the text of each file of a report."""
    with tarfile.open(file) as archive:
        return {
            entry.name.rpartition("/")[2]: archive.extractfile(entry).read().decode()
            for entry in archive
        }


def lines(home, *written):
    """Put lines into the home's log."""
    home.paths.logs.mkdir(exist_ok=True)
    (home.paths.logs / "sleepcycle.log").write_text("\n".join(written) + "\n")


def plant(home):
    """Put the secret wherever people keep what is theirs."""
    text = canonical_json(Text(f"the answer is {SECRET}"))
    with home.store.write() as session:
        batch = batch_table.add(session, f"/data/{SECRET}.jsonl", "text", 0.0)
        example_table.add(
            session,
            batch,
            ExampleState.PENDING,
            [(content_hash(text), text, None, None)],
        )
        batch_table.close(session, batch, FeedReport(batch, 1, 1, 0, 0, 0, {}))
        journal.append(
            session,
            f"user:{SECRET}",
            "feed",
            source=f"{SECRET}.jsonl",
            batch=batch,
            version="v3",
            reason=f"no room on /mnt/{SECRET} at all",
        )
        run = run_table.start(session, RunKind.WAKE, 1, "then")
        report = json.dumps({"steps": 3, "verdict": {"reason": SECRET, "nll": 1.5}})
        error = f"the worker failed with ValueError: {SECRET}; see {home.paths.root}"
        run_table.finish(session, run, RunState.FAILED, report, error)
        version_table.set_alias(session, SECRET, 0)
    home.paths.token.write_text(f"token-{SECRET}")
    folder = home.paths.run(1)
    folder.mkdir(parents=True)
    (folder / "dreams.jsonl").write_text(f'{{"content": "{SECRET}"}}\n')
    (folder / "worker.log").write_text(f"{SECRET}\n")
    (home.paths.logs / "harness.log").write_text(f"{SECRET}\n")
    config = home.paths.config
    config.write_text(f"# {SECRET}\n[model]\nbase = '/models/{SECRET} big/llama'\n")
    home.paths.inbox.mkdir(exist_ok=True)
    (home.paths.inbox / f"{SECRET}.jsonl").write_text(text)


class TestPrivacy:
    def test_nothing_that_was_learned_or_named_is_in_it(self, home, report):
        plant(home)
        moment = "2026-01-02 03:04:05"
        lines(
            home,
            f"{moment} INFO    imported /mnt/my {SECRET}/a b as v3",
            f"{moment} WARNING got token-{SECRET}, and Authorization: Bearer {SECRET}",
            f"{moment} ERROR   the worker failed with KeyError: {SECRET}",
            f"{moment} ERROR   expected a number, got '{SECRET}'; mend it",
            f"{moment} INFO    fed {home.paths.inbox}/{SECRET}.jsonl",
            f"{SECRET} on a second line of a message",
            "Traceback (most recent call last):",
            f'  File "/home/{SECRET}/sleepcycle/wake.py", line 7, in run',
            f"    raise ValueError({SECRET})",
            f"    │     └ '{SECRET}'",
            f"sleepcycle.errors.RunError: {SECRET}",
            json.dumps(json_record(f"undid run 3\n{SECRET}")),
        )

        parts = report()

        assert len(parts) == 8
        for name, text in parts.items():
            assert SECRET not in text, name
            assert '"failed":' not in text, name

    def test_what_helps_is_in_it(self, home, report):
        plant(home)
        lines(
            home,
            "2026-01-02 03:04:05 INFO    woke 12 examples",
            "2026-01-02 03:04:06 ERROR   the worker failed with KeyError: what",
            '  File "/opt/lib/sleepcycle/wake.py", line 7, in run',
            "sleepcycle.errors.RunError: what",
            json.dumps(json_record("undid run 3")),
        )

        parts = report()

        assert parts["log.txt"].splitlines() == [
            "2026-01-02 03:04:05 INFO    woke 12 examples",
            "2026-01-02 03:04:06 ERROR   the worker failed with KeyError",
            "  wake.py, line 7, in run",
            "RunError",
            "2026-01-02 03:04:05 INFO undid run 3",
        ]
        [run] = json.loads(parts["runs.json"])
        assert run["state"] == "failed"
        assert run["error"] == "the worker failed with ValueError"
        assert run["report"] == {"steps": 3, "verdict": {"nll": 1.5}}
        entry = json.loads(parts["journal.json"])[-1]
        assert entry["actor"] == "user"
        assert entry["details"] == {
            "batch": 1,
            "version": "v3",
            "reason": "no room on <path>",
        }
        assert json.loads(parts["database.json"])["rows"]["example"] == 1
        assert json.loads(parts["status.json"])["counts"]["pending"] == 1
        assert json.loads(parts["settings.json"])["model"]["base"] == "<path>"
        checks = {one["check"]: one for one in json.loads(parts["doctor.json"])}
        assert checks["home"]["message"] == "<home> is closed to other users"
        assert "torch" in json.loads(parts["about.json"])["packages"]

    def test_times_are_written_as_in_the_files_of_a_home(self, report):
        about = json.loads(report()["about.json"])

        made_at = datetime.fromisoformat(about["made_at"])
        assert about["made_at"] == str(made_at)
        assert made_at.tzinfo is not None

    def test_a_base_by_a_relative_path_is_not_named(
        self, home, report, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        (tmp_path / f"{SECRET}/model").mkdir(parents=True)
        home.paths.config.write_text(f"[model]\nbase = '{SECRET}/model'\n")

        assert SECRET not in "".join(report().values())

    def test_a_logged_exception_shows_where_and_not_what(self, home, report):
        file = home.paths.logs / "sleepcycle.log"
        sink = logger.add(file, format=TEXT)
        try:
            fail_with(SECRET)
        except ValueError:
            logger.exception("it failed")
        finally:
            logger.remove(sink)

        log = report()["log.txt"]

        assert SECRET not in log
        assert "it failed" in log
        assert "test_bugreport.py, line" in log
        assert log.splitlines()[-1] == "ValueError"

    def test_the_archive_names_no_user(self, home, tmp_path):
        file = tmp_path / f"{SECRET}.tar.gz"
        write_report(home.paths.root, file, answers=lambda: True)

        assert SECRET.encode() not in file.read_bytes()
        with tarfile.open(file) as archive:
            owners = {(e.uname, e.gname, e.uid, e.gid) for e in archive}
        assert owners == {("", "", 0, 0)}
        assert file.stat().st_mode & 0o777 == 0o600
        with gzip.open(file) as packed:
            assert SECRET.encode() not in packed.read()

    def test_the_log_is_cut_to_its_last_lines(self, home, report):
        logged = [f"2026-01-02 03:04:05 INFO    line {n}" for n in range(3_000)]
        lines(home, *logged)

        kept = report()["log.txt"].splitlines()

        assert len(kept) == LOG_LINES
        assert kept[-1] == logged[-1]


def test_what_an_owner_looks_for_in_talk_is_not_told(home, report):
    home.paths.config.write_text(f"[capture]\npatterns = ['project {SECRET}']\n")

    parts = report()

    assert json.loads(parts["settings.json"])["capture"]["review"] is True
    assert SECRET not in "".join(parts.values())


def test_where_versions_are_published_is_not_told(home, report):
    """
    Neither in the settings nor by an error in the log, which names the address.
    """
    url = f"http://{SECRET.lower()}.internal:8000"
    home.paths.config.write_text(
        f"[[publish.target]]\nkind = 'vllm'\nname = 'box'\nurl = '{url}'\n"
        "token_file = 'vllm.key'\n"
    )
    lines(home, f"2026-01-02 03:04:05 WARNING box: expected an answer to GET {url}/v1")

    parts = report()

    [target] = json.loads(parts["settings.json"])["publish"]["target"]
    assert (target["kind"], target["name"]) == ("vllm", "box")
    assert SECRET.lower() not in "".join(parts.values())


class TestBroken:
    def test_a_damaged_home_still_has_a_report(self, home, report):
        home.paths.database.write_bytes(b"damaged" * 1000)
        home.paths.config.write_text(f"rnk = '{SECRET}'")

        parts = report()

        assert json.loads(parts["runs.json"]) == {"failed": "DatabaseError"}
        assert json.loads(parts["settings.json"]) == {"failed": "ConfigError"}
        assert "about.json" in parts
        assert SECRET not in "".join(parts.values())

    def test_a_place_without_a_home_has_a_report(self, tmp_path):
        file = tmp_path / "report.tar.gz"

        write_report(tmp_path / "nothing", file, answers=lambda: True)

        assert json.loads(read(file)["status.json"]) == {"failed": "HomeError"}

    def test_a_file_that_is_there_is_left_alone(self, home, tmp_path):
        file = tmp_path / "report.tar.gz"
        file.write_text("mine")

        with pytest.raises(HomeError, match="name another file"):
            write_report(home.paths.root, file, answers=lambda: True)

        assert file.read_text() == "mine"

    def test_the_name_says_when(self):
        day = datetime.now(UTC).strftime("%Y%m%d")

        assert default_name().startswith(f"sleepcycle-bugreport-{day}")


def json_record(message):
    """Return a record as the log writes it as JSON."""
    return {
        "text": message,
        "record": {
            "time": {"repr": "2026-01-02 03:04:05.678901+00:00"},
            "level": {"name": "INFO"},
            "message": message,
            "extra": {"folder": SECRET},
        },
    }


def fail_with(text):
    """Fail with a text that a log must not keep."""
    raise ValueError(text)
