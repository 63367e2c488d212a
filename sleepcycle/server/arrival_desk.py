"""Bodies on their way in: a few at once, and none for which there is no room."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from anyio import CapacityLimiter, fail_after
from starlette.concurrency import run_in_threadpool

from sleepcycle.errors import BusyError
from sleepcycle.files.arriving import ArrivingFile, arriving
from sleepcycle.home.disk_space import expect_room_for
from sleepcycle.home.uploads import UploadRegistry
from sleepcycle.records.upload import Upload
from sleepcycle.settings.config import EngineSettings

AT_ONCE = 8  # a body holds its turn until it is fed or kept; a guess
MOST_WAITING = 64  # so that connections are left for all else; a guess
WAIT_S = 30.0  # for a turn; a guess
STEP_BYTES = 8 << 20  # that a body of unknown size is promised at a time


@dataclass(eq=False)
class Arrival:
    """One body on its way: what it may bring, and what came of it."""

    file: ArrivingFile
    most: int
    """Bytes that can come of it."""

    is_kept: bool
    """Whether it is to be kept, and so counts among the files that are."""

    expect_room: "Callable[[Arrival, int], None]"
    """Is called before some more bytes are taken, and refuses them."""

    promised: int = 0
    """Bytes in all, for which room is held."""

    def write(self, data: bytes) -> None:
        """Take some more.

        Raises:
            QuotaError: There are too many bytes of files then.
            DiskError: The disk could not keep it.
        """
        self.expect_room(self, len(data))
        self.file.write(data)


@dataclass
class ArrivalDesk:
    """Lets bodies in: what each is promised, no other can take."""

    uploads: UploadRegistry
    engine: Callable[[], EngineSettings]
    """What must stay free of the disk, as it is set now."""

    wait_s: float = WAIT_S
    turns: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))
    _on: set[Arrival] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @asynccontextmanager
    async def arriving(
        self, bounds: tuple[int, int], *, is_kept: bool = False
    ) -> AsyncIterator[Arrival]:
        """Yield what takes a body in; what was not kept is gone after the block.

        Args:
            bounds: The least and the most bytes that can come.
            is_kept: Whether it is to be kept.

        Raises:
            BusyError: Too many are on their way.
            QuotaError: There are too many bytes of files with it.
            DiskError: The disk has no room for it.
        """
        least, most = bounds
        async with self._turn():
            file = await run_in_threadpool(arriving, self.uploads.paths.uploads)
            one = Arrival(file, most, is_kept, self._expect_more)
            try:
                await run_in_threadpool(self._promise, one, least, least)
                yield one
            finally:
                self._on.discard(one)
                await run_in_threadpool(file.close)

    def keep(self, one: Arrival, name: str, purpose: str) -> Upload:
        """Keep what came in; two at once cannot go beyond the quota together.

        Raises:
            QuotaError: There are too many bytes of files then.
            DiskError: The disk could not keep it.
        """
        one.file.flush()  # before others have to wait
        with self._lock:
            self._on.discard(one)  # from here on it counts as a file
            return self.uploads.keep(one.file, name, purpose)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Have a turn for a block, once one is free."""
        busy = BusyError(
            f"expected at most {AT_ONCE} bodies to come in at once, and others to wait "
            f"for up to {self.wait_s:g} s, got more; ask again later"
        )
        if self.turns.statistics().tasks_waiting >= MOST_WAITING:
            raise busy
        try:
            with fail_after(self.wait_s):
                await self.turns.acquire()
        except TimeoutError:
            raise busy from None
        try:
            yield
        finally:
            self.turns.release()

    def _expect_more(self, one: Arrival, size: int) -> None:
        """Refuse bytes for which no room is held and none is left."""
        least = one.file.size + size
        if least > one.promised:
            self._promise(one, least, min(one.most, least + STEP_BYTES))

    def _promise(self, one: Arrival, least: int, wanted: int) -> None:
        """Hold room for a body: for all that is wanted, or for what is left.

        Raises:
            QuotaError: Not even the least is left of the quota.
            DiskError: Nor of the disk.
        """
        with self._lock:
            others = self._on - {one}
            free = expect_room_for(
                self.uploads.paths,
                self.engine(),
                least - one.file.size,
                beside=sum(other.promised - other.file.size for other in others),
            )
            left = free + one.file.size
            if one.is_kept:
                coming = sum(other.promised for other in others if other.is_kept)
                left = min(left, self.uploads.expect_room(least, coming))
            one.promised = max(least, min(wanted, left))
            self._on.add(one)
