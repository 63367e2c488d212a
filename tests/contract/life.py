"""One small life of a home, and everything that the outside saw of it.

All is seen by commands, by HTTP and in the files of the home: no module is imported.
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

from tests.contract import forked

LESSONS = Path(__file__).parents[2] / "examples" / "lessons"
PATIENCE_S = 120.0
FORKED = Path(forked.__file__)
SETTINGS = """\
[feed]
held_out_share = 0.25
max_bad_ratio = 0.5

[wake]
max_steps = 4
min_steps = 1
epochs = 10000.0
warmup_steps = 1
prompt_weight = 0.1
patience = 0
checkpoint_every = 2
min_pending = 100000

[sleep]
at = "AT"
timezone = "UTC"
catch_up = false
stages = STAGES

[sleep.svd]
rank = 4

[sleep.rem]
memory = MEMORY
max_share_of_wake = 20.0
max_steps = 3
dreams = 12
dream_tokens = 32
confidence = 0.0

[gate]
max_rise = 100.0
max_general_rise = 100.0
max_general_kl = 100.0
max_exact_drop = 1.0
probe_dreams = 8
max_held_out = 16
max_asked = 4

[capture]
mode = "ask"

[engine]
threads = 1
reserve_mb = 0
"""


class Seen:
    """A life while it is lived: what was done, and what came of it."""

    def __init__(self, root: Path, door: str, python: str):
        self.root, self.home = root, root / "home"
        self.door, self.python = door, python
        self.texts, self.jsons, self.codes, self.errors = {}, {}, {}, {}
        self.http, self.files = {}, {}

    def env(self):
        """Return what commands are told by their environment."""
        return {
            "SLEEPCYCLE_HOME": str(self.home),
            "HOME": str(self.root),
            "PATH": str(self.root / "bin"),  # neither systemctl nor anything else
            "COLUMNS": "400",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "CONTRACT_PYTHON": self.python,
        }

    def start(self, *words, stdout, stderr, env=()):
        """Start a command; its exit code comes by the channel that is returned."""
        with open(os.devnull) as nothing:
            files = (nothing.fileno(), stdout.fileno(), stderr.fileno())
            return forked.ask(
                self.door,
                ["sleepcycle", *map(str, words)],
                executable=self.python,
                files=files,
                env=self.env() | dict(env),
                folder=str(self.root),
            )

    def run(self, *words, code=0, env=()):
        """Run a command to its end, and return what it printed."""
        out, err = self.root / "stdout", self.root / "stderr"
        with out.open("w") as stdout, err.open("w") as stderr:
            channel = self.start(*words, stdout=stdout, stderr=stderr, env=env)
            ended = forked.code_of(channel)
        self.printed, self.complained = out.read_text(), err.read_text()
        assert ended == code, (words, ended, self.printed, self.complained)
        return self.printed

    def text(self, name, *words, code=0):
        """Keep what a command prints for people."""
        self.texts[name] = self.run(*words, code=code)
        self.codes[name] = code

    def json(self, name, *words, code=0):
        """Keep what a command prints for programs."""
        self.jsons[name] = json.loads(self.run(*words, "--json", code=code))
        self.codes[f"{name} --json"] = code
        return self.jsons[name]

    def both(self, name, *words, code=0):
        """Keep both, of a command that changes nothing."""
        self.text(name, *words, code=code)
        return self.json(name, *words, code=code)

    def refused(self, name, *words, code=1):
        """Keep how a command fails as foreseen."""
        self.run(*words, code=code)
        self.codes[name] = code
        self.errors[name] = self.complained

    def ask(self, name, method, path, body=None, *, as_name=None, **headers):
        """Keep the answer to a request, which shows the token unless told else."""
        address = json.loads((self.home / "daemon.json").read_text())
        token = (self.home / "token").read_text().strip()
        is_plain = body is None or isinstance(body, bytes)
        data = body if is_plain else json.dumps(body).encode()
        sent = {"Host": f"127.0.0.1:{address['port']}"}
        sent |= {"Authorization": f"Bearer {token}"}
        if data is not None:
            sent |= {"Content-Type": "application/json"}
            sent |= {"Content-Length": str(len(data))}
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", address["port"], timeout=PATIENCE_S)
        with closing(connection):
            connection.putrequest(method, path, skip_host=True)
            for key, value in sent.items():
                if value is not None:
                    connection.putheader(key, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            said = answer.read()
            kind = answer.headers.get_content_type()
        found = json.loads(said) if kind == "application/json" and said else None
        shown = f"{method} {as_name or path}" + (f" ({name})" if name else "")
        self.http[shown] = {"status": answer.status, "type": kind, "body": found}
        return found

    @contextmanager
    def service(self):
        """Let the service run."""
        out, err = self.root / "service.out", self.root / "service.err"
        with out.open("w") as stdout, err.open("w") as stderr:
            channel = self.start("run", stdout=stdout, stderr=stderr)
            try:
                until(lambda: out.read_text().endswith("\n"))
                yield
                channel.send(b"15")
                assert forked.code_of(channel) == 0, err.read_text()
            finally:
                channel.close()
        self.texts["run"], self.codes["run"] = out.read_text(), 0

    def record(self):
        """Return all of it, as JSON can hold it."""
        return {
            "root": str(self.root),
            "json": self.jsons,
            "text": self.texts,
            "codes": self.codes,
            "errors": self.errors,
            "http": self.http,
            "files": self.files,
        }


def until(found):
    """Wait until a function finds something, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def live(root: Path) -> dict:
    """Live one life in an empty folder, and return what was seen of it."""
    root.mkdir()
    (root / "bin").mkdir()
    door = str(root / "door")
    python = root / "python"
    python.write_text(
        f'#!/bin/sh\nexec {sys.executable} -S -E {FORKED} run {door} "$@"\n'
    )
    python.chmod(0o700)
    seen = Seen(root, door, str(python))
    server = subprocess.Popen(
        [sys.executable, "-m", forked.__name__, "serve", door],
        env=seen.env() | {"SLEEPCYCLE_HOME": str(root / "warm")},
        cwd=LESSONS.parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: server.poll() is not None or Path(door).exists())
        for part in (
            first_day,
            second_day,
            look_at_versions,
            move_versions,
            look_at_books,
            move_books,
            keep_home,
            be_served,
            be_broken_off,
            review,
            be_refused,
            look_at_home,
        ):
            part(seen)
        seen.files["help"] = helps(seen)
    finally:
        server.kill()
        server.communicate()
    return seen.record()


