"""The books: batches and runs, to look at and to put right."""

from dataclasses import dataclass
from pathlib import Path

from sleepcycle.feed.export import export_bad
from sleepcycle.paths import HomePaths
from sleepcycle.store import batches, examples, journal, runs
from sleepcycle.store.engine import Store


@dataclass(frozen=True)
class Books:
    """The books of one home."""

    paths: HomePaths
    store: Store
    actor: str
