import csv
import gzip
import io
import json
import os
import threading
import time
import tracemalloc

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from sleepcycle.errors import FeedError
from sleepcycle.feed.array import CHUNK_BYTES
from sleepcycle.feed.shapes import AS_THEY_ARE, RowOptions
from sleepcycle.feed.sources import read_source
from sleepcycle.settings.config import FeedSettings
from tests.feed.conftest import SETTINGS, jsonl, read, values

CHECKED = zstandard.ZstdCompressor(write_checksum=True)
ROWS = [{"text": f"line {number}"} for number in range(200)]


class TestJsonl:
    def test_each_row_has_its_place(self):
        rows = read(b'\xef\xbb\xbf{"text": "a"}\r\n\n \t\n{"text": "b"}\n{"text": "c"}')

        assert [(row.line, row.offset, row.size) for row in rows] == [
            (1, 3, 13),
            (4, 22, 13),
            (5, 36, 13),
        ]
        assert values(rows) == [{"text": "a"}, {"text": "b"}, {"text": "c"}]

    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
    def test_a_row_may_be_as_long_as_the_bound_and_no_longer(self, end):
        frame = len(b'{"text": ""}')
        fits = b'{"text": "' + b"x" * (1_000 - frame) + b'"}'
        more = b'{"text": "' + b"x" * (1_001 - frame) + b'"}'

        assert values(read(fits + end)) == [json.loads(fits)]
        [row] = read(more + end)
        assert (row.fault.code, row.size) == ("E_TOO_BIG", 1_001)

    def test_a_huge_line_is_never_held_and_the_next_is_read(self, tmp_path):
        path = tmp_path / "huge.jsonl"
        with path.open("wb") as file:
            file.write(b'{"text": "')
            for _ in range(100):
                file.write(b"x" * 1_000_000)
            file.write(b'"}\n{"text": "next"}\n')
        tracemalloc.start()

        rows = list(read_source(path, SETTINGS, AS_THEY_ARE))

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert values(rows) == ["E_TOO_BIG", {"text": "next"}]
        assert rows[0].size == 100_000_012
        assert rows[1].offset == 100_000_013
        assert peak < 1_000_000

    def test_a_name_that_says_lines_is_believed(self):
        """
        A line of nothing but brackets is one bad row, not the start of an array.
        """
        rows = read(b"[" * 900 + b'\n{"text": "b"}\n')

        assert values(rows) == ["E_DEPTH", {"text": "b"}]


class TestArray:
    @pytest.mark.parametrize("indent", [None, 1])
    def test_an_array_holds_the_rows_that_lines_hold(self, indent):
        data = json.dumps(ROWS, indent=indent).encode()

        rows = read(b"\xef\xbb\xbf \n" + data + b"\n", "a.json")

        assert values(rows) == ROWS
        assert [row.line for row in rows] == list(range(1, 201))

    def test_each_row_has_its_place(self):
        data = b' [ {"text": "a"} ,\n{"text": "b"}]'

        for row in read(data, "a.json"):
            assert data[row.offset : row.offset + row.size] == row.raw

    @pytest.mark.parametrize("shift", range(0, 40, 3))
    def test_nothing_changes_where_a_chunk_ends(self, shift):
        """
        The border moves through a string, an escape and between two elements.
        """
        hard = {"text": 'a"b\\', "more": "],[{}", "\\\\": "\\"}
        rows = [{"text": "x" * 900}] * 71
        rest = CHUNK_BYTES - len(json.dumps(rows)) - len('{"text": ""}, ') - shift
        rows += [{"text": "y" * rest}, hard, hard]
        data = json.dumps(rows).encode()
        assert data[CHUNK_BYTES - shift + 1 :].startswith(json.dumps(hard).encode())

        assert values(read(data, "a.json")) == rows

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"[]", []),
            (b" [ \n ] \n", []),
            (b'[{"text": "a"}, nope, {"text": "b"}]', [0, "E_JSON", 1]),
            (b'[{"text": "a"},]', [0, "E_JSON"]),
            (b'[{"text": "a"},,{"text": "b"}]', [0, "E_JSON", 1]),
            (b'[{"text": "a"}, {"text": ', [0, "E_JSON"]),
            (b'[{"text": "a"}', ["E_JSON"]),
            (b'[{"text": "a"}, ', [0, "E_JSON"]),
            (b'[{"text": "a"}] [{"text": "b"}]', [0, "E_JSON"]),
            (b"[", ["E_JSON"]),
            (b"[" * 500, ["E_JSON"]),
            (b"[" * 500 + b"]" * 500, ["E_DEPTH"]),
        ],
        ids=str,
    )
    def test_a_fault_costs_one_row(self, data, expected):
        rows = values(read(data, "a.json"))

        texts = [{"text": "a"}, {"text": "b"}]
        assert rows == [texts[row] if isinstance(row, int) else row for row in expected]

    def test_a_huge_element_is_never_held_and_the_next_is_read(self):
        huge = b'{"text": "' + b"x" * 20_000_000 + b'"}'
        stream = io.BytesIO(b'[{"text": "a"}, ' + huge + b', {"text": "b"}]')
        tracemalloc.start()

        rows = list(read_source(stream, SETTINGS, AS_THEY_ARE))

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert values(rows) == [{"text": "a"}, "E_TOO_BIG", {"text": "b"}]
        assert rows[1].size == len(huge)
        assert peak < 1_000_000