def set_up(seen, *, max_steps=4, memory='["store"]', stages='["svd", "rem"]'):
    """Write settings whose night is far off; 0 steps are no bound for a wake."""
    far = datetime.now(UTC) + timedelta(hours=12)
    text = SETTINGS.replace("AT", f"{far:%H:%M}")
    text = text.replace("max_steps = 4", f"max_steps = {max_steps}")
    text = text.replace("MEMORY", memory).replace("STAGES", stages)
    (seen.home / "config.toml").write_text(text)


def rows_of(lesson, count, skip=0):
    """Return a few rows of a lesson."""
    lines = (LESSONS / f"{lesson}.jsonl").read_text().splitlines(keepends=True)
    return "".join(lines[skip : skip + count])


def first_day(seen):
    """Make a home; feed, wake and sleep for programs."""
    seen.refused("status, no home", "status")
    seen.text("init", "init")
    seen.text("init, again", "init")
    set_up(seen, memory='["store", "archive"]', stages='"auto"')
    good = seen.root / "capitals.jsonl"
    good.write_text(rows_of("capitals", 24) + rows_of("capitals", 2))
    bad = seen.root / "plurals.jsonl"
    bad.write_text(rows_of("plurals", 24) + '{"nope": 1}\nno json\n')
    seen.json("feed --dry-run", "feed", good, "--dry-run")
    seen.text("feed --dry-run", "feed", good, "--dry-run")
    seen.json("feed", "feed", good)
    seen.text("feed", "feed", bad)
    seen.both("status, fed", "status")
    seen.json("wake", "wake")
    seen.json("status, awake", "status")
    seen.json("sleep", "sleep")


def second_day(seen):
    """Do it again, for people."""
    more = seen.root / "more.jsonl"
    more.write_text(rows_of("capitals", 24, skip=40))
    seen.json("feed, again", "feed", more, "--source", "more")
    seen.text("wake", "wake")
    seen.text("sleep", "sleep")
    seen.both("status", "status")


