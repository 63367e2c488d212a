"""A home as commands open it, with something in its database."""

import shutil

import pytest

from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.records.example import FeedReport
from sleepcycle.store import batch_table, example_table
from sleepcycle.store.values import ExampleState


@pytest.fixture(scope="session")
def new_home(tmp_path_factory):
    """A home just made; the tests work on copies, as migrating takes its time."""
    root = tmp_path_factory.mktemp("new") / "home"
    create_home(root)
    return root


@pytest.fixture
def home(new_home, tmp_path):
    shutil.copytree(new_home, tmp_path / "home")
    return open_home(tmp_path / "home")


@pytest.fixture
def fed(home):
    """The home, with a batch of four examples pending and one held out."""
    texts = [canonical_json(Text(word)) for word in "abcde"]
    rows = sorted((content_hash(text), text, None, None) for text in texts)
    share = (int.from_bytes(rows[0][0][:8]) + 1) / 2**64  # the least hash alone
    with home.store.write() as session:
        batch = batch_table.add(session, "test", "text", share)
        example_table.add(session, batch, ExampleState.HELD_OUT, rows[:1])
        example_table.add(session, batch, ExampleState.PENDING, rows[1:])
        batch_table.close(session, batch, FeedReport(batch, 5, 5, 0, 0, 1, {}))
    return home
