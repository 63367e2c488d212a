"""The systemd unit that keeps the service up: written, removed, looked at."""

import os
import pwd
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sleepcycle.errors import ServiceError
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.restore_advice import no_home

NAME = "sleepcycle.service"
HOME = re.compile(r"^ExecStart=.* --home (.+) run$", re.MULTILINE)
STATE = Path("/var/lib")
LINGER = Path("/var/lib/systemd/linger")
PATIENCE_S = 120.0  # until the service says that it is ready, or fails to

HEAD = """\
# Written by `sleepcycle service install`; to change a line: systemctl edit sleepcycle
[Unit]
Description=sleepcycle, a language model that keeps learning
{mounts}# It is started again for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=60
Restart=on-failure
RestartSec=30
# 74: the disk failed, which does not mend itself. 75, a home in use, does.
RestartPreventExitStatus=74
# Recovery reads what a crash left, however large.
TimeoutStartSec=10min
# A worker that takes too much memory is lost; the service settles that.
OOMPolicy=continue
TimeoutStopSec=40
# The service ends its worker itself; what is left after the timeout is killed.
KillMode=mixed
UMask=0077
# A file in the working directory must not stand in for a module.
Environment=PYTHONSAFEPATH=1
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
# torch compiles at run time, so memory must be writable and executable.
MemoryDenyWriteExecute=no
"""

SYSTEM = """\
User={user}
{state}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
# No DevicePolicy or PrivateDevices: a GPU is a device.
"""

TAIL = """
[Install]
WantedBy={target}
"""


@dataclass(frozen=True, slots=True)
class SystemctlResult:
    """How systemctl ended."""

    code: int
    text: str


Systemctl = Callable[..., SystemctlResult]
"""Runs systemctl with some words."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What an install or an uninstall did."""

    unit: Path
    changed: bool
    """Whether the file is written, or removed, now."""

    trouble: str
    """Why systemd did not take note; empty where it did."""

    left: tuple[str, ...]
    """Commands that remain to be run by hand."""


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """Where the unit stands."""

    unit: Path
    installed: bool
    enabled: str | None
    """systemd's word, such as `enabled`; None where it cannot be reached."""

    active: str | None
    """systemd's word, such as `active`; None where it cannot be reached."""