class TestCsv:
    def test_records_are_objects_of_texts(self):
        data = b'\xef\xbb\xbfprompt,completion\r\n"a ""b""\nc",1\r\n\r\nd,"e,f"\r\n'

        rows = read(data, "a.csv")

        assert values(rows) == [
            {"prompt": 'a "b"\nc', "completion": "1"},
            {"prompt": "d", "completion": "e,f"},
        ]
        assert [row.line for row in rows] == [2, 5]
        assert json.loads(rows[0].raw) == rows[0].value

    def test_tabs_divide_tsv(self):
        rows = read(b"prompt\tcompletion\na,b\tc\n", "a.tsv")

        assert values(rows) == [{"prompt": "a,b", "completion": "c"}]

    @pytest.mark.parametrize(
        ("record", "code"),
        [
            (b'"a"b,c', "E_CSV"),
            (b"a", "E_CSV"),
            (b"a,b,c", "E_CSV"),
            (b"a\rb,c", "E_CSV"),
            (b"\xff,c", "E_UTF8"),
            (b"x" * 2_000 + b",c", "E_TOO_BIG"),
        ],
        ids=str,
    )
    def test_a_bad_record_costs_one_row(self, record, code):
        data = b"prompt,completion\n1,2\n" + record + b"\n3,4\n"

        assert values(read(data, "a.csv")) == [
            {"prompt": "1", "completion": "2"},
            code,
            {"prompt": "3", "completion": "4"},
        ]

    def test_a_nul_is_text(self):
        assert values(read(b"text\na\0b\n", "a.csv")) == [{"text": "a\0b"}]

    def test_a_quote_left_open_is_bounded(self):
        """
        It takes lines in until it is too big; what follows is read again.
        """
        data = b'text\n"open\n' + b"line of ten\n" * 200 + b"last\n"

        rows = values(read(data, "a.csv"))

        assert rows[0] == "E_TOO_BIG"
        assert rows[-1] == {"text": "last"}

    def test_a_quote_left_open_at_the_end_is_one_row(self):
        assert values(read(b'text\na\n"open\nb\n', "a.csv")) == [{"text": "a"}, "E_CSV"]

    def test_a_field_may_be_longer_than_the_module_s_own_limit(self):
        long = "x" * (csv.field_size_limit() + 10)
        settings = FeedSettings(max_row_bytes=len(long) + 10)

        rows = read(f"text\n{long}\n".encode(), "a.csv", settings)

        assert values(rows) == [{"text": long}]

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            (b"a;b", "expected columns messages, or .* or text, got: a, b"),
            (b"prompt", "expected columns"),
            (b"text,text", "expected each column once, got: text, text"),
            (b"\xff", "a.csv: header: expected UTF-8"),
            (b'"a\nb",c', "got: a b, c"),
        ],
    )
    def test_a_header_that_fits_no_shape_is_refused(self, header, message):
        with pytest.raises(FeedError, match=message):
            read(header + b"\nx,y\n", "a.csv")

    @pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
    def test_the_header_tells_what_divides(self, sign):
        table = [["instruction", "output"], ["a, b; c|d", 'say "e"'], ["f\tg", "h\ni"]]
        text = io.StringIO()
        csv.writer(text, delimiter=sign).writerows(table)

        rows = values(read(text.getvalue().encode(), "a.csv"))

        assert rows == [dict(zip(table[0], row, strict=True)) for row in table[1:]]

    @pytest.mark.parametrize("line", [b"sep=^\r\n", b'\xef\xbb\xbf"sep=^"\n'])
    def test_a_first_line_may_say_what_divides(self, line):
        rows = read(line + b"prompt^completion\na^b\n", "a.csv")

        assert values(rows) == [{"prompt": "a", "completion": "b"}]
        assert rows[0].line == 3

    def test_columns_without_a_name_are_left_out(self):
        data = b",prompt,completion,,\n0,a,b,,\n1,c,d,,\n,,,,\n2,e,f\n3,g,h,,,,\n"

        assert values(read(data, "a.csv")) == [
            {"prompt": "a", "completion": "b"},
            {"prompt": "c", "completion": "d"},
            "E_CSV",
            {"prompt": "g", "completion": "h"},
        ]

    def test_what_stands_in_a_column_without_a_name_costs_the_row(self):
        [row] = read(b"prompt,completion,\na,b,c\n", "a.csv")

        assert str(row.fault) == "expected nothing in a column without a name"

    def test_lines_may_end_in_carriage_returns(self):
        data = b'prompt,completion\ra,b\r"c\rd",e\r'

        assert values(read(data, "a.csv")) == [
            {"prompt": "a", "completion": "b"},
            {"prompt": "c\nd", "completion": "e"},
        ]

    @pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt", "a", "a.tsv"])
    def test_a_table_is_read_whatever_the_name_says(self, name):
        rows = read(b"prompt,completion\na,b\n", name)

        assert values(rows) == [{"prompt": "a", "completion": "b"}]

    def test_a_field_of_many_lines_is_read_in_few_steps(self):
        """
        Step by step, each of the 990,000 lines would copy those before it: 13 s a row.
        """
        field = "\r\n" * 10 + "\n" * 990_000 + "last"
        data = ("text\n" + f'"{field}"\n' * 4 + "next\n").encode()
        started = time.process_time()

        rows = read(data, "a.csv", FeedSettings())

        seconds = time.process_time() - started
        text = {"text": field.replace("\r\n", "\n")}
        assert values(rows) == [*[text] * 4, {"text": "next"}]
        assert rows[-1].line == 2 + 4 * (990_010 + 1)
        assert seconds < 20

    def test_turns_in_a_cell_are_read(self):
        turns = [{"role": "user", "content": 'say "a", b'}]
        text = io.StringIO()
        csv.writer(text).writerows([["id", "messages"], ["1", json.dumps(turns)]])

        rows = read(text.getvalue().encode(), "a.csv")

        assert values(rows) == [{"id": "1", "messages": turns}]

    def test_turns_as_python_writes_them_are_refused(self):
        text = io.StringIO()
        csv.writer(text).writerows([["messages"], [str([{"role": "user"}])]])

        [row] = read(text.getvalue().encode(), "a.csv")

        assert str(row.fault) == (
            "expected JSON in messages, got Python's way of writing it; write the "
            "column with json.dumps"
        )

    def test_a_file_without_a_record_has_no_rows(self):
        assert read(b"", "a.csv") == []
        assert read(b"text\n", "a.csv") == []


