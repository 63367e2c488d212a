"""Rows that are not learned come page by page, newest first, and one with its text."""

import pytest

from sleepcycle.errors import NotFoundError
from sleepcycle.records.example import BadRow, SetAside
from sleepcycle.store import batch_table, example_table, open_batch, quarantine_table
from sleepcycle.store.quarantine_table import BEGINNING
from tests.store.conftest import add_batch, start_run

LAST = 2**63 - 1
LONG = b"{" * (BEGINNING + 50)


def bad(line, code="E_JSON", raw=LONG):
    """Return a bad row."""
    return BadRow("a.jsonl", line, 7, code, "why", raw, len(raw))


@pytest.fixture
def filled(session):
    """Two batches, with two and one bad rows."""
    first, second = add_batch(session, ["one"], share=0.0), add_batch(session, ["two"])
    batch_table.add_bad_rows(session, first, [bad(1), bad(2, "E_DEPTH"), bad(3)])
    batch_table.add_bad_rows(session, second, [bad(4)])
    return session


def lines(found):
    """Return the lines of rows."""
    return [each.row.line for each in found]


def test_pages_go_back_from_the_newest(filled):
    page = quarantine_table.quarantined(filled, None, LAST, 2)
    older = quarantine_table.quarantined(filled, None, page[-1].id, 2)

    assert (lines(page), lines(older)) == ([4, 3], [2, 1])
    assert lines(quarantine_table.quarantined(filled, 2, LAST, 9)) == [4]


def test_a_page_has_the_beginnings_alone(filled):
    [newest] = quarantine_table.quarantined(filled, None, LAST, 1)
    whole = quarantine_table.get_quarantined(filled, newest.id)

    assert newest.row.raw == LONG[:BEGINNING]
    assert newest.is_cut
    assert whole.row == bad(4)
    assert not whole.is_cut
    assert whole.batch == 2


def test_what_is_not_whole_yet_is_not_there(filled):
    open_batch.hide(filled, 2)

    assert lines(quarantine_table.quarantined(filled, None, LAST, 9)) == [3, 2, 1]
    with pytest.raises(NotFoundError, match="no quarantined row 4"):
        quarantine_table.get_quarantined(filled, 4)


def test_codes_are_counted(filled):
    assert quarantine_table.codes(filled, 1) == {"E_JSON": 2, "E_DEPTH": 1}


def test_what_was_set_aside_is_found_with_its_reason(filled):
    run = start_run(filled)
    [held] = example_table.claim(filled, run, 1)
    example_table.set_aside(filled, run, [SetAside("E_LONG", "too long", (held.id,))])

    [found] = quarantine_table.set_aside(filled, 1, LAST, 9)

    assert (found.id, found.batch) == (held.id, 1)
    assert (found.row.code, found.row.message) == ("E_LONG", "too long")
    assert found.row.raw == b'{"text":"one"}'
    assert not found.is_cut
    assert quarantine_table.set_aside(filled, 2, LAST, 9) == []
    assert quarantine_table.set_aside(filled, None, held.id, 9) == []