def look_at_versions(seen):
    """Look at what was sealed."""
    seen.both("versions list", "versions", "list")
    for name in ("v1", "v4"):
        seen.both(f"versions show {name}", "versions", "show", name)
    seen.both("versions diff", "versions", "diff", "v2", "v4")
    seen.both("versions verify", "versions", "verify")
    seen.both("ask", "ask", "Hello", "--max-new-tokens", "2")
    tool = ("--max-new-tokens", "2", "--tool", "calculator")
    seen.json("ask --tool", "ask", "Hello", *tool)
    seen.both("evaluate", "evaluate")


def move_versions(seen):
    """Go back and forth; carry versions out and in.

    Which versions must still dream is each machine's own, so none need from here on.
    """
    set_up(seen)
    seen.json("rollback", "rollback")
    seen.json("versions promote", "versions", "promote", "v4")
    seen.text("rollback", "rollback")
    seen.text("versions promote", "versions", "promote", "v4")
    seen.text("rollback --requeue", "rollback", "v2", "--requeue")
    seen.json("rollback, forth", "rollback", "v4")
    seen.json("versions alias", "versions", "alias", "mine", "v2")
    seen.json("versions alias --drop", "versions", "alias", "mine", "--drop")
    seen.text("versions alias", "versions", "alias", "mine", "v2")
    seen.text("versions alias --drop", "versions", "alias", "mine", "--drop")
    out = seen.root / "out"
    seen.text("versions export", "versions", "export", "v2", out)
    seen.files["export"] = sorted(path.name for path in out.iterdir())
    seen.json("versions import", "versions", "import", out)
    seen.text("versions import", "versions", "import", out)
    seen.both("versions gc --dry-run", "versions", "gc", "--dry-run", "--keep", "0")


def look_at_books(seen):
    """Look at batches and runs."""
    seen.both("batches list", "batches", "list")
    seen.both("batches show", "batches", "show", "1")
    seen.both("batches quarantine", "batches", "quarantine")
    mended = seen.root / "mended.jsonl"
    seen.text(
        "batches quarantine --export", "batches", "quarantine", "--export", mended
    )
    seen.both("runs list", "runs", "list")
    seen.both("runs show, a wake", "runs", "show", "1")
    seen.both("runs show, a night", "runs", "show", "4")
    seen.both("runs show --dreams", "runs", "show", "4", "--dreams")
    seen.text("runs logs", "runs", "logs", "1")


def move_books(seen):
    """Exclude a batch and take it back; pause and go on."""
    seen.json("batches exclude", "batches", "exclude", "1")
    seen.json("versions list, tainted", "versions", "list")
    seen.json("batches requeue", "batches", "requeue", "1")
    seen.text("batches exclude", "batches", "exclude", "1")
    seen.text("batches requeue", "batches", "requeue", "1")
    seen.text("pause", "pause")
    seen.both("status, paused", "status")
    seen.text("resume", "resume")


def keep_home(seen):
    """Care for the home."""
    seen.home.chmod(0o755)
    seen.both("doctor", "doctor")
    seen.home.chmod(0o700)
    seen.text("backup", "backup", seen.root / "one.tar")
    seen.json("backup", "backup", seen.root / "two.tar.gz")
    seen.text("restore", "restore", seen.root / "one.tar", "--at", seen.root / "one")
    seen.json("restore", "restore", seen.root / "one.tar", "--at", seen.root / "two")
    replaced = ("--at", seen.root / "two", "--replace")
    seen.text("restore --replace", "restore", seen.root / "two.tar.gz", *replaced)
    seen.json("versions gc", "versions", "gc", "--keep", "0")
    seen.text("versions gc", "versions", "gc", "--keep", "0")
    seen.both("versions list, cleared", "versions", "list")
    seen.text("db upgrade", "db", "upgrade")
    seen.text("bugreport", "bugreport", seen.root / "report.tar.gz")
    root = ("--root", seen.root / "machine")
    seen.text("service install", "service", "install", *root)
    seen.text("service uninstall", "service", "uninstall", *root)
    seen.both("service status", "service", "status")
    seen.both("study list", "study", "list")


def be_served(seen):
    """Ask a service, by HTTP and by commands."""
    more = seen.root / "served.jsonl"
    more.write_text(rows_of("capitals", 24, skip=80))
    seen.json("feed, before the service", "feed", more)
    make_tokens(seen)
    with seen.service():
        seen.files["daemon.json"] = json.loads((seen.home / "daemon.json").read_text())
        seen.both("status, served", "status")
        seen.json("service status, served", "service", "status")
        seen.text("service status, served", "service", "status")
        seen.text("pause, served", "pause")
        seen.text("resume, served", "resume")
        seen.both("open", "open", "--print")
        seen.refused("run, a second time", "run", code=75)
        seen.refused("db upgrade, served", "db", "upgrade")
        ask_what_is_there(seen)
        ask_what_is_refused(seen)
    end_tokens(seen)


