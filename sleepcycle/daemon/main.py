"""The main loop of the service: it owns a home until a signal ends it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Protocol

from loguru import logger

from sleepcycle import log
from sleepcycle.daemon.feed_threads import Unchanged
from sleepcycle.daemon.inbox import Inbox
from sleepcycle.daemon.publisher import Publisher
from sleepcycle.daemon.reload import ReloadableHome
from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.daemon.signals import DISK, SignalQueue
from sleepcycle.daemon.systemd_notify import notify, watchdog_s
from sleepcycle.daemon.ticker import Ticker
from sleepcycle.errors import DISK_FAILED, ConfigError, DiskError, HomeError
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.files import disk
from sleepcycle.files.child_process import kill_all
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.access_token import token_of
from sleepcycle.home.address import forget_address, pid_of, write_address
from sleepcycle.home.lock import owned
from sleepcycle.home.opening import open_home
from sleepcycle.records.example import FeedReport
from sleepcycle.settings.config import FeedSettings, ServeSettings

ENDED, FAILED, TAKEN = 0, 1, 75
"""Exit codes: as asked, not as asked, and EX_TEMPFAIL of sysexits.h."""

TICK_S = 15.0
BEAT_S = 5.0  # between two looks of the main thread
HUNG_S = 300.0  # without the end of a tick, a guess: systemd may then restart us
TAKEN_S = 5.0  # for a lock that only passes by, or a service that is just starting
POLL_S = 0.1
STOP_S = 30.0  # from the first signal to the end, whatever is on
SERVER_S = 29.0  # of these, until the server is left alone
RUN_S = 26.0  # and until a run is; its engine kills the worker a little sooner
FEED_S = 5.0  # for the inbox to come to the end of a file
RECOVERY, INBOX = "recovery", "inbox"  # actors in the journal


class ControlServer(Protocol):
    """The HTTP server, as far as its life goes."""

    @property
    def port(self) -> int:
        """Where it listens."""

    @property
    def url(self) -> str:
        """Where it is reached."""

    def stop(self, patience_s: float) -> None:
        """Answer what is being asked, and end."""


class StartServer(Protocol):
    """Starts the HTTP server, which this layer does not know."""

    def __call__(
        self,
        scheduler: Scheduler,
        token: str,
        paths: HomePaths,
        settings: ServeSettings,
    ) -> ControlServer:
        """Return it once it answers."""


def serve(
    root: Path, start_server: StartServer, announce: Callable[[str], None]
) -> int:
    """Run the service of a home until a signal ends it.

    The first SIGTERM or SIGINT lets a wake break off at a checkpoint and stops a
    night; a second kills the worker. SIGHUP reads the settings again.

    Args:
        root: The home.
        start_server: Starts the HTTP server.
        announce: Is called with a line that says that the service is ready.

    Returns:
        The exit code: 0; 1 after a second signal, or where the disk only refused, as
        when it is full; 74 where it failed; 75 where another process owns the home.

    Raises:
        SleepcycleError: The service cannot start.
    """
    home = open_home(root)
    log.set_up(home.paths.log, **home.settings.log.model_dump())
    signals = SignalQueue()
    with signals.installed(), ExitStack() as stack:
        try:
            _own(stack, home.paths)
        except HomeError as error:
            logger.error("{taken}", taken=str(error))
            return TAKEN
        try:
            service = _Service(ReloadableHome(home.paths, home.settings), signals)
            return service.run(start_server, announce)
        except DiskError as error:
            return _refused(error)


class _Service:
    """The service, in a home that it owns."""

    def __init__(self, reloadable: ReloadableHome, signals: SignalQueue) -> None:
        self._reloadable, self._signals = reloadable, signals
        self._paths = reloadable.paths
        self._disk_error: DiskError | None = None
        self._ticked_at = time.monotonic()
        self._asked_at: float | None = None  # to end
        self._deadline = threading.Timer(STOP_S, _exit_at_once, (signal.SIGALRM, None))
        self._deadline.daemon = True
        reloadable.open(RECOVERY).recover()
        self._publisher = Publisher(reloadable, self._disk_failed)
        self._scheduler = Scheduler(
            reloadable,
            on_disk_error=self._disk_failed,
            targets=self._publisher.states,
        )

    def run(self, start_server: StartServer, announce: Callable[[str], None]) -> int:
        """Serve until something ends it, and return the exit code."""
        disk.make(self._paths.inbox)
        token = token_of(self._paths)
        settings = self._reloadable.settings.serve
        server = start_server(self._scheduler, token, self._paths, settings)
        ticker = Ticker(self._tick, TICK_S)
        try:
            write_address(self._paths, server.port, server.url)
            ticker.start()
            self._publisher.start()
            ready = self._ready(server.url)
            logger.info("{ready}", ready=ready)
            announce(ready)
            notify("READY=1", self._status())
            code = self._listen()
            notify("STOPPING=1")
            code = code or self._break_off(ticker)
            logger.info("the service ends with exit code {code}", code=code)
            return code
        finally:
            ticker.stop()
            self._publisher.stop()
            server.stop(self._left_s(SERVER_S))  # what was asked is answered first
            kill_all()  # so late, that no run goes on to write how it ended
            if self._disk_error is None:
                with suppress(DiskError):
                    forget_address(self._paths)
            self._deadline.cancel()

    def _listen(self) -> int:
        """Handle signals, and feed what comes, until the service is to end."""
        while True:
            settings = self._reloadable.settings.feed
            with self._feeding(settings):
                code = self._handle_signals(settings)
            if code is not None:
                return code

    def _handle_signals(self, settings: FeedSettings) -> int | None:
        """Handle signals until the service is to end, or the inbox has new settings."""
        beat_s = min(BEAT_S, watchdog_s() or BEAT_S)
        while settings == self._reloadable.settings.feed:
            for number in self._signals.wait(beat_s):
                if number != signal.SIGHUP:
                    return self._close()
                self._reload()
            notify(*self._systemd_lines())
        return None

    def _close(self) -> int:
        """Begin nothing any more; a second signal ends all at once from here on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _exit_at_once)
        self._asked_at = time.monotonic()
        self._deadline.start()  # whatever hangs, such as a database that is busy
        self._scheduler.close()
        return self._code()

    def _code(self) -> int:
        """Return the exit code, as things stand."""
        if self._disk_error is None:
            return ENDED
        return _disk_failed(self._disk_error)

    def _break_off(self, ticker: Ticker) -> int:
        """Wait until what is on has come to where it can go on later."""
        ticker.stop()
        run = self._scheduler.close()
        if run is not None and wait([run], self._left_s(RUN_S)).not_done:
            logger.warning("the run did not stop in {limit:g} s", limit=RUN_S)
            kill_all()
        return self._code()

    def _left_s(self, limit_s: float) -> float:
        """Return what is left of a time from the first signal on."""
        now = time.monotonic()
        return max(0.0, limit_s + (self._asked_at or now) - now)

    def _tick(self) -> None:
        """Let the scheduler decide what is to begin now."""
        try:
            self._scheduler.consider()
        except DiskError as error:
            logger.error("{error}", error=str(error))
            self._disk_failed(error)
        finally:
            self._ticked_at = time.monotonic()

    def _reload(self) -> None:
        """Read the settings again; an alert tells where they are wrong."""
        try:
            self._scheduler.reload()
        except ConfigError as error:
            logger.error("the settings stay as they are: {error}", error=str(error))

    @contextmanager
    def _feeding(self, settings: FeedSettings) -> Iterator[None]:
        """Feed what is dropped into the inbox for the length of a block."""
        stop = threading.Event()
        inbox = Inbox(self._paths, settings, self._feed)

        def watch() -> None:
            while not stop.is_set():
                try:
                    inbox.watch(stop)
                except DiskError as error:
                    self._disk_failed(error)
                except Exception as error:  # noqa: BLE001 - whatever it was, it may pass
                    logger.opt(exception=error).error("the inbox is looked at again")
                stop.wait(settings.inbox_rescan_s)

        thread = threading.Thread(target=watch, name=INBOX, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            # A file that is cut short is fed again.
            thread.join(min(FEED_S, self._left_s(RUN_S)))

    def _feed(self, file: Path) -> FeedReport:
        """Take in one file of the inbox, and look whether to wake for it."""
        options = FeedOptions(on_rows=Unchanged(file))
        report = self._reloadable.open(INBOX).feed(file, options=options)
        try:
            self._tick()
        except Exception as error:  # noqa: BLE001 - the file is fed all the same
            logger.error("{error}; the next tick looks again", error=str(error))
        return report

    def _disk_failed(self, error: DiskError) -> None:
        """End the service, unless the disk only refused: that may pass."""
        if not disk.is_failed(error):
            return
        self._disk_error = error
        self._signals.put(DISK)

    def _ready(self, url: str) -> str:
        """Return a line on where the service listens, and when the next night is."""
        night = self._scheduler.state().next_night.astimezone()
        return (
            f"ready at {url}, home {self._paths.root}, next night "
            f"{night:%Y-%m-%d %H:%M}"
        )

    def _systemd_lines(self) -> tuple[str, ...]:
        """Return messages to systemd; no sign of life where no tick ends any more."""
        lives = time.monotonic() - self._ticked_at < HUNG_S
        return ("WATCHDOG=1", self._status()) if lives else (self._status(),)

    def _status(self) -> str:
        """Return the line that systemd shows."""
        state = self._scheduler.state()
        words = f"{state.word}, run {state.run}" if state.run else str(state.word)
        line = words if state.banner is None else f"{words}: {state.banner}"
        return f"STATUS={' '.join(line.split())}"


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    """End at once: a second signal, or time is up. Recovery undoes what was on."""
    kill_all()
    os._exit(FAILED)


def _own(stack: ExitStack, paths: HomePaths) -> None:
    """Own the home until the stack ends; a lock that only passes by is waited for.

    Raises:
        HomeError: Another service owns it, or a command holds it for longer.
    """
    deadline = time.monotonic() + TAKEN_S
    while True:
        try:
            return stack.enter_context(owned(paths))
        except HomeError as error:
            pid = pid_of(paths, patience_s=0.0)
            if pid is not None:
                raise HomeError(
                    f"{paths.root} has a service already, process {pid}; to see it: "
                    "sleepcycle status"
                ) from error
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)


def _refused(error: DiskError) -> int:
    """Return why the service ends; what the disk only refused may be tried again."""
    if disk.is_failed(error):
        return _disk_failed(error)
    logger.error("the service ends, to be started again: {error}", error=str(error))
    return FAILED


def _disk_failed(error: DiskError) -> int:
    """Write down that the disk failed, and end without waiting for anything."""
    logger.error("the service ends, since the disk failed: {error}", error=str(error))
    return DISK_FAILED
