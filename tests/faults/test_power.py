"""The power goes at every flush and every rename: what was not flushed is lost.

What is lost is modelled (see `shim.Durable`); the database is left as it is, since its
durability is SQLite's own. Before each flush and rename in turn the power is cut, and
the home is put back as the cut left it: nothing unflushed survives, half of it does,
or a seed chooses what does. `SLEEPCYCLE_FAULTS=full` takes every place, else a few.
"""

import itertools
import random
import shutil

import pytest

from sleepcycle.home.opening import create_home
from tests.faults.conftest import FULL
from tests.faults.invariants import assert_invariants
from tests.faults.shim import Counting, Durable, PowerCut, numbers, put_back

SEEDS = range(5)
MODES = ["dropped", "torn", *SEEDS]
SHARDS = 8  # so that several processes share the places
LEAST = 150  # flushes and renames of a day


@pytest.fixture
def count(calls):
    """How many flushes and renames a day makes."""
    total = calls["fsync"] + calls["rename"]
    assert total >= LEAST
    return total


@pytest.fixture
def cut(new_day, through):
    """Live a day up to a cut, and return it with what is durable then."""
    models = []

    def live(at):
        day = new_day()
        model = Durable(day.root)
        models.append(model)
        model.cut_at = at
        through(model)
        with pytest.raises(PowerCut, match=r"^$"):
            day.live()
        return day, model

    yield live
    for model in models:
        model.forget()


def left_by(model, mode, at):
    """Return what a cut leaves in one mode."""
    if isinstance(mode, int):
        return model.after(rng=random.Random(f"{mode} {at}"), torn=False)
    return model.after(rng=None, torn=mode == "torn")


def databases(root):
    """Return what SQLite has written, by name."""
    return {path.name: path.read_bytes() for path in root.glob("sleepcycle.db*")}


def restore(root, files, tree):
    """Make a home what a cut left of it."""
    for name in databases(root):
        (root / name).unlink()
    put_back(tree, root)
    for name, content in files.items():
        (root / name).write_bytes(content)


@pytest.mark.parametrize("shard", range(SHARDS if FULL else 1))
def test_whatever_a_cut_leaves_is_settled(shard, count, cut, through, record_property):
    """
    Acknowledged feeds are there, versions are whole, and the day can go on.
    """
    places = list(numbers(count, None if FULL else 8))[shard :: SHARDS if FULL else 1]
    for at in places:
        day, model = cut(at)
        files = databases(day.root)
        trees = [left_by(model, mode, at) for mode in MODES]
        model.forget()
        through(Counting())
        seen, fed = dict(day.seen), list(day.fed)
        for mode, tree in zip(MODES, trees, strict=True):
            restore(day.root, files, tree)
            day.seen, day.fed = dict(seen), list(fed)
            day.check()
            if mode == "dropped" or (FULL and mode == at % len(SEEDS)):
                day.finish()
    record_property("power cuts", len(places) * len(MODES))


@pytest.mark.parametrize("shard", range(SHARDS if FULL else 1))
def test_a_kill_and_then_a_cut_lose_nothing(
    shard, count, cut, through, record_property
):
    """
    The process dies at one place and its successor recovers; then the power goes. What
    the first had not flushed is still not flushed, however well it could be read.
    """
    places = list(numbers(count, None if FULL else 8))[shard :: SHARDS if FULL else 1]
    paused = 0
    for at in places:
        day, model = cut(at)
        model.cut_at = 0  # it was a kill: the machine is still on
        day.check()
        paused += day.open().status().counts.claimed > 0
        files = databases(day.root)
        tree = model.after(rng=None, torn=False)
        model.forget()
        through(Counting())
        restore(day.root, files, tree)

        day.check()
        day.finish()
    assert paused, "no wake was gone on with"
    record_property("kills followed by a power cut", len(places))


def test_a_home_whose_making_was_cut_short_is_made(tmp_path, through, record_property):
    root, cuts = tmp_path / "home", 0
    for at in itertools.count(1, 1 if FULL else 4):
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        model = Durable(root)
        model.cut_at = at
        through(model)
        try:
            create_home(root)
        except PowerCut:
            trees = [left_by(model, mode, at) for mode in MODES[:: 1 if FULL else 4]]
            files = databases(root)
        else:
            break
        finally:
            model.forget()
            through(Counting())
        for tree in trees:
            restore(root, files, tree)
            create_home(root)
            assert_invariants(root)
        cuts += len(trees)
    assert at > 10
    record_property("power cuts while a home is made", cuts)


def test_the_model_loses_what_was_not_flushed(tmp_path):
    """
    A shim that loses nothing would let every test above pass.
    """
    root = tmp_path / "home"
    root.mkdir()
    (root / "old").write_text("old")
    model = Durable(root)
    (root / "old").write_text("new")
    (root / "young").write_text("young")

    assert model.after(rng=None, torn=False) == {"old": b"old"}
    assert model.after(rng=None, torn=True) == {"old": b"n"}
    handle = model.open(root, 0)
    model.fsync(handle)
    model.close(handle)
    assert model.after(rng=None, torn=False) == {"old": b"old", "young": b""}
    model.forget()
    shutil.rmtree(root)
