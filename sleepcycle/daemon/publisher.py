"""The publisher: sees to it that each target has the version that it is to have."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loguru import logger

from sleepcycle.daemon.reload import ReloadableHome
from sleepcycle.errors import DiskError, PublishError, SleepcycleError
from sleepcycle.home.home import Home
from sleepcycle.publish.driver import Driver, LastBrought, WantedVersion
from sleepcycle.publish.drivers import driver_of
from sleepcycle.records.target_state import TargetCondition, TargetState
from sleepcycle.settings.publishconfig import Target
from sleepcycle.store import journal

ACTOR = "publisher"
JITTER = 0.2  # of a wait, so that many homes do not ask one server at once
STOP_S = 1.0  # for what is on; what hangs is left alone


@dataclass(frozen=True, slots=True)
class Waits:
    """How long is waited, in seconds."""

    poll_s: float = 1.0
    """Between two looks at the aliases, which other processes may move, too."""

    look_s: float = 5.0
    """Between two looks at a target that has its version."""

    first_s: float = 1.0
    """After a failure; twice as long after each more."""


OnDiskError = Callable[[DiskError], None]


class Publisher:
    """Follows the settings and the aliases of a home, with a thread for each target.

    So a target that hangs holds up no other, and no run.

    Args:
        reloadable: The home.
        on_disk_error: Is called where the disk of the home failed.
        waits: How long is waited.
    """

    def __init__(
        self,
        reloadable: ReloadableHome,
        on_disk_error: OnDiskError,
        *,
        waits: Waits | None = None,
    ) -> None:
        self._reloadable, self._on_disk_error = reloadable, on_disk_error
        self._waits = waits or Waits()
        self._home = reloadable.open(ACTOR)
        self._targets: list[Target] = []
        self._followers: list[_Follower] = []
        self._said = ""  # of what went wrong last
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=ACTOR, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what is just being brought is left to end by itself."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        for follower in self._followers:
            follower.stop()

    def states(self) -> tuple[TargetState, ...]:
        """Return how the targets stand, in the order of the settings."""
        return tuple(follower.state for follower in self._followers)

    def _watch(self) -> None:
        """Look at settings and aliases until the end."""
        while not self._over.is_set():
            try:
                self._look()
            except DiskError as error:
                self._on_disk_error(error)
            except Exception as error:  # noqa: BLE001 - whatever it was, it may pass
                self._wonder(error)
            self._over.wait(self._waits.poll_s)

    def _wonder(self, error: Exception) -> None:
        """Write down what went wrong, once until it is something else."""
        if repr(error) != self._said:
            logger.opt(exception=error).error("the targets are looked at again")
        self._said = repr(error)

    def _look(self) -> None:
        """Follow what the settings name now, with the versions of this moment."""
        targets = self._reloadable.settings.publish.target
        if targets != self._targets:
            self._follow_others(targets)
        for follower in self._followers:
            self._let_know(follower)

    def _follow_others(self, targets: Sequence[Target]) -> None:
        """Follow these: those that are as they were go on, changed ones begin anew."""
        stay = [one for one in self._followers if one.target in targets]
        ended = {one.target.name: one for one in self._followers if one not in stay}
        for follower in ended.values():
            follower.stop()
        known = {one.target.name: one for one in stay}
        new = [self._follower(one) for one in targets if one.name not in known]
        known |= {one.target.name: one for one in new}
        self._followers = [known[one.name] for one in targets]
        self._targets = list(targets)
        for follower in new:
            follower.start(after=ended.get(follower.target.name))

    def _follower(self, target: Target) -> "_Follower":
        """Return a follower of one target, which waits for what it is to have."""
        ledger = _Ledger(self._home, target)
        with self._home.store.read() as session:
            home_id = journal.origin(session)
        driver = driver_of(target, self._home.paths, home_id, ledger.last)
        return _Follower(ledger, driver, self._on_disk_error, self._waits)

    def _let_know(self, follower: "_Follower") -> None:
        """Let a follower know what its target is to have, or why that is nothing."""
        registry = self._home.versions
        try:
            version = registry.get(follower.target.alias)
            folder = registry.folder(version)
        except SleepcycleError as error:
            if isinstance(error, DiskError):
                raise
            follower.want(None, str(error))
        else:
            follower.want(WantedVersion(version.name, folder, registry.base.id))


class _Ledger:
    """What the journal has of one target."""

    def __init__(self, home: Home, target: Target) -> None:
        self.target = target
        self._store = home.store
        with self._store.read() as session:
            self._last = LastBrought(*journal.last_published(session, target.name))

    def last(self) -> LastBrought:
        """Return what the target was brought to last."""
        return self._last

    def note(self, version: str) -> None:
        """Write down that it was brought to a version, where it was another before."""
        if self._last.version == version:
            return
        with self._store.write() as session:
            journal.append(
                session,
                ACTOR,
                journal.PUBLISH,
                target=self.target.name,
                kind=self.target.kind,
                version=version,
            )
        with self._store.read() as session:
            found = journal.last_published(session, self.target.name)
        self._last = LastBrought(*found)
        logger.info(
            "{target} has {version} now", target=self.target.name, version=version
        )


class _Follower:
    """Brings one target to what it is to have, in a thread of its own."""

    def __init__(
        self,
        ledger: _Ledger,
        driver: Driver,
        on_disk_error: OnDiskError,
        waits: Waits,
    ) -> None:
        self.target = ledger.target
        self._ledger, self._driver = ledger, driver
        self._on_disk_error, self._waits = on_disk_error, waits
        self._wanted: WantedVersion | None = None
        self._has: str | None = None  # as of the look that is on
        self._failures = 0
        self._after: _Follower | None = None
        self._woken, self._over = threading.Event(), threading.Event()
        kind, name = self.target.kind, self.target.name
        self.state = TargetState(
            name, kind, None, None, TargetCondition.IDLE, None, None
        )
        self._thread = threading.Thread(
            target=self._follow, name=f"{ACTOR} {name}", daemon=True
        )

    def start(self, after: "_Follower | None") -> None:
        """Begin to look, once there is something to look for.

        Args:
            after: Of the same target; what it has on comes to its end first.
        """
        self._after = after
        self._thread.start()

    def want(self, wanted: WantedVersion | None, trouble: str | None = None) -> None:
        """Let the target have a version, or be left as it is; at once where it is new.

        Args:
            wanted: The version.
            trouble: Why there is none.
        """
        if wanted is None:
            self.state = replace(
                self.state, wanted=None, state=TargetCondition.IDLE, error=trouble
            )
        if wanted != self._wanted:
            self._wanted, self._failures = wanted, 0
            self._woken.set()

    def stop(self) -> None:
        """Bring nothing any more; what is on ends by itself."""
        self._over.set()
        self._woken.set()

    def _follow(self) -> None:
        """Look and bring until the end."""
        if self._after is not None:
            self._after._thread.join()
            self._after = None
        wait_s: float | None = None  # until it is told what for
        while True:
            self._woken.wait(wait_s)
            self._woken.clear()
            if self._over.is_set():
                return
            wanted = self._wanted
            wait_s = None if wanted is None else self._step(wanted)

    def _step(self, wanted: WantedVersion) -> float:
        """Bring the target to a version where it has another.

        Returns:
            How long to wait before the next look, in seconds.
        """
        try:
            self._bring(wanted)
        except SleepcycleError as error:
            if isinstance(error, DiskError):
                self._on_disk_error(error)
            return self._failed(wanted, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it was, it may pass
            logger.opt(exception=error).error("a target is looked at again")
            return self._failed(wanted, repr(error))
        self._failures = 0
        self._show(wanted, None)
        return self._waits.look_s

    def _bring(self, wanted: WantedVersion) -> None:
        """Look what the target has, bring it what it is to have, and look again."""
        self._has = None  # as long as it has not said so
        self._has = self._driver.has(wanted)
        if self._has != wanted.name:
            self._show(wanted, self.state.error)
            self._driver.bring(wanted)
            self._has = self._driver.has(wanted)
        if self._has != wanted.name:
            raise PublishError(
                f"expected the target to have {wanted.name} once it was brought, got "
                f"{self._has or 'none'}"
            )
        self._ledger.note(wanted.name)
        self._driver.tidy(wanted)

    def _failed(self, wanted: WantedVersion, error: str) -> float:
        """Write down what went wrong, and return how long to wait, in seconds."""
        if self._failures == 0:
            logger.warning("{target}: {error}", target=self.target.name, error=error)
        self._failures += 1
        self._show(wanted, error)
        doubled_s = self._waits.first_s * float(2 ** min(self._failures - 1, 16))
        wait_s = min(doubled_s, self._driver.longest_wait_s)
        return wait_s * random.uniform(1 - JITTER, 1 + JITTER)

    def _show(self, wanted: WantedVersion, error: str | None) -> None:
        """Show how the target stands."""
        in_sync = self._has == wanted.name
        self.state = replace(
            self.state,
            wanted=wanted.name,
            has=self._has,
            state=TargetCondition.IN_SYNC if in_sync else TargetCondition.BEHIND,
            error=error,
            checked_at=datetime.now(UTC),
        )