def make_tokens(seen):
    """Make tokens for other programs."""
    seen.talk = seen.json("token new", "token", "new", "--scope", "talk,feed")
    named = ("--scope", "read", "--name", "monitor")
    seen.text("token new", "token", "new", *named)
    seen.both("token list", "token", "list")


def end_tokens(seen):
    """Revoke them; one is left."""
    kept = seen.json("token new, another", "token", "new", "--scope", "admin")
    seen.json("token revoke", "token", "revoke", kept["id"])
    more = ("--scope", "feed", "--name", "phone")
    kept = seen.json("token new --name", "token", "new", *more)
    seen.text("token revoke", "token", "revoke", kept["id"])
    seen.refused("token revoke, unknown", "token", "revoke", "nope")
    seen.refused("token new, an unknown scope", "token", "new", "--scope", "write")


def ask_what_is_there(seen):
    """Take every route."""
    seen.ask("", "POST", "/api/sign-in-links")
    seen.ask("", "GET", "/livez", Authorization=None)
    seen.ask("", "GET", "/readyz", Authorization=None)
    seen.ask("", "GET", "/api/status")
    for word in ("pause", "resume", "reload"):
        seen.ask("", "POST", f"/api/{word}")
    job = seen.ask("", "POST", "/api/wake")["job"]
    wait_for_job(seen, job, "done, a wake")
    seen.ask("", "POST", "/api/sleep")
    job = seen.http["POST /api/sleep"]["body"]["job"]
    wait_for_job(seen, job, "done, a night")
    seen.ask("to the previous", "POST", "/api/rollback", {})
    body = {"version": "v4", "requeue": True}
    seen.ask("to a version", "POST", "/api/rollback", body)
    seen.ask("", "POST", "/api/versions/v4/promote")
    seen.ask("", "POST", "/api/versions/import", {"path": str(seen.root / "out")})
    seen.ask("", "GET", "/metrics")
    seen.ask("", "GET", "/v1/models")
    seen.ask("", "GET", "/v1/models/v4")
    short = {"model": "v4", "max_tokens": 4, "temperature": 0}
    chat = {**short, "messages": [{"role": "user", "content": "Hi"}]}
    seen.ask("", "POST", "/v1/chat/completions", chat)
    told = {**chat, "logprobs": True, "top_logprobs": 1}
    seen.ask("with logprobs", "POST", "/v1/chat/completions", told)
    seen.ask("", "POST", "/v1/completions", {**short, "prompt": "Hi"})
    seen.ask("", "POST", "/api/feed", [json.loads(rows_of("capitals", 1))])
    ask_for_commands(seen)
    listen(seen)
    review_what_is_kept(seen, {**chat, "max_tokens": 99, "store": True})
    fine_tune(seen)
    document = "/openapi.json"
    told = seen.ask("", "GET", document)
    # What it holds else is made of the routes, which are held here one by one.
    seen.http[f"GET {document}"]["body"] = {"info": told["info"]}


def ask_for_commands(seen):
    """Ask for what commands print."""
    for path in (
        "/api/versions?limit=3",
        "/api/versions/v4",
        "/api/versions/v2/diff/v4",
        "/api/batches",
        "/api/batches/1",
        "/api/batches/1/examples",
        "/api/batches/2/quarantine",
        "/api/batches/quarantine",
        "/api/runs?limit=2",
        "/api/runs/4",
        "/api/runs/4/dreams",
        "/api/runs/1/log?limit=2",
        "/api/doctor",
        "/api/tokens",
    ):
        seen.ask("", "GET", path, as_name=path.partition("?")[0])
    versions = "/api/versions"
    seen.ask("", "POST", f"{versions}/verify", {})
    seen.ask("", "POST", f"{versions}/v4/alias", {"alias": "mine"})
    seen.ask("", "DELETE", "/api/aliases/mine")
    folder = {"path": str(seen.root / "served out")}
    seen.ask("", "POST", f"{versions}/v4/export", folder)
    seen.ask("", "POST", f"{versions}/gc", {"dry_run": True})
    seen.ask("", "POST", "/api/batches/2/exclude")
    seen.ask("", "POST", "/api/batches/2/requeue")
    seen.ask("", "POST", "/api/backup", {"path": str(seen.root / "served.tar")})
    seen.ask("", "POST", "/api/ask", {"prompt": "Hi", "max_new_tokens": 4})
    made = seen.ask("", "POST", "/api/tokens", {"scope": "read"})
    seen.ask("", "DELETE", f"/api/tokens/{made['id']}", as_name="/api/tokens/ID")
    job = seen.ask("", "POST", "/api/evaluate", {})["job"]
    wait_for_job(seen, job, "done, an evaluation")


