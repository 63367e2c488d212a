import io
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest

from sleepcycle.errors import FeedError
from sleepcycle.feed.export import export_bad
from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.feed.intake import CHUNK_ROWS, NAMES, Intake
from sleepcycle.feed.shapes import AS_THEY_ARE, Format, RowOptions
from sleepcycle.records.content import (
    Completion,
    Text,
    canonical_json,
    content_hash,
    is_held_out,
)
from sleepcycle.settings.config import FeedSettings
from sleepcycle.store import batch_table, example_table
from tests.counting import count_examples
from tests.feed.conftest import LENIENT, figures, jsonl
from tests.journaled import journal_entries

TEXTS = [f"text {number}" for number in range(100)]
ROWS = [{"text": text} for text in TEXTS]


class TestFeed:
    def test_what_comes_in_is_stored(self, feed, stored):
        report = feed(jsonl(*ROWS))

        assert figures(report) == (100, 100, 0, 0)
        assert stored() == [Text(text) for text in TEXTS]

    def test_the_same_again_adds_nothing(self, feed, store):
        feed(jsonl(*ROWS))

        report = feed(jsonl(*ROWS, {"text": "new"}, {"text": "new"}))

        assert figures(report) == (102, 1, 101, 0)
        with store.read() as session:
            assert [batch.lines for batch in batch_table.list_batches(session)] == [
                100,
                102,
            ]

    def test_the_same_content_in_two_shapes_is_one_example(self, feed):
        feed(b'{"messages": [{"role": "assistant", "content": "a"}]}')

        report = feed(b'{"conversations": [{"from": "gpt", "value": "a"}]}')

        assert figures(report) == (1, 0, 1, 0)

    def test_the_hash_says_what_is_held_out(self, feed, store):
        report = feed(jsonl(*ROWS), settings=FeedSettings(held_out_share=0.3))

        held_out = [
            text
            for text in TEXTS
            if is_held_out(content_hash(canonical_json(Text(text))), 0.3)
        ]
        assert 10 < report.held_out == len(held_out) < 60
        with store.read() as session:
            found = example_table.held_out(session, [report.batch], 100, 0)
        assert sorted(example.content.text for example in found) == sorted(held_out)

    def test_several_files_are_one_batch(self, store, tmp_path):
        (tmp_path / "a.jsonl").write_bytes(jsonl(*ROWS[:60]))
        (tmp_path / "b.json").write_text(json.dumps(ROWS[50:]))
        stream = io.BytesIO(b'{"prompt": "q", "completion": "a"}')

        report = feed_files(
            store,
            [tmp_path / "a.jsonl", str(tmp_path / "b.json"), stream],
            LENIENT,
            FeedOptions(source="mine"),
            actor="user:test",
        )

        assert figures(report) == (111, 101, 10, 0)
        with store.read() as session:
            [batch] = batch_table.list_batches(session)
            [entry] = journal_entries(session, 10)
        assert (batch.source, batch.format) == ("mine", "completion,text")
        assert (batch.accepted, batch.held_out_share) == (101, 0.0)
        assert (entry.actor, entry.action) == ("user:test", "feed")
        assert entry.details.items() >= {"source": "mine", "batch": batch.id}.items()
        assert entry.details["accepted"] == batch.accepted

    def test_more_than_a_chunk_is_stored_in_order(self, feed, stored):
        texts = [str(number) for number in range(CHUNK_ROWS * 2 + 7)]
        seen = []

        feed(jsonl(*[{"text": text} for text in texts]), on_rows=seen.append)

        assert [content.text for content in stored()] == texts
        assert seen == [CHUNK_ROWS, CHUNK_ROWS * 2]

    def test_a_dry_run_reports_the_same_and_stores_nothing(self, feed, store):
        data = jsonl(*ROWS, {"text": "text 1"}, {"text": 5})

        rehearsed = feed(data, dry_run=True)

        with store.read() as session:
            assert batch_table.list_batches(session) == []
            assert journal_entries(session, 1) == []
        assert rehearsed.batch is None
        assert figures(rehearsed) == figures(feed(data)) == (102, 100, 1, 1)

    def test_nothing_to_feed_is_an_error(self, feed, store):
        with pytest.raises(FeedError, match=r"expected rows, got none from .*a\.jsonl"):
            feed(b"\n \n")

        with store.read() as session:
            assert batch_table.list_batches(session) == []

    def test_standard_input_has_a_name(self, store, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(jsonl(*ROWS))))

        report = feed_files(store, ["-"], LENIENT, FeedOptions(), actor="user:test")

        assert figures(report) == (100, 100, 0, 0)
        with store.read() as session:
            assert batch_table.get(session, 1).source == "stdin"


