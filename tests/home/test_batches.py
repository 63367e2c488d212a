"""Batches: exports that leave no part, and batches that come back."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from sleepcycle.errors import FeedError, NotFoundError, StoreError
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.content import canonical_json
from sleepcycle.records.example import BadRow, SetAside
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.version import BaseIdentity, Version, VersionKind
from sleepcycle.store import (
    batch_table,
    example_table,
    run_table,
    version_table,
)
from sleepcycle.store.values import Alias, ExampleState
from tests.journaled import journal_entries


class TestExportBad:
    def test_rows_are_written_and_counted(self, fed, tmp_path):
        with fed.store.write() as session:
            row = BadRow("a.jsonl", 1, 0, "E_JSON", "why", b"{", 1)
            batch_table.add_bad_rows(session, 1, [row])

        assert fed.batches.export_bad(1, tmp_path / "bad.jsonl") == (1, 0)
        assert (tmp_path / "bad.jsonl").read_bytes() == b"{\n"

    def test_an_unknown_batch_makes_no_file(self, home, tmp_path):
        with pytest.raises(NotFoundError, match="no batch 9"):
            home.batches.export_bad(9, tmp_path / "bad.jsonl")

        assert not (tmp_path / "bad.jsonl").exists()

    def test_a_failure_leaves_no_part(self, home, tmp_path):
        with home.store.write() as session:
            session.execute(text("DROP TABLE bad_row"))

        with pytest.raises(StoreError, match="no such table"):
            home.batches.export_bad(None, tmp_path / "bad.jsonl")

        assert not (tmp_path / "bad.jsonl").exists()

    def test_a_file_that_was_there_stays(self, home, tmp_path):
        (tmp_path / "bad.jsonl").write_text("mine")

        with pytest.raises(FeedError, match=r"expected to write .*File exists"):
            home.batches.export_bad(None, tmp_path / "bad.jsonl")

        assert (tmp_path / "bad.jsonl").read_text() == "mine"


class TestSetAside:
    """What a wake found the base cannot learn."""

    @pytest.fixture
    def aside(self, fed):
        """The home, with one of its four examples set aside; returns its content."""
        with fed.store.write() as session:
            run = run_table.start(session, RunKind.WAKE, 1, "boot")
            example, *_ = example_table.claim(session, run, 1)
            fault = SetAside("E_TOO_LONG", "too long", (example.id,))
            example_table.set_aside(session, run, [fault])
            run_table.finish(session, run, RunState.DONE, report=None, error=None)
        return canonical_json(example.content)

    def test_it_is_shown_behind_what_was_quarantined(self, fed, aside):
        with fed.store.write() as session:
            row = BadRow("a.jsonl", 1, 0, "E_JSON", "why", b"{", 1)
            batch_table.add_bad_rows(session, 1, [row])

        quarantined, last = fed.batches.bad_rows(1)

        assert quarantined.code == "E_JSON"
        assert (last.file, last.code, last.raw) == (
            "test",
            "E_TOO_LONG",
            aside.encode(),
        )
        assert last.message == "too long"

    def test_status_counts_it(self, fed, aside):
        assert fed.status().counts.set_aside == 1

    def test_what_is_exported_is_learned_by_another_home(self, fed, aside, tmp_path):
        file = tmp_path / "bad.jsonl"
        assert fed.batches.export_bad(None, file) == (1, 0)
        create_home(tmp_path / "other")
        other = open_home(tmp_path / "other")

        report = other.feed(file)

        assert (report.accepted, report.quarantined) == (1, 0)
        assert [one.content for one in other.batches.examples(1)] == [aside]

    def test_fed_again_unmended_it_is_a_duplicate(self, fed, aside, tmp_path):
        file = tmp_path / "bad.jsonl"
        fed.batches.export_bad(1, file)

        assert fed.feed(file).duplicate == 1

    def test_queued_again_it_is_pending(self, fed, aside):
        states = fed.batches.requeue(1)

        assert states[ExampleState.PENDING] == 4
        assert list(fed.batches.bad_rows()) == []
        assert fed.status().counts.set_aside == 0


class TestRequeue:
    def test_it_says_where_the_examples_are_now(self, fed):
        """
        Three were learned by what is live: those are trained again, and one waits.
        """
        with fed.store.write() as session:
            run = run_table.start(session, RunKind.WAKE, 1, "boot 1")
            example_table.claim(session, run, 3)
            made = Version(
                1, VersionKind.WAKE, "v0001-x", (0,), 8, True, datetime.now(UTC), run
            )
            base = BaseIdentity("builtin:nano", None, "")
            version_table.add(session, made, base, "{}", {1: 3})
            example_table.mark_trained(session, run, 1)
            version_table.point(session, Alias.LIVE, 1)
        fed.batches.exclude(1)

        states = fed.batches.requeue(1)

        assert states == fed.batches.get(1)[1]
        assert (states["pending"], states["trained"], states["held_out"]) == (1, 3, 1)
        with fed.store.read() as session:
            assert journal_entries(session, 1)[0].details["examples"] == 1