def listen(seen):
    """Keep the first event of the stream, which has no end."""
    address = json.loads((seen.home / "daemon.json").read_text())
    token = (seen.home / "token").read_text().strip()
    connection = HTTPConnection("127.0.0.1", address["port"], timeout=PATIENCE_S)
    with closing(connection):
        connection.request(
            "GET", "/api/events?after=1", headers={"Authorization": f"Bearer {token}"}
        )
        answer = connection.getresponse()
        lines = iter(answer.readline, b"\n")
        told = dict(line.decode().strip().split(": ", 1) for line in lines)
        kind = answer.headers.get_content_type()
    body = told | {"data": json.loads(told["data"])}
    seen.http["GET /api/events"] = {"status": answer.status, "type": kind, "body": body}


def review_what_is_kept(seen, chat):
    """Keep three completions, judge one, and delete the others."""
    asked = "/v1/chat/completions"
    names = [seen.ask("kept", "POST", asked, chat)["id"] for _ in range(3)]
    first, second, _ = (f"{asked}/{name}" for name in names)
    one = {"as_name": f"{asked}/ID"}
    seen.ask("", "GET", asked)
    seen.ask("", "GET", first, **one)
    seen.ask("", "GET", f"{first}/messages", as_name=f"{asked}/ID/messages")
    seen.ask("", "POST", first, {"metadata": {"topic": "greetings"}}, **one)
    thumb = {"inference_id": names[0], "metric_name": "thumb", "value": True}
    seen.ask("", "POST", "/v1/feedback", thumb)
    seen.ask("", "GET", "/api/inbox")
    place = f"/api/inbox/{names[0]}"
    seen.ask("", "GET", place, as_name="/api/inbox/ID")
    better = {"answer": "Good day."}
    for word, body in (("reject", None), ("edit", better), ("accept", None)):
        seen.ask("", "POST", f"{place}/{word}", body, as_name=f"/api/inbox/ID/{word}")
    seen.ask("", "DELETE", second, **one)
    third = f"/api/inbox/{names[2]}"
    seen.ask("", "DELETE", third, as_name="/api/inbox/ID")


def fine_tune(seen):
    """Fine-tune by OpenAI's addresses on what is known already."""
    form = (
        "--x\r\nContent-Disposition: form-data; name=purpose\r\n\r\nfine-tune\r\n"
        "--x\r\nContent-Disposition: form-data; name=file; filename=a.jsonl\r\n\r\n"
        f"{rows_of('capitals', 1)}\r\n--x--\r\n"
    ).encode()
    kind = {"Content_Type": "multipart/form-data; boundary=x"}
    file = seen.ask("", "POST", "/v1/files", form, **kind)["id"]
    seen.ask("", "GET", "/v1/files")
    seen.ask("", "GET", f"/v1/files/{file}", as_name="/v1/files/ID")
    content = f"/v1/files/{file}/content"
    seen.ask("", "GET", content, as_name="/v1/files/ID/content")
    jobs = "/v1/fine_tuning/jobs"
    asked = {"model": "live", "training_file": file}
    job = seen.ask("", "POST", jobs, asked)["id"]
    seen.ask("", "GET", jobs)
    seen.ask("", "GET", f"{jobs}/{job}", as_name=f"{jobs}/ID")
    seen.ask("", "GET", f"{jobs}/{job}/events", as_name=f"{jobs}/ID/events")
    seen.ask("over", "POST", f"{jobs}/{job}/cancel", as_name=f"{jobs}/ID/cancel")
    seen.ask("an unknown model", "POST", jobs, {**asked, "model": "v99"})
    seen.ask("a number", "POST", jobs, {**asked, "hyperparameters": {"n_epochs": 3}})
    seen.ask("", "DELETE", f"/v1/files/{file}", as_name="/v1/files/ID")
    seen.ask("unknown", "GET", "/v1/files/file-nope")


