"""A request to end, in the middle of a transaction."""

import signal
import sys
import threading
from itertools import count

import pytest

from sleepcycle.store import journal, version_table
from sleepcycle.store.database import open_store
from sleepcycle.store.interrupt import stop
from tests.journaled import journal_entries
from tests.store.conftest import SETTINGS

EVERY = 17  # of the moments at which it may come; all of them take half a minute
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def heard():
    """Ctrl-C is heard as the command line does."""
    before = signal.signal(signal.SIGINT, stop)
    yield
    signal.signal(signal.SIGINT, before)


def press():
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def pressed_at(moment, work):
    """Press Ctrl-C when some work calls a function for the so manieth time.

    Returns what came of it, with its traceback, and how many functions were called.
    """
    calls = 0

    def trace(frame, event, _):
        nonlocal calls
        calls += 1
        if calls == moment:
            press()

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt as stopped:
        return stopped, calls
    finally:
        sys.settrace(before)
    return None, calls


def actions(store):
    """Return what is in the journal."""
    with store.read() as session:
        return [entry.action for entry in journal_entries(session, 10)]


def read(session):
    version_table.list_versions(session)
    journal_entries(session, 10)


def write(session):
    journal.append(session, "test", "one")


@pytest.mark.parametrize("work", [read, write])
def test_it_leaves_no_lock_whenever_it_comes(store, paths, work):
    """
    The next writer is the one who says what was stopped: it must not wait, though the
    traceback still holds all that was open, and not one request is lost.
    """
    after = open_store(paths, SETTINGS)
    kept = []  # a request that comes while Python clears up an object is lost

    def begin():
        with (store.write if work is write else store.read)() as session:
            kept.append(session)
            work(session)

    for moment in count(1, EVERY):
        stopped, calls = pressed_at(moment, begin)
        if calls < moment:
            break
        assert stopped is not None
        with after.write() as session:
            journal.append(session, "test", "stopped")

    assert moment > 10 * EVERY


def test_it_is_heard_before_the_next_statement(store):
    """
    A transaction of a million rows is not waited for.
    """
    came = []

    def change():
        with store.write() as session:
            write(session)
            press()
            came.append("the rest of what is between two statements")
            write(session)
            came.append("the next statement")

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        change()

    assert came == ["the rest of what is between two statements"]
    assert actions(store) == []


def test_a_change_that_was_stopped_before_its_end_is_not_made(store):
    def change():
        with store.write() as session:
            write(session)
            press()

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        change()

    assert actions(store) == []


def test_it_is_heard_at_the_end_at_the_latest(store):
    came = []

    def look():
        with store.read() as session:
            read(session)
            press()
            came.append("the end of the block")
        came.append("what is after it")

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        look()

    assert came == ["the end of the block"]


def test_it_is_heard_once(store):
    def look():
        with store.read():
            press()
            press()

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        look()

    assert actions(store) == []


def test_the_inner_of_two_transactions_does_not_end_the_outer_amid_its_work(store):
    came = []

    def look():
        with store.read():
            with store.read():
                press()
            came.append("the rest of the outer block")

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        look()

    assert came == ["the rest of the outer block"]


def test_a_transaction_of_another_thread_holds_nothing_back(store):
    """
    Nor is it stopped: the main thread alone hears.
    """
    opened, end = threading.Event(), threading.Event()

    def change():
        with store.write() as session:
            opened.set()
            end.wait(PATIENCE_S)
            write(session)

    thread = threading.Thread(target=change)
    thread.start()
    opened.wait(PATIENCE_S)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        press()
    end.set()
    thread.join()

    assert actions(store) == ["one"]
