import shutil
import subprocess
import sys

import pytest

from sleepcycle.daemon.systemd_unit import NAME, SystemctlResult, SystemdUnit, quoted
from sleepcycle.errors import HomeError, ServiceError
from sleepcycle.files.paths import HomePaths

VERIFIER = shutil.which("systemd-analyze")
WORST = "a b%h $HOME'\"\\é"  # all that systemd reads otherwise, in one name


class Systemd:
    """Stands for systemctl, and remembers what it was asked."""

    def __init__(self, *fails, code=1, text="it failed"):
        self.asked = []
        self.fails = fails
        self.reply = SystemctlResult(code, text)

    def __call__(self, *words):
        self.asked.append(words)
        return (
            self.reply
            if set(words) & set(self.fails)
            else SystemctlResult(0, "enabled")
        )


@pytest.fixture
def paths(tmp_path):
    """A home whose name is as bad as can be."""
    root = tmp_path / WORST
    root.mkdir()
    (root / "sleepcycle.db").touch()
    return HomePaths(root)


@pytest.fixture
def make(paths, tmp_path):
    """Makes units that are kept below a temporary directory."""

    def units(**fields):
        environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
        return SystemdUnit(paths, **{"environment": environment, **fields})

    return units


def settings(text):
    """Return the keys and values of a unit."""
    lines = [line for line in text.splitlines() if "=" in line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


class TestText:
    def test_it_says_how_the_service_is_kept_up(self, make):
        unit = settings(make().text())

        assert unit["Type"] == "notify"
        assert unit["NotifyAccess"] == "main"
        assert unit["WatchdogSec"] == "60"
        assert unit["Restart"] == "on-failure"
        assert unit["RestartSec"] == "30"
        assert unit["StartLimitIntervalSec"] == "0"
        assert unit["TimeoutStartSec"] == "10min"
        assert unit["TimeoutStopSec"] == "40"
        assert unit["OOMPolicy"] == "continue"
        assert unit["KillMode"] == "mixed"
        assert unit["ExecReload"] == "/bin/kill -HUP $MAINPID"
        assert unit["NoNewPrivileges"] == "yes"
        assert unit["WantedBy"] == "default.target"
        assert "RequiresMountsFor" not in unit

    def test_a_failed_disk_alone_is_final(self, make):
        """
        A home in use, as by a wake by hand while the service restarts, passes.
        """
        assert settings(make().text())["RestartPreventExitStatus"] == "74"

    def test_the_system_unit_can_write_its_home_alone(self, make, paths):
        unit = settings(make(system=True).text())

        assert unit["ProtectSystem"] == "strict"
        assert unit["ProtectHome"] == "read-only"
        assert unit["ReadWritePaths"] == quoted(str(paths.root))
        assert unit["RequiresMountsFor"] == quoted(str(paths.root))
        assert unit["User"] == paths.root.owner()
        assert unit["MemoryDenyWriteExecute"] == "no"
        assert "DevicePolicy" not in unit
        assert unit["WantedBy"] == "multi-user.target"

    def test_a_home_where_systemd_keeps_state_is_made_by_it(self, tmp_path):
        """
        The owner is not asked for, so that the directory need not be there.
        """
        units = SystemdUnit(HomePaths(tmp_path), system=True, state=tmp_path.parent)

        unit = settings(units.text())

        assert unit["StateDirectory"] == tmp_path.name
        assert unit["StateDirectoryMode"] == "0700"
        assert "ReadWritePaths" not in unit

    @pytest.mark.skipif(VERIFIER is None, reason="systemd is not on this machine")
    @pytest.mark.parametrize("system", [False, True])
    def test_systemd_finds_nothing_wrong(self, make, tmp_path, system):
        units = make(system=system, root=tmp_path / "root")
        units.install(now=True)
        scope = "--system" if system else "--user"

        done = subprocess.run(
            [
                VERIFIER,
                scope,
                "--man=no",
                "--recursive-errors=no",
                "verify",
                units.path,
            ],
            env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )

        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.skipif(VERIFIER is None, reason="systemd is not on this machine")
    def test_systemd_finds_a_wrong_line(self, make, tmp_path):
        """
        The test above can fail.
        """
        units = make(system=True, root=tmp_path / "root")
        units.install(now=True)
        units.path.write_text(units.text().replace("Type=notify", "Type=notified"))

        done = subprocess.run(
            [VERIFIER, "--man=no", "--recursive-errors=no", "verify", units.path],
            capture_output=True,
            text=True,
        )

        assert "notified" in done.stderr


class TestQuoted:
    @pytest.mark.parametrize(
        ("word", "said"),
        [
            ("/a/b", "/a/b"),
            ("/a b", '"/a b"'),
            ("50%", "50%%"),
            ('a"b', r'"a\"b"'),
            ("a\\b", r'"a\\b"'),
            ("a\nb", r'"a\x0ab"'),
            ("é", "é"),
        ],
    )
    def test_a_word_stays_one_word(self, word, said):
        assert quoted(word) == said


class TestInstall:
    def test_the_user_unit_goes_where_xdg_says(self, make, tmp_path):
        done = make(systemctl=Systemd()).install(now=True)

        assert done.unit == tmp_path / "config" / "systemd" / "user" / NAME
        assert f"ExecStart=:{quoted(sys.executable)} -P -m sleepcycle" in (
            done.unit.read_text()
        )

    def test_without_xdg_it_goes_below_the_users_home(self, make):
        units = make(environment={"HOME": "/home/me"})

        assert str(units.path) == f"/home/me/.config/systemd/user/{NAME}"

    def test_systemd_is_told(self, make):
        systemd = Systemd()

        done = make(systemctl=systemd).install(now=True)

        assert systemd.asked == [
            ("--user", "daemon-reload"),
            ("--user", "enable", "--now", NAME),
        ]
        assert (done.changed, done.trouble, done.left) == (True, "", ())

    def test_it_need_not_start_now(self, make):
        systemd = Systemd()

        make(systemctl=systemd).install(now=False)

        assert systemd.asked[-1] == ("--user", "enable", NAME)

    def test_a_second_time_changes_nothing(self, make):
        make(systemctl=Systemd()).install(now=True)

        systemd = Systemd()
        assert not make(systemctl=systemd).install(now=True).changed
        assert ("--user", "restart", NAME) not in systemd.asked

    def test_a_unit_that_changed_is_started_again(self, make):
        old = make(systemctl=Systemd()).install(now=True).unit
        old.write_text(old.read_text().replace("RestartSec=30", "RestartSec=5"))
        systemd = Systemd()

        assert make(systemctl=systemd).install(now=True).changed
        assert systemd.asked[-1] == ("--user", "restart", NAME)
        old.write_text("")
        assert make(systemctl=systemd).install(now=False).changed
        assert systemd.asked[-1] == ("--user", "enable", NAME)

    def test_the_unit_of_another_home_is_left_alone(self, make, tmp_path):
        unit = make(systemctl=Systemd()).install(now=True).unit
        before = unit.read_text()
        other = HomePaths(tmp_path / "other")
        other.root.mkdir()
        other.database.touch()
        units = SystemdUnit(
            other, environment={"XDG_CONFIG_HOME": str(tmp_path / "config")}
        )

        with pytest.raises(ServiceError, match=r"got the unit of .*service uninstall"):
            units.install(now=True)
        assert unit.read_text() == before

    def test_without_a_running_systemd_it_says_what_is_left(self, make):
        systemd = Systemd("daemon-reload", text="no bus")

        done = make(systemctl=systemd).install(now=True)

        assert done.unit.exists()
        assert done.trouble == "no bus"
        assert done.left == (
            "systemctl --user daemon-reload",
            f"systemctl --user enable --now {NAME}",
        )

    def test_below_a_root_systemd_is_left_alone(self, make, tmp_path):
        systemd = Systemd()

        done = make(system=True, root=tmp_path, systemctl=systemd).install(now=True)

        assert done.unit == tmp_path / "etc" / "systemd" / "system" / NAME
        assert systemd.asked == []

    def test_other_systems_are_told_to_use_the_foreground(self, tmp_path):
        units = SystemdUnit(HomePaths(tmp_path / "home"), platform="darwin")

        with pytest.raises(ServiceError, match=r"foreground: sleepcycle --home .* run"):
            units.install(now=True)

    def test_a_home_is_needed(self, tmp_path):
        with pytest.raises(HomeError, match="no home at"):
            SystemdUnit(HomePaths(tmp_path)).install(now=True)

    def test_a_place_that_cannot_be_written_is_named(self, make, tmp_path):
        (tmp_path / "config").write_text("in the way")

        with pytest.raises(ServiceError, match=f"expected to write .*{NAME}"):
            make(systemctl=Systemd()).install(now=True)


class TestUninstall:
    def test_it_stops_the_service_and_removes_the_unit(self, make, paths):
        systemd = Systemd()
        unit = make(systemctl=Systemd()).install(now=True).unit

        done = make(systemctl=systemd).uninstall()

        assert not unit.exists()
        assert paths.database.exists()
        assert systemd.asked == [
            ("--user", "disable", "--now", NAME),
            ("--user", "daemon-reload"),
        ]
        assert (done.changed, done.left) == (True, ())

    def test_without_a_running_systemd_it_says_what_is_left(self, make):
        unit = make(systemctl=Systemd()).install(now=True).unit

        done = make(systemctl=Systemd("disable", "daemon-reload")).uninstall()

        assert not unit.exists()
        assert done.left == (
            f"systemctl --user stop {NAME}",
            "systemctl --user daemon-reload",
        )

    def test_no_unit_is_no_fault(self, make):
        systemd = Systemd()

        assert not make(systemctl=systemd).uninstall().changed
        assert systemd.asked == []


class TestStatus:
    def test_it_says_what_systemd_says(self, make):
        units = make(systemctl=Systemd())
        assert not units.status().installed
        units.install(now=True)

        status = units.status()

        assert status.installed
        assert (status.enabled, status.active) == ("enabled", "enabled")

    def test_a_word_may_come_with_a_failure(self, make):
        """
        `is-active` exits with 3 for a unit that is not.
        """
        systemd = Systemd("is-active", code=3, text="inactive")

        assert make(systemctl=systemd).status().active == "inactive"

    @pytest.mark.parametrize("text", ["Failed to connect to bus", ""])
    def test_a_systemd_that_cannot_be_reached_has_no_word(self, make, text):
        systemd = Systemd("is-active", "is-enabled", text=text)

        status = make(systemctl=systemd).status()

        assert (status.enabled, status.active) == (None, None)
