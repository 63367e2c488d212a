"""Arrow IPC, and the folders that `datasets` makes of it."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow
import pytest
from pyarrow import parquet

from sleepcycle.errors import FeedError, RowError
from sleepcycle.feed.shapes import AS_THEY_ARE, read_row, shape_of
from sleepcycle.feed.sources import read_source
from tests.feed.conftest import SETTINGS, read, values

ROWS = [{"prompt": f"ask {n}", "completion": f"say {n}"} for n in range(600)]


def stream(rows, batch=1_000):
    return written(rows, pyarrow.ipc.new_stream, batch)


def written(rows, new, batch=1_000):
    table = pyarrow.Table.from_pylist(rows)
    sink = pyarrow.BufferOutputStream()
    with new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch)
    return sink.getvalue().to_pybytes()


@pytest.fixture
def folder(tmp_path):
    """What `save_to_disk` writes, with the rows in two files."""
    names = [f"data-0000{number}-of-00002.arrow" for number in range(2)]
    for name, rows in zip(names, (ROWS[:400], ROWS[400:]), strict=True):
        (tmp_path / name).write_bytes(stream(rows))
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (tmp_path / "state.json").write_text(json.dumps(state, indent=2))
    (tmp_path / "dataset_info.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("name", ["a.arrow", "a.feather", "a"])
@pytest.mark.parametrize("new", [pyarrow.ipc.new_stream, pyarrow.ipc.new_file])
def test_rows_are_read_from_a_file_and_a_stream(name, new):
    rows = read(written(ROWS, new, 100), name)

    assert values(rows) == ROWS
    assert [row.line for row in rows] == list(range(1, 601))


def test_maps_are_objects():
    turns = pyarrow.list_(pyarrow.map_(pyarrow.string(), pyarrow.string()))
    column = pyarrow.array([[[("role", "user"), ("content", "q")]], []], turns)
    table = pyarrow.table({"messages": column})
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)

    rows = read(sink.getvalue().to_pybytes(), "a.arrow")

    assert values(rows) == [
        {"messages": [{"role": "user", "content": "q"}]},
        {"messages": []},
    ]


def test_a_stream_cut_off_keeps_the_rows_before():
    data = stream(ROWS, 100)

    *rows, last = read(data[: len(data) // 2], "a.arrow")

    assert last.fault.code == "E_STREAM"
    assert 0 < len(rows) < 600
    assert values(rows) == ROWS[: len(rows)]


def test_what_is_no_arrow_is_refused():
    with pytest.raises(FeedError, match=r"a\.arrow: expected Arrow, got"):
        read(b"not really", "a.arrow")


def test_columns_of_no_shape_are_named():
    with pytest.raises(FeedError, match=r"expected columns .*, got: query, reply"):
        read(stream([{"query": "a", "reply": "b"}]), "a.arrow")


class TestFolder:
    def test_its_files_are_one_table(self, folder):
        rows = list(read_source(folder, SETTINGS, AS_THEY_ARE))

        assert values(rows) == ROWS
        assert [row.line for row in rows] == list(range(1, 601))

    def test_several_splits_are_named(self, tmp_path):
        (tmp_path / "dataset_dict.json").write_text('{"splits": ["test", "train"]}')
        (tmp_path / "train").mkdir()
        (tmp_path / "test").mkdir()

        with pytest.raises(FeedError, match="got a folder of test, train; feed the"):
            list(read_source(str(tmp_path), SETTINGS, AS_THEY_ARE))

    @pytest.mark.parametrize(
        ("state", "message"),
        [
            ("nope", "got a state.json that names no files"),
            ('{"_data_files": 5}', "got a state.json that names no files"),
            ('{"_data_files": [{"filename": "../a.arrow"}]}', "names files elsewhere"),
            ('{"_data_files": [{"filename": "/etc/passwd"}]}', "names files elsewhere"),
            ('{"_data_files": [{"filename": 5}]}', "names files elsewhere"),
        ],
    )
    def test_a_state_that_is_none_is_refused(self, folder, state, message):
        (folder / "state.json").write_text(state)

        with pytest.raises(FeedError, match=message):
            list(read_source(folder, SETTINGS, AS_THEY_ARE))

    def test_a_missing_file_is_named(self, folder):
        missing = "data-00001-of-00002.arrow"
        (folder / missing).unlink()

        with pytest.raises(FeedError, match=r"cannot read .*: no such file"):
            list(read_source(folder, SETTINGS, AS_THEY_ARE))


COLUMNS = {
    "day": (date(2020, 1, 2), "2020-01-02"),
    "created": (datetime(2020, 1, 2, 3, 4), "2020-01-02T03:04:00"),
    "zoned": (datetime(2020, 1, 2, tzinfo=UTC), "2020-01-02T00:00:00+00:00"),
    "hour": (time(3, 4), "03:04:00"),
    "took": (timedelta(seconds=5), "0:00:05"),
    "price": (Decimal("1.50"), "1.50"),
    "raw": (b"\xff\x00", "2 bytes"),
    "n": (5, 5),
    "share": (0.5, 0.5),
    "on": (True, True),
    "many": ([date(2020, 1, 2)], ["2020-01-02"]),
    "meta": ({"day": date(2020, 1, 2)}, {"day": "2020-01-02"}),
}
"""A value of each type, and how it is kept."""


class TestForeignValues:
    """What Arrow holds and JSON does not: kept as text, or refused where learned."""

    def test_every_type_of_a_column_is_kept_as_json(self, feed, store):
        row = {"prompt": "q", "completion": "a"}
        row |= {key: value for key, (value, _) in COLUMNS.items()}
        sink = pyarrow.BufferOutputStream()
        parquet.write_table(pyarrow.Table.from_pylist([row]), sink)

        report = feed(sink.getvalue().to_pybytes(), "a.parquet")

        assert (report.accepted, report.quarantined) == (1, 0)
        with store.read() as session:
            [kept] = session.connection().exec_driver_sql(
                "SELECT provenance FROM example"
            )
        assert json.loads(kept[0]) == {key: text for key, (_, text) in COLUMNS.items()}

    @pytest.mark.parametrize("place", ["answer", "arguments", "tools"])
    def test_bytes_are_refused_where_they_are_learned(self, place):
        row = {"question": "q", "answer": "a"}
        if place == "answer":
            row["answer"] = b"a"
        elif place == "tools":
            row["tools"] = [{"name": "f", "parameters": {"a": b"a"}}]
        else:
            call = {"name": "f", "arguments": {"a": b"a"}}
            turn = {"role": "assistant", "content": "a", "tool_calls": [call]}
            row = {"messages": [{"role": "user", "content": "q"}, turn]}

        [found] = read(stream([row]), "a.arrow")

        with pytest.raises(RowError, match="got bytes"):
            read_row(found.value, shape_of(found.value))

    def test_dates_in_what_is_learned_are_text(self):
        row = {"question": "q", "answer": date(2020, 1, 2)}

        assert values(read(stream([row]), "a.arrow")) == [
            {"question": "q", "answer": "2020-01-02"}
        ]

    def test_a_time_that_python_cannot_hold_costs_one_row(self):
        times = pyarrow.array([0, 2**62], pyarrow.timestamp("s"))
        table = pyarrow.table({"text": ["a", "b"], "at": times})
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)

        rows = values(read(sink.getvalue().to_pybytes(), "a.arrow"))

        assert rows == [{"text": "a", "at": "1970-01-01T00:00:00"}, "E_SHAPE"]
