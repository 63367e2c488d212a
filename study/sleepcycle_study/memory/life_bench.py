"""Where lives are lived and kept, in one process or in several side by side."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch

from sleepcycle.errors import DivergedError
from sleepcycle.learning.bank import Bank
from sleepcycle.model.base import Base, load_base, pick_device
from sleepcycle.settings.config import BankSettings, ModelSettings
from sleepcycle_study.experiment.worker_pool import make_runs
from sleepcycle_study.memory.base_drift import unlearned_turns
from sleepcycle_study.memory.lifetime import live
from sleepcycle_study.memory.methods import METHODS
from sleepcycle_study.memory.records import LifetimeRun, Result, append
from sleepcycle_study.memory.streams import STREAMS, Stream

Endings = Generator[tuple[LifetimeRun, Result | DivergedError], None, None]
"""Lives as they end, and what came of them."""


@dataclass(frozen=True)
class LifeBench:
    """A stream, the base that learns it, and the file that keeps its lives."""

    stream: str
    data: Path | None
    out: Path
    base: str = ""
    """Empty for the stream's own."""

    device: str = "auto"
    threads: int = 0
    """Of one process; 0 leaves the choice to torch."""

    @property
    def folder(self) -> Path:
        """Where the file lies, and what is computed from the base."""
        return self.out.parent

    def open_stream(self) -> Stream:
        """Return the stream.

        Raises:
            StudyError: Its data is not there.
        """
        return STREAMS[self.stream](self.data)

    def load(self) -> Base:
        """Load the base for this process.

        Raises:
            ModelError: It is not here, or cannot be used.
        """
        if self.threads:
            torch.set_num_threads(self.threads)
        own = self.open_stream().model
        settings = ModelSettings(base=self.base) if self.base else own
        cache = self.folder / "cache"
        return load_base(settings, device=pick_device(self.device), cache=cache)

    def make(self, base: Base, job: LifetimeRun) -> Result:
        """Live a life.

        Raises:
            DivergedError: The loss exploded or is not a number.
        """
        return live(base, self.open_stream(), job)


def live_all(bench: LifeBench, wanted: Sequence[LifetimeRun], jobs: int) -> Endings:
    """Live lives, `jobs` at a time; yield each as it ends, once it is in the file.

    This process alone writes the file. It loads the base in any case: what is wrong
    with it is said once, and what is computed from it is in the cache for all.

    Raises:
        SleepcycleError: The base cannot be used, or a process died.
    """
    if not wanted:
        return
    base = bench.load()
    if any(METHODS[run.arm].wake.get("general_share") for run in wanted):
        settings = BankSettings()
        Bank(base, settings).learned(settings.turns, 0)
    if min(jobs, len(wanted)) > 1:
        unlearned_turns(base)
        base.model.to("meta")  # frees its memory: each process loads its own
        ended = make_runs(bench, wanted, jobs, lambda _: None)
    else:
        ended = _one_by_one(bench, base, wanted)
    with closing(ended):
        for run, came in ended:
            if isinstance(came, Result):
                append(bench.out, came)
            yield run, came


def _one_by_one(bench: LifeBench, base: Base, wanted: Sequence[LifetimeRun]) -> Endings:
    """Live one life after another in this process; one that diverges ends no other."""
    for run in wanted:
        try:
            yield run, bench.make(base, run)
        except DivergedError as error:
            yield run, error
