import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.cli.conftest import PATIENCE_S, end

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRET = "zq7planted"


def image():
    """Return the instructions of the image's last stage, and what they are given."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    last = max(n for n, line in enumerate(lines) if line.startswith("FROM "))
    return dict(line.split(None, 1) for line in lines[last:])


def health_check(home):
    """Return the code of the image's health check, for another home."""
    python, option, code = json.loads(image()["HEALTHCHECK"].partition("CMD ")[2])
    assert (python, option) == ("python", "-c")
    return code.replace("/var/lib/sleepcycle", str(home))


def wait_for(path):
    """Wait until a file is there."""
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def safe(cli, tmp_path):
    """A home on a machine whose systemd does not run, and whose user has no files."""
    tools = tmp_path / "tools"
    tools.mkdir()
    systemctl = tools / "systemctl"
    systemctl.write_text("#!/bin/sh\necho System has not been booted >&2\nexit 1\n")
    systemctl.chmod(0o755)
    cli.settings |= {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "COLUMNS": "300",
    }
    return cli


class TestDoctor:
    def test_a_new_home_is_healthy(self, cli):
        found = cli.json("doctor")

        assert found["healthy"]
        levels = {one["check"]: one["level"] for one in found["checks"]}
        assert levels["database"] == levels["base"] == levels["lock"] == "ok"
        assert "fail" not in levels.values()

    def test_a_fault_has_its_line_its_fix_and_exit_code_1(self, cli):
        cli.home.chmod(0o777)

        said = cli.run("doctor", exit_code=1).stdout.splitlines()

        [place] = [n for n, line in enumerate(said) if line.startswith("FAIL")]
        assert said[place].startswith("FAIL  home: other users can write to")
        assert said[place + 1].strip() == f"chmod 700 {cli.home}"

    @pytest.mark.parametrize("broken", ["database", "settings", "all"])
    def test_a_broken_home_fails_without_a_traceback(self, cli, broken):
        if broken in {"database", "all"}:
            (cli.home / "sleepcycle.db").write_bytes(b"damaged" * 5000)
        if broken in {"settings", "all"}:
            (cli.home / "config.toml").write_text("[[[")

        done = cli.run("doctor", exit_code=1)

        assert "FAIL" in done.stdout
        assert done.stderr == ""

    def test_its_fix_for_no_home_makes_one(self, cli, tmp_path):
        cli.home = tmp_path / "other"
        found = cli.json("doctor", exit_code=1)

        [fix] = [one["fix"] for one in found["checks"] if one["level"] == "fail"]
        words = fix.removeprefix("sleepcycle ").split()
        cli.run(*words)

        assert cli.json("doctor")["healthy"]


class TestBugreport:
    def test_no_example_is_in_it(self, cli, tmp_path):
        lesson = tmp_path / f"{SECRET}.jsonl"
        lesson.write_text(f'{{"text": "{SECRET}"}}\n')
        cli.run("feed", lesson)
        (cli.home / "token").write_text(SECRET)

        said = cli.run("bugreport", tmp_path / "report.tar.gz").stdout

        assert "look into it before you send it" in said
        with tarfile.open(tmp_path / "report.tar.gz") as archive:
            texts = [archive.extractfile(entry).read().decode() for entry in archive]
        assert len(texts) == 8
        assert SECRET not in "".join(texts)
        assert "fed batch 1: 1 of 1 rows accepted" in "".join(texts)

    def test_a_file_that_is_there_is_left_alone(self, cli, tmp_path):
        file = tmp_path / "report.tar.gz"
        file.write_text("mine")

        assert "name another file" in cli.error("bugreport", file)


class TestService:
    def test_without_systemd_the_unit_is_written_and_the_rest_is_said(self, safe):
        said = safe.run("service", "install").stdout

        unit = safe.settings["XDG_CONFIG_HOME"] + "/systemd/user/sleepcycle.service"
        assert f"wrote {unit}" in said
        assert "systemd did not take note: System has not been booted" in said
        assert "systemctl --user enable --now sleepcycle.service" in said
        assert "loginctl enable-linger" in said
        command = f"ExecStart=:{sys.executable} -P -m sleepcycle --home {safe.home} run"
        assert command in Path(unit).read_text()

    def test_status_and_uninstall_know_the_unit(self, safe):
        assert not safe.json("service", "status")["installed"]
        safe.run("service", "install", "--no-now")
        status = safe.json("service", "status")

        said = safe.run("service", "uninstall").stdout

        assert status["installed"]
        assert (status["pid"], status["answers"]) == (None, False)
        assert f"removed {status['unit']}" in said
        assert not Path(status["unit"]).exists()
        assert safe.home.exists()

    def test_a_root_stands_for_the_machine(self, safe, tmp_path):
        root = tmp_path / "root"

        said = safe.run("service", "install", "--system", "--root", root).stdout

        unit = root / "etc/systemd/system/sleepcycle.service"
        assert said == f"wrote {unit}\n"
        assert "ProtectSystem=strict" in unit.read_text()


class TestLive:
    def test_a_service_that_answers_is_well_and_healthy(self, safe):
        process = safe.start("run")
        try:
            wait_for(safe.home / "daemon.json")

            status = safe.json("service", "status")
            found = safe.json("doctor")
            health = subprocess.run([sys.executable, "-c", health_check(safe.home)])
        finally:
            end(process, signal.SIGTERM)

        assert (status["pid"], status["answers"]) == (process.pid, True)
        [lock] = [one for one in found["checks"] if one["check"] == "lock"]
        assert lock["message"].endswith(f"process {process.pid}, and answers")
        assert health.returncode == 0


class TestImage:
    def test_it_runs_as_a_user_without_rights(self):
        user = image()["USER"].partition(":")[0]

        assert user.isdigit()
        assert int(user) > 0

    def test_signals_reach_the_service(self):
        """
        The exec form has no shell between, which would keep SIGTERM to itself.
        """
        steps = image()
        words = json.loads(steps["ENTRYPOINT"]) + json.loads(steps["CMD"])

        assert words == ["sleepcycle", "--home", "/var/lib/sleepcycle", "run"]
        assert steps["VOLUME"] == "/var/lib/sleepcycle"

    def test_its_health_check_fails_without_a_service(self, cli):
        """
        The check itself is run, on a home where nothing answers.
        """
        done = subprocess.run([sys.executable, "-c", health_check(cli.home)])

        assert done.returncode == 1

    def test_only_what_it_needs_is_sent_to_the_builder(self):
        """
        All that the wheel is built from, and nothing else.
        """
        top = DEPLOY.parent
        ignored = (top / ".dockerignore").read_text().splitlines()
        sent = {line[1:] for line in ignored if line.startswith("!")}
        project = (top / "pyproject.toml").read_text()
        needed = set(re.findall(r'^"([\w./]+)" = "sleepcycle/', project, re.MULTILINE))

        assert "*" in ignored
        assert needed | {"sleepcycle", "pyproject.toml", "README.md", "LICENSE"} == sent