class TestShape:
    def test_most_of_the_first_rows_decide(self, feed, bad, stored):
        rows = [{"text": "odd"}, *[{"prompt": "q", "completion": t} for t in TEXTS]]

        report = feed(jsonl(*rows))

        assert figures(report) == (101, 100, 0, 1)
        assert bad()[0].message.startswith("expected an object with completion and")
        assert stored()[0] == Completion("q", TEXTS[0])

    def test_a_forced_shape_is_kept_to(self, feed):
        report = feed(
            jsonl(*ROWS, {"prompt": "q", "completion": "a"}),
            rows=RowOptions(Format.COMPLETION),
        )

        assert figures(report) == (101, 1, 0, 100)

    def test_rows_with_no_shape_are_bad_wherever_they_are(self, feed):
        """
        A thousand of them are looked at before the file is given up on.
        """
        report = feed(jsonl(*[{"id": 1}] * 1_500, *ROWS))

        assert figures(report) == (1_600, 100, 0, 1_500)
        assert report.reasons == {"E_SHAPE": 1_500}


class TestBadRows:
    def test_they_are_kept_with_their_place(self, feed, bad):
        report = feed(b'{"text": "a"}\n{"text": 5}\n{"text"\n{"text": "\\ud800"}\n')

        assert figures(report) == (4, 1, 0, 3)
        assert report.reasons == {"E_JSON": 1, "E_SHAPE": 1, "E_UTF8": 1}
        assert [(row.line, row.offset, row.code, row.raw) for row in bad()] == [
            (2, 14, "E_SHAPE", b'{"text": 5}'),
            (3, 26, "E_JSON", b'{"text"'),
            (4, 34, "E_UTF8", b'{"text": "\\ud800"}'),
        ]
        assert bad()[0].file.endswith("a.jsonl")

    def test_a_surrogate_in_a_field_that_is_not_used_does_no_harm(self, feed):
        assert feed(b'{"text": "a", "note": "\\ud800"}').accepted == 1

    def test_only_a_bounded_part_is_kept(self, feed, bad):
        settings = LENIENT.model_copy(update={"preview_bytes": 10})

        feed(b"x" * 1_000 + b'\n{"text": "a"}\n', settings=settings)

        [row] = bad()
        assert (row.raw, row.size_bytes) == (b"x" * 10, 1_000)

    def test_a_file_name_that_is_no_utf_8_is_kept_readable(self, store, tmp_path):
        name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl")
        with open(name, "wb") as file:
            file.write(b"nope\n" + jsonl(*ROWS))

        feed_files(store, [name], LENIENT, FeedOptions(), actor="user:test")

        with store.read() as session:
            assert next(batch_table.bad_rows(session, None)).file.endswith("?.jsonl")

    def test_too_many_refuse_the_batch(self, feed, store):
        settings = FeedSettings(max_bad_ratio=0.2)
        wrong = jsonl(*[{"text": 5}] * 2, *[{"text": " "}]) + b"{\n" * 23

        assert feed(jsonl(*ROWS) + wrong[: -2 * 1], settings=settings).quarantined == 25
        with pytest.raises(
            FeedError,
            match=r"at most 20\.0% bad rows, got 26 of 126 \(E_JSON 23, E_SHAPE 2, "
            r"E_EMPTY 1\), so nothing was stored; .*a\.jsonl:101 E_SHAPE",
        ):
            feed(jsonl(*ROWS) + wrong, settings=settings)
        with store.read() as session:
            assert len(batch_table.list_batches(session)) == 1

    def test_what_is_cut_is_counted_when_it_is_exported(self, feed, store):
        settings = LENIENT.model_copy(update={"preview_bytes": 10})
        feed(b'{"text": "a"}\n{"text": "b" and much more}\n', settings=settings)

        with store.read() as session:
            assert export_bad(session, 1, io.BytesIO()) == (1, 1)

    def test_what_is_exported_can_be_mended_and_fed(self, feed, store, stored):
        feed(b'{"text": "a"}\n{"text": "b"\n{"text": "c" "d"}\n')
        out = io.BytesIO()

        with store.read() as session:
            assert export_bad(session, 1, out) == (2, 0)

        assert out.getvalue() == b'{"text": "b"\n{"text": "c" "d"}\n'
        mended = out.getvalue().replace(b'"b"', b'"b"}').replace(b'" "', b" ")
        assert feed(mended).accepted == 2
        assert [content.text for content in stored()] == ["a", "b", "c d"]

    def test_a_row_over_several_lines_is_exported_on_one(self, feed, store):
        feed(b'[{"text":\n 5},\r\n {"text": "a"}]', "a.json")
        feed(b'prompt,completion\n"a\nb",\n', "a.csv")
        out = io.BytesIO()

        with store.read() as session:
            export_bad(session, None, out)

        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        assert lines == [{"text": 5}, {"prompt": "a\nb", "completion": ""}]