def wait_for_job(seen, job, name):
    """Look at a job until it is over."""
    place = f"/api/job/{job}"
    until(
        lambda: (
            seen.ask(name, "GET", place, as_name="/api/job/JOB")["state"] != "running"
        )
    )


def ask_what_is_refused(seen):
    """Ask as nobody may, and for what is not there."""
    status = ("GET", "/api/status")
    seen.ask("no token", *status, Authorization=None)
    seen.ask("a wrong token", *status, Authorization="Bearer nope")
    talk = f"Bearer {seen.talk['token']}"
    seen.ask("another scope", *status, Authorization=talk)
    seen.ask("another scope", "GET", "/v1/none", Authorization=talk)
    seen.ask("another scheme", *status, Authorization="Basic nope")
    seen.ask("another host", *status, Host="example.org")
    seen.ask("no host", *status, Host=None)
    seen.ask("another page", *status, Origin="http://example.org")
    seen.ask("another site", *status, Sec_Fetch_Site="cross-site")
    seen.ask("", "PUT", "/api/status")
    seen.ask("", "POST", "/api/status")
    seen.ask("", "GET", "/api/wake")
    seen.ask("no token", "GET", "/api/none", Authorization=None)
    for path in ("/", "/api/none", "/docs", "/v1/none"):
        seen.ask("", "GET", path)
    seen.ask("chunks", "POST", "/api/pause", Transfer_Encoding="chunked")
    seen.ask("too large", "POST", "/api/pause", Content_Length="1000001")
    rollback = ("POST", "/api/rollback")
    seen.ask("no body", *rollback)
    seen.ask("an unknown key", *rollback, {"nope": 1})
    seen.ask("a wrong type", *rollback, {"version": 1})
    seen.ask("an unknown version", *rollback, {"version": "v99"})
    seen.ask("unknown", "POST", "/api/versions/v99/promote")
    taken = ("POST", "/api/versions/import")
    seen.ask("no whole path", *taken, {"path": "out"})
    seen.ask("nothing there", *taken, {"path": str(seen.root / "none")})
    seen.ask("unknown", "GET", "/api/job/nope")
    seen.ask("no rows", "POST", "/api/feed", [])
    ask_what_is_no_chat(seen)
    seen.ask("over", "POST", "/api/runs/1/cancel")
    seen.ask("unknown", "POST", "/api/runs/99/cancel")
    seen.ask("no number", "POST", "/api/runs/x/cancel")
    job = seen.ask("nothing to do", "POST", "/api/sleep")
    if "job" in job:
        wait_for_job(seen, job["job"], "failed")


def ask_what_is_no_chat(seen):
    """Ask a version for what it cannot answer."""
    chat = {"messages": [{"role": "user", "content": "Hi"}]}
    asked = ("POST", "/v1/chat/completions")
    seen.ask("no body", *asked)
    seen.ask("no messages", *asked, {"model": "live"})
    seen.ask("an unknown model", *asked, {**chat, "model": "v99"})
    seen.ask("too cold", *asked, {**chat, "temperature": -1})


def be_broken_off(seen):
    """End the service while it wakes: the wake is paused, and can be given up."""
    more = seen.root / "long.jsonl"
    more.write_text(rows_of("capitals", 24, skip=120))
    seen.json("feed, for long", "feed", more)
    set_up(seen, max_steps=0)
    with seen.service():
        job = seen.ask("for long", "POST", "/api/wake")["job"]
        place = f"/api/job/{job}"

        def at_work():
            said = seen.ask("running", "GET", place, as_name="/api/job/JOB")
            return (said["progress"] or {}).get("left_s") is not None

        until(at_work)
        seen.json("status, waking", "status")
        seen.ask("waking", "GET", "/api/status")
        seen.ask("waking", "POST", "/api/rollback", {})
        [run] = seen.json("runs list, waking", "runs", "list")[:1]
        until(lambda: list((folder_of(seen, run) / "checkpoint").glob("[0-9]*")))
    seen.json("runs list, broken off", "runs", "list")
    seen.text("status, broken off", "status")
    seen.files["a broken run"] = contents(folder_of(seen, run))
    seen.json("runs cancel", "runs", "cancel", run["id"])
    set_up(seen)


def folder_of(seen, run):
    """Return the folder of a run."""
    return seen.home / "runs" / f"{run['id']:06d}"