class TestTsv:
    def test_a_quote_is_a_sign_like_any_other(self):
        data = b'prompt\tcompletion\nsay "a" now\t"b" c\n"d\te\n'

        assert values(read(data, "a.tsv")) == [
            {"prompt": 'say "a" now', "completion": '"b" c'},
            {"prompt": '"d', "completion": "e"},
        ]

    @pytest.mark.parametrize(
        ("line", "code"),
        [(b"a", "E_CSV"), (b"\xff\tb", "E_UTF8"), (b"x" * 2_000 + b"\tb", "E_TOO_BIG")],
    )
    def test_a_bad_line_costs_one_row(self, line, code):
        data = b"prompt\tcompletion\na\tb\n\n" + line + b"\nc\td\n"

        assert values(read(data, "a.tsv")) == [
            {"prompt": "a", "completion": "b"},
            code,
            {"prompt": "c", "completion": "d"},
        ]

    def test_a_header_that_fits_no_shape_is_refused(self):
        with pytest.raises(FeedError, match=r"expected columns .*, got: a, b"):
            read(b"a\tb\nc\td\n", "a.tsv")


class TestParquet:
    @pytest.fixture
    def path(self, tmp_path):
        def write(rows, name="a.parquet"):
            path = tmp_path / name
            parquet.write_table(pyarrow.Table.from_pylist(rows), path)
            return path

        return write

    def test_rows_have_all_their_columns_and_nulls(self, path):
        row = {"messages": [{"role": "user", "content": "q"}], "weight": 0.5}
        file = path([row, {**row, "weight": None}])

        rows = list(read_source(file, SETTINGS, AS_THEY_ARE))

        assert values(rows) == [row, {**row, "weight": None}]

    def test_bytes_do_not_make_a_row_too_big(self, path):
        file = path([{"text": "a", "image": b"x" * 2_000}])

        [row] = read_source(file, SETTINGS, AS_THEY_ARE)

        assert row.value["image"] == b"x" * 2_000
        assert json.loads(row.raw) == {"text": "a", "image": "2000 bytes"}

    def test_columns_of_no_shape_are_named(self, path):
        file = path([{"query": "a", "reply": "b"}])

        with pytest.raises(FeedError, match=r"expected columns .*, got: query, reply"):
            list(read_source(file, SETTINGS, AS_THEY_ARE))

    def test_a_row_too_big_costs_one_row(self, path):
        file = path([{"text": "a"}, {"text": "x" * 2_000}, {"text": None}], "a")

        assert values(read_source(file, SETTINGS, AS_THEY_ARE)) == [
            {"text": "a"},
            "E_TOO_BIG",
            {"text": None},
        ]

    def test_text_in_no_utf_8_costs_one_row(self, tmp_path):
        texts = pyarrow.array([b"a", b"caf\xe9", b"b"]).view(pyarrow.utf8())
        parquet.write_table(pyarrow.table({"text": texts}), tmp_path / "a.parquet")

        rows = list(read_source(tmp_path / "a.parquet", SETTINGS, AS_THEY_ARE))

        assert values(rows) == [{"text": "a"}, "E_UTF8", {"text": "b"}]
        assert [row.line for row in rows] == [1, 2, 3]
        assert (rows[1].raw, rows[1].size) == (b"caf\xe9", 4)
        assert str(rows[1].fault) == "expected UTF-8, got byte 0xe9"

    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
    @pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz", "a"])
    def test_a_compressed_one_is_refused(self, path, compress, name):
        data = compress(path(ROWS).read_bytes())

        with pytest.raises(FeedError, match="got it compressed; decompress it first"):
            read(data, name)

    def test_what_is_no_parquet_is_refused(self):
        with pytest.raises(FeedError, match=r"a\.parquet: expected Parquet, got"):
            read(b"PAR1 but not really", "a.parquet")

    def test_a_pipe_is_refused(self, path):
        reader, writer = os.pipe()
        os.write(writer, path(ROWS).read_bytes()[:1_000])
        os.close(writer)

        with (
            os.fdopen(reader, "rb") as pipe,
            pytest.raises(FeedError, match="expected Parquet as an uncompressed file"),
        ):
            list(read_source(pipe, SETTINGS, AS_THEY_ARE))