class TestAllOrNothing:
    def test_a_file_that_cannot_be_read_takes_the_others_along(self, store, tmp_path):
        (tmp_path / "a.jsonl").write_bytes(jsonl(*ROWS))

        with pytest.raises(FeedError, match=r"cannot read .*none\.jsonl"):
            feed_files(
                store,
                [tmp_path / "a.jsonl", tmp_path / "none.jsonl"],
                LENIENT,
                FeedOptions(),
                actor="user:test",
            )

        with store.read() as session:
            assert count_examples(session).accepted == 0

    def test_a_kill_leaves_neither_rows_nor_files(self, store):
        script = f"""
            from sleepcycle.feed.ingest import FeedOptions, feed_files
            from sleepcycle.files.paths import HomePaths
            from sleepcycle.store.database import open_store
            from sleepcycle.settings.config import StoreSettings
            from tests.feed.conftest import LENIENT
            from pathlib import Path

            paths = HomePaths(Path({str(store.paths.root)!r}))
            store = open_store(paths, StoreSettings())
            feed_files(store, ["-"], LENIENT, FeedOptions(), actor="user:test")
        """
        before = sorted(store.paths.root.rglob("*"))
        command = [sys.executable, "-c", textwrap.dedent(script)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)
        wide = "x" * 1_000
        for number in range(20_000):  # more than waits in memory
            process.stdin.write(jsonl({"text": f"{number} {wide}"}))

        with store.write() as session:  # nothing is locked while rows come in
            assert count_examples(session).accepted == 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()

        assert sorted(store.paths.root.rglob("*")) == before
        with store.read() as session:
            assert count_examples(session).accepted == 0


SEEDS = [
    (
        "a.jsonl",
        jsonl(*ROWS[:5], {"text": "é\0 😀"}, {"prompt": "q", "completion": "a"}),
    ),
    ("a.json", json.dumps([*ROWS[:5], {"messages": []}], indent=1).encode()),
    ("a.csv", b'prompt,completion\na,"b ""c"""\n"d\ne",f\ng,h\n'),
]
INSERTS = [
    b"\0", b"\xff", b'"', b"\\", b"[" * 100, b"{", b"}", b"]", b",", b"\r", b"\n",
    b"NaN", b"9" * 5_000, b"\xef\xbb\xbf", b'\\ud800', b'"text": 1,', b"x" * 3_000,
]  # fmt: skip


def mutant(rng, data):
    """Change a file at a few random places."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = start + rng.choice([0, 0, 1, 5])
        data = data[:start] + rng.choice([*INSERTS, b""]) + data[end:]
    return data


@pytest.mark.parametrize(("name", "data"), SEEDS, ids=[name for name, _ in SEEDS])
def test_whatever_comes_in_is_counted_and_nothing_breaks(store, name, data):
    """
    Of each mutant: every row is in one of three places, each bad row is kept with a
    code, and a file that is refused as a whole leaves nothing.
    """
    rng = random.Random(7)
    settings = LENIENT.model_copy(update={"max_row_bytes": 2_000})
    accepted = duplicate = quarantined = 0
    for number in range(120):
        stream = io.BytesIO(mutant(rng, data) if number % 4 else data[: number * 2])
        stream.name = name
        try:
            report = feed_files(store, [stream], settings, FeedOptions(), actor="fuzz")
        except FeedError:
            continue
        assert sum(figures(report)[1:]) == report.lines > 0
        assert sum(report.reasons.values()) == report.quarantined
        accepted += report.accepted
        duplicate += report.duplicate
        quarantined += report.quarantined
        with store.read() as session:
            kept = list(batch_table.bad_rows(session, report.batch))
        assert len(kept) == report.quarantined
        assert all(row.code.startswith("E_") and row.line > 0 for row in kept)
    assert accepted + duplicate > 100
    assert quarantined > 20
    with store.read() as session:
        counts = count_examples(session)
    assert (counts.accepted, counts.quarantined) == (accepted, quarantined)


class TestRefusals:
    def test_a_report_says_in_words_why_rows_were_refused(self, feed):
        row = {"text": "a", "image": "x.png"}

        report = feed(jsonl(*({**row, "id": n} for n in range(3)), {"text": "b"}))

        [(why, rows)] = report.refusals.items()
        assert ("'image'" in why, rows) == (True, 3)

    def test_there_are_few_of_them(self, feed):
        rows = ({"text": "a", f"image{n}": "x.png"} for n in range(500))

        report = feed(jsonl(*rows, {"text": "b"}))

        assert len(report.refusals) == 10


def test_names_of_keys_beside_the_rows_are_bounded(store):
    rows = [{"text": f"t{n}", f"{n:04}" + "k" * 200: n} for n in range(NAMES + 50)]
    stream = io.BytesIO(jsonl(*rows))
    stream.name = "a.jsonl"

    with closing(Intake(LENIENT, AS_THEY_ARE, store.paths.root)) as intake:
        list(intake.read(stream))

    assert len(intake.provenance) == NAMES + 1
    assert intake.provenance["..."] == 50
    assert max(map(len, intake.provenance)) < 110