def review(seen):
    """Judge what was kept of the talk with the service, which is planted here."""
    names = [f"chatcmpl-{number}" for number in range(4)]
    with closing(sqlite3.connect(seen.home / "sleepcycle.db")) as books, books:
        for number, name in enumerate(names):
            asked = [{"role": "user", "content": f"What is {number}?"}]
            books.execute(
                "INSERT INTO captured VALUES "
                "(?, ?, 2, 'live', ?, '[]', ?, ?, 'waiting', NULL, NULL, NULL)",
                (
                    name,
                    f"2026-11-30T09:30:0{number}.000000+00:00",
                    json.dumps(asked),
                    json.dumps({"role": "assistant", "content": "A number."}),
                    json.dumps({"user": "7"}),
                ),
            )
    first, second, third, fourth = names
    seen.both("inbox list", "inbox", "list")
    seen.both("inbox show", "inbox", "show", first)
    seen.json("inbox accept", "inbox", "accept", first)
    seen.text("inbox accept", "inbox", "accept", second)
    seen.json("inbox reject", "inbox", "reject", third)
    seen.text("inbox reject", "inbox", "reject", third)
    seen.json("inbox edit", "inbox", "edit", third, "--answer", "Three.")
    seen.text("inbox edit", "inbox", "edit", fourth, "--answer", "Four.")
    seen.both("inbox show, corrected", "inbox", "show", third)
    seen.json("inbox delete", "inbox", "delete", first)
    seen.text("inbox delete", "inbox", "delete", second)
    seen.refused("inbox show, unknown", "inbox", "show", first)


def be_refused(seen):
    """Ask for what cannot be done."""
    seen.refused("sleep, nothing to do", "sleep")
    seen.refused("versions show, unknown", "versions", "show", "v99")
    seen.refused("rollback, unknown", "rollback", "v99")
    seen.refused("runs show, unknown", "runs", "show", "99")
    seen.refused("batches show, unknown", "batches", "show", "99")
    seen.refused("feed, no file", "feed", seen.root / "none.jsonl")
    seen.refused("backup, a file that is there", "backup", seen.root / "one.tar")
    seen.refused("restore, a home that is there", "restore", seen.root / "one.tar")
    seen.refused("feed, no words", "feed", code=2)
    seen.refused("an unknown command", "nope", code=2)
    seen.refused("an unknown option", "wake", "--nope", code=2)
    seen.refused("status --watch --json", "status", "--watch", "--json", code=2)
    seen.both("doctor, no home", "--home", seen.root / "none", "doctor", code=1)


def look_at_home(seen):
    """Read the files that a life has left."""
    seen.files["home"] = contents(seen.home)
    with closing(sqlite3.connect(seen.home / "sleepcycle.db")) as books:
        seen.files["tables"] = {
            name: [
                f"{column} {kind}"
                for _, column, kind, *_ in books.execute(f"PRAGMA table_info({name})")
            ]
            for (name,) in books.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
        }
        seen.files["indexes and triggers"] = sorted(
            f"{kind} {name}"
            for kind, name in books.execute(
                "SELECT type, name FROM sqlite_master WHERE type != 'table'"
            )
        )
    seen.files["journal"] = journal(seen.home)
    seen.files["journal of a restored home"] = journal(seen.root / "two")


def journal(home):
    """Return who did what in a home, by its books."""
    with closing(sqlite3.connect(home / "sleepcycle.db")) as books:
        return [
            [actor.partition(":")[0], action, json.loads(details)]
            for actor, action, details in books.execute(
                "SELECT actor, action, details FROM journal ORDER BY id"
            )
        ]


def contents(folder):
    """Return every file below a folder; what it holds where that is JSON, else null."""
    return {
        path.relative_to(folder).as_posix() + "/" * path.is_dir(): parsed(path)
        for path in sorted(folder.rglob("*"))
    }


def parsed(path):
    """Return what a JSON or JSONL file holds; null for any other."""
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    return None


HELP = {"COLUMNS": "100"}
COMMANDS = re.compile(r"^│ ([a-z][a-z-]*)  ", re.MULTILINE)


def helps(seen, *words):
    """Return the help of a command, and of every one below it."""
    text = seen.run(*words, "--help", env=HELP)
    found = {" ".join(["sleepcycle", *words]): text}
    _, _, listed = text.partition("─ Commands ─")
    for name in COMMANDS.findall(listed):
        found |= helps(seen, *words, name)
    return found