class TestChoice:
    def test_a_stream_without_a_name_is_judged_by_its_first_bytes(self):
        for data in (jsonl(*ROWS), json.dumps(ROWS).encode()):
            assert values(read_source(io.BytesIO(data), SETTINGS, AS_THEY_ARE)) == ROWS

    def test_a_stream_is_left_open(self):
        stream = io.BytesIO(jsonl(*ROWS))

        list(read_source(stream, SETTINGS, AS_THEY_ARE))

        assert not stream.closed

    @pytest.mark.parametrize("name", ["a.log", "a", "a.rst.gz"])
    def test_what_cannot_be_told_is_refused(self, name):
        with pytest.raises(FeedError, match=r"expected JSONL, .* got b'once upon"):
            read(b"once upon a time", name)

    @pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a"])
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
    def test_utf_16_is_refused_with_advice(self, name, encoding):
        data = jsonl(*ROWS).decode().encode(encoding)

        with pytest.raises(FeedError, match="UTF-16 or no text; convert it with iconv"):
            read(data, name)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(FeedError, match=r"cannot read .*none\.jsonl: no such file"):
            list(read_source(tmp_path / "none.jsonl", SETTINGS, AS_THEY_ARE))

    def test_a_directory_is_named(self, tmp_path):
        with pytest.raises(FeedError, match="got another folder; name the files in it"):
            list(read_source(tmp_path, SETTINGS, AS_THEY_ARE))

    def test_a_pipe_is_read_as_it_comes(self):
        reader, writer = os.pipe()

        def write():
            with os.fdopen(writer, "wb") as file:
                for row in ROWS:
                    file.write(jsonl(row))
                    file.flush()

        thread = threading.Thread(target=write)
        thread.start()
        with os.fdopen(reader, "rb") as pipe:
            assert values(read_source(pipe, SETTINGS, AS_THEY_ARE)) == ROWS
        thread.join()


def test_mapped_columns_tell_a_table_that_no_name_tells():
    """
    As on standard input.
    """
    wanted = RowOptions(renamed={"Frage": "prompt", "Antwort": "completion"})

    rows = read(b"Frage,Antwort\na,b\n", "stdin", wanted=wanted)

    assert values(rows) == [{"Frage": "a", "Antwort": "b"}]