def call(*words: str) -> SystemctlResult:
    """Run systemctl; a machine without it answers with code 127."""
    try:
        done = subprocess.run(
            ["systemctl", *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except FileNotFoundError:
        return SystemctlResult(127, "systemctl is not on this machine")
    except subprocess.TimeoutExpired:
        return SystemctlResult(124, f"systemctl gave no answer for {PATIENCE_S:g} s")
    return SystemctlResult(done.returncode, (done.stdout + done.stderr).strip())


@dataclass(frozen=True)
class SystemdUnit:
    """The unit of one home, for its user or for the whole machine."""

    paths: HomePaths
    system: bool = False
    root: Path | None = None
    """Directory that stands for `/`; systemd is then left alone."""

    state: Path = STATE
    """Where systemd makes a `StateDirectory`."""

    systemctl: Systemctl = call
    platform: str = sys.platform
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def path(self) -> Path:
        """Where the unit's file belongs."""
        if self.system:
            folder = Path("/etc/systemd/system")
        else:
            home = self.environment.get("HOME") or str(Path.home())
            config = self.environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
            folder = Path(config) / "systemd" / "user"
        if self.root is not None:
            folder = self.root / folder.relative_to("/")
        return folder / NAME

    @property
    def foreground(self) -> str:
        """The command that runs the service without systemd."""
        return self.paths.command("run")

    def text(self) -> str:
        """Return the unit's file."""
        python = [sys.executable, "-P", "-m", "sleepcycle"]
        words = [*python, "--home", str(self.paths.root)]
        # A colon keeps systemd from reading a $ in a path as a variable.
        command = ":" + " ".join(map(quoted, [*words, "run"]))
        if not self.system:
            head = HEAD.format(command=command, mounts="")
            return head + TAIL.format(target="default.target")
        mounts = f"RequiresMountsFor={quoted(str(self.paths.root))}\n"
        head = HEAD.format(command=command, mounts=mounts)
        user = _name(self.paths.root.stat().st_uid)
        system = SYSTEM.format(user=user, state=self._state())
        return head + system + TAIL.format(target="multi-user.target")

    def install(self, *, now: bool) -> Installed:
        """Write the unit and let systemd start it with the machine or the login.

        Args:
            now: Start the service too, or start it again where its unit has changed.

        Raises:
            ServiceError: There is no systemd on this system, the unit is of another
                home, or the file cannot be written.
            HomeError: There is no home.
        """
        self._expect_systemd()
        if not self.paths.database.exists():
            raise no_home(self.paths)
        text, before = self.text(), self._written()
        self._expect_ours(before)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise self._refused("write", error) from error
        start = [("enable", "--now", NAME) if now else ("enable", NAME)]
        if now and before not in {None, text}:
            start.append(("restart", NAME))
        return self._tell(before != text, ("daemon-reload",), *start)

    def uninstall(self) -> Installed:
        """Stop the service and remove its unit; the home stays as it is.

        Raises:
            ServiceError: There is no systemd on this system, or the file cannot be
                removed.
        """
        self._expect_systemd()
        if not self.path.exists():
            return Installed(self.path, changed=False, trouble="", left=())
        stopped = self._tell(True, ("disable", "--now", NAME))
        try:
            self.path.unlink()
        except OSError as error:
            raise self._refused("remove", error) from error
        reloaded = self._tell(True, ("daemon-reload",))
        if not stopped.trouble:
            return reloaded
        stop = self._line("stop", NAME)
        return Installed(self.path, True, stopped.trouble, (stop, *reloaded.left))

    def status(self) -> UnitStatus:
        """Look at the unit; nothing is changed."""
        enabled = active = None
        if self.platform == "linux" and self.root is None:
            enabled, active = self._ask("is-enabled"), self._ask("is-active")
        return UnitStatus(self.path, self.path.exists(), enabled, active)

    def lingers(self) -> bool:
        """Return whether the unit runs without a login."""
        return self.system or (LINGER / _name(os.getuid())).exists()

    def _state(self) -> str:
        """Return what lets the service write its home, and nothing else."""
        home = self.paths.root
        if home.parent == self.state:
            return f"StateDirectory={quoted(home.name)}\nStateDirectoryMode=0700"
        return f"ReadWritePaths={quoted(str(home))}"

    def _written(self) -> str | None:
        """Return the unit's file as it is; None where there is none."""
        if not self.path.exists():
            return None
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._refused("read", error) from error

    def _expect_ours(self, text: str | None) -> None:
        """Refuse to take the unit away from another home."""
        found = HOME.search(text or "")
        if found and found[1] != quoted(str(self.paths.root)):
            scope = " --system" if self.system else ""
            raise ServiceError(
                f"expected {self.path} to keep {self.paths.root} up, got the unit of "
                f"{found[1]}; remove that first: sleepcycle service uninstall{scope}"
            )

    def _expect_systemd(self) -> None:
        """Refuse systems that do not have it."""
        if self.platform != "linux":
            raise ServiceError(
                f"expected Linux with systemd, got {self.platform}, which is not "
                f"supported yet; run the service in the foreground: {self.foreground}"
            )

    def _tell(self, changed: bool, *commands: tuple[str, ...]) -> Installed:
        """Run commands of systemctl; from the first that fails on, they are left."""
        if self.root is not None:
            return Installed(self.path, changed, trouble="", left=())
        for done, words in enumerate(commands):
            reply = self.systemctl(*self._scope(), *words)
            if reply.code != 0:
                left = tuple(self._line(*command) for command in commands[done:])
                return Installed(self.path, changed, reply.text, left)
        return Installed(self.path, changed, trouble="", left=())

    def _ask(self, verb: str) -> str | None:
        """Return systemd's word for the unit, or None where it does not answer."""
        reply = self.systemctl(*self._scope(), verb, NAME)
        word = reply.text.split("\n", 1)[0]
        return word if word and " " not in word else None

    def _line(self, *words: str) -> str:
        """Return a command of systemctl as a person types it."""
        return " ".join(["systemctl", *self._scope(), *words])

    def _scope(self) -> tuple[str, ...]:
        """Return the word that names the user's own systemd."""
        return () if self.system else ("--user",)

    def _refused(self, verb: str, error: Exception) -> ServiceError:
        """Return the error for a unit's file that cannot be touched."""
        hint = "; run it with sudo" if isinstance(error, PermissionError) else ""
        return ServiceError(f"expected to {verb} {self.path}, got: {error}{hint}")


def quoted(word: str) -> str:
    """Quote a word as systemd reads it: its escapes, and no specifiers."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)
    return f'"{plain}"' if set(plain) & set(" \t\"';\\") else plain


def _name(number: int) -> str:
    """Return the name of a user, or the number of one without a name."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
