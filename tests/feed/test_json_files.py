"""JSON files that are not an object a line, told by how they begin."""

import io
import json

import pytest

from sleepcycle.errors import FeedError
from sleepcycle.feed.beginning import HEAD_BYTES
from sleepcycle.feed.objects import WHOLE_BYTES
from sleepcycle.feed.shapes import AS_THEY_ARE, RowOptions
from sleepcycle.feed.sources import read_source
from sleepcycle.settings.config import FeedSettings
from tests.feed.conftest import SETTINGS, figures, jsonl, read, values

PAIRS = [{"prompt": f"ask {n}", "completion": f"say {n}"} for n in range(30)]
TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
NAMES = ["a.json", "a.jsonl", "a", "a.csv", "a.txt"]


def pretty(*rows):
    return "\n".join(json.dumps(row, indent=2) for row in rows).encode()


def without(key):
    return RowOptions(ignored=frozenset({key}))


@pytest.mark.parametrize("name", NAMES)
class TestSpread:
    def test_one_object_over_many_lines_is_a_row(self, name):
        assert values(read(pretty(PAIRS[0]), name)) == PAIRS[:1]

    def test_objects_over_many_lines_are_rows(self, name):
        assert values(read(b"\xef\xbb\xbf\n" + pretty(*PAIRS), name)) == PAIRS

    def test_objects_in_one_line_are_rows(self, name):
        data = b"".join(json.dumps(row).encode() for row in PAIRS)

        assert values(read(data, name)) == PAIRS

    def test_lines_may_end_in_carriage_returns(self, name):
        assert values(read(jsonl(*PAIRS).replace(b"\n", b"\r"), name)) == PAIRS


class TestSpreadFaults:
    def test_each_row_has_its_place(self):
        data = b' {\n"text": "a"}\n\n{"text":\n"b"}\n'

        for row in read(data):
            assert data[row.offset : row.offset + row.size] == row.raw

    def test_a_first_object_longer_than_what_is_looked_at_is_a_row(self):
        rows = [{"text": "x" * HEAD_BYTES, "id": 1}, {"text": "b"}]
        settings = FeedSettings()

        assert values(read(pretty(*rows), settings=settings)) == rows

    def test_a_bad_object_costs_one_row(self):
        data = pretty(PAIRS[0]) + b"\n{\n nope\n}\n" + pretty(PAIRS[1])

        assert values(read(data)) == [PAIRS[0], "E_JSON", PAIRS[1]]

    def test_commas_between_objects_are_named(self):
        data = b",\n".join(pretty(row) for row in PAIRS[:2])

        [first, second] = read(data)

        assert first.value == PAIRS[0]
        assert "got a comma beside it; take the commas out" in str(second.fault)

    def test_a_bracket_too_many_costs_one_row(self):
        data = pretty(PAIRS[0]) + b"\n}\n" + pretty(*PAIRS[1:3])

        assert values(read(data)) == [PAIRS[0], "E_JSON", *PAIRS[1:3]]

    def test_a_missing_end_is_one_row(self):
        [good, bad] = read(pretty(PAIRS[0]) + b'\n{\n "text": "a"')

        assert str(bad.fault) == "expected } after an object, got the end"
        assert good.value == PAIRS[0]

    @pytest.mark.parametrize(
        "first",
        [b'{"messages": [{"role": "user"}', b'{"text": "a",', b"{", b'{"a": [', b"{]"],
    )
    def test_a_broken_first_line_costs_one_row(self, first):
        """
        It may look like the beginning of an object over many lines.
        """
        rows = values(read(first + b"\n" + jsonl(*PAIRS)))

        assert rows == ["E_JSON", *PAIRS]


class TestLines:
    def test_a_line_of_several_objects_is_several_rows(self):
        line = b'{"text": "b"} {"text": "c"}'

        rows = read(b'{"text": "a"}\n' + line + b'\n{"text": "d"}\n')

        assert values(rows) == [{"text": each} for each in "abcd"]
        assert [(row.line, row.offset) for row in rows] == [
            (1, 0),
            (2, 14),
            (2, 28),
            (3, 42),
        ]

    def test_several_objects_of_which_one_is_bad_are_one_bad_row(self):
        rows = read(b'{"text": "a"}\n{"text": "b"}{"text": }\n')

        assert values(rows) == [{"text": "a"}, "E_JSON"]
        assert rows[1].raw == b'{"text": "b"}{"text": }'

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (b'{"text": "b"},', "got a comma beside it; take the commas out"),
            (b"// note", "got a comment; take it out"),
            (b"# note", "got a comment; take it out"),
        ],
    )
    def test_a_known_mistake_is_named(self, line, message):
        rows = read(b'{"text": "a"}\n' + line + b'\n{"text": "c"}\n')

        assert values(rows) == [{"text": "a"}, "E_JSON", {"text": "c"}]
        assert message in str(rows[1].fault)

    def test_places_are_right_behind_many_blank_lines(self):
        blank = b"\n \r\n" * HEAD_BYTES

        rows = read(b'{"text": "a"}\n' + blank + b'{"text": "b"}')

        assert values(rows) == [{"text": "a"}, {"text": "b"}]
        assert rows[1].line == 2 + 2 * HEAD_BYTES
        assert rows[1].offset == 14 + len(blank)

    def test_lists_of_turns_are_lines(self):
        assert values(read(jsonl(TURNS, TURNS))) == [TURNS, TURNS]
        assert values(read(jsonl(TURNS))) == [TURNS]

    @pytest.mark.parametrize("indent", [None, 1])
    def test_an_array_is_read_whatever_the_name_says(self, indent):
        data = json.dumps(PAIRS, indent=indent).encode()

        for name in NAMES:
            assert values(read(data, name)) == PAIRS


class TestWrapped:
    @pytest.mark.parametrize("indent", [None, 1])
    @pytest.mark.parametrize(
        "more",
        [
            {"version": "1.0", "data": PAIRS, "count": 30},
            {"examples": PAIRS},
            {"name": "x", "whatever": PAIRS},
            {"conversations": [{"messages": TURNS}] * 3},
        ],
        ids=lambda value: " ".join(value),
    )
    def test_the_list_of_an_object_holds_the_rows(self, more, indent):
        data = b"\xef\xbb\xbf " + json.dumps(more, indent=indent).encode()
        rows = next(value for value in more.values() if isinstance(value, list))

        read_rows = read(data, "a.json")

        assert values(read_rows) == rows
        for row in read_rows:
            assert data[row.offset : row.offset + row.size] == row.raw

    @pytest.mark.parametrize("is_behind", [False, True])
    @pytest.mark.parametrize(
        ("key", "value"),
        [("system", "Be rude."), ("weight", 0), ("label", False), ("train", False)],
    )
    def test_a_key_beside_the_list_is_refused_by_name(self, key, value, is_behind):
        members = [("data", PAIRS), (key, value)]
        data = json.dumps(dict(members if is_behind else members[::-1])).encode()

        with pytest.raises(FeedError, match=f"no key '{key}'.*--ignore"):
            read(data, "a.json")
        assert values(read(data, "a.json", wanted=without(key))) == PAIRS

    def test_a_list_longer_than_what_is_looked_at_is_read(self):
        rows = [{"text": "é" * 100}] * 2_000

        data = json.dumps({"née": "é", "data": rows}, ensure_ascii=False).encode()

        assert values(read(data, "a.json")) == rows

    @pytest.mark.parametrize(
        "row",
        [
            {"messages": TURNS},
            {"conversations": [{"from": "human", "value": "q"}]},
            {"text": "a", "tools": [{"name": "f"}]},
            {"meta": {"a": 1}, "data": [{"text": "a"}]},
        ],
        ids=str,
    )
    def test_an_object_that_may_be_a_row_is_one(self, row):
        assert values(read(json.dumps(row).encode(), "a.json")) == [row]

    def test_objects_that_follow_each_other_are_rows(self):
        row = {"text": "a", "data": [{"text": "b"}]}

        assert values(read(jsonl(row, row))) == [row, row]

    @pytest.mark.parametrize(
        ("rest", "message"),
        [
            (b', "test": [{"text": "c"}]}', "expected one list of rows, got another"),
            (b', "n": 1', "expected } after the list of rows, got something else"),
            (b"", "expected } after the list of rows"),
        ],
    )
    def test_another_end_is_one_bad_row(self, rest, message):
        rows = read(b'{"train": [{"text": "a"}, {"text": "b"}]' + rest, "a.json")

        assert values(rows) == [{"text": "a"}, {"text": "b"}, "E_JSON"]
        assert message in str(rows[2].fault)


class TestColumns:
    def test_mappings_by_index_are_rows(self):
        columns = {
            key: {str(n): row[key] for n, row in enumerate(PAIRS)} for key in PAIRS[0]
        }

        for indent in (None, 2):
            data = json.dumps(columns, indent=indent).encode()
            assert values(read(data, "a.json")) == PAIRS

    def test_lists_are_rows(self):
        columns = {key: [row[key] for row in PAIRS] for key in PAIRS[0]}

        assert values(read(json.dumps(columns).encode(), "a.json")) == PAIRS

    def test_lists_of_turns_are_rows(self):
        data = json.dumps({"messages": [TURNS, TURNS]}).encode()

        assert values(read(data)) == [{"messages": TURNS}] * 2

    @pytest.mark.parametrize(
        "row",
        [
            {"prompt": ["a", "b"], "completion": "c"},
            {"prompt": ["a", "b"], "completion": ["c"]},
            {"prompt": {"0": "a"}, "completion": {"1": "c"}},
            {"prompt": {"0": "a"}, "completion": {"0": "c", "1": "d"}},
        ],
        ids=str,
    )
    def test_what_fits_no_table_is_a_row(self, row):
        for indent in (None, 2):
            assert values(read(json.dumps(row, indent=indent).encode())) == [row]

    @pytest.mark.parametrize("first", [b'{"text": ["a", nope}', b'{"text": ["a",'])
    def test_a_broken_first_line_costs_one_row(self, first):
        assert values(read(first + b"\n" + jsonl(*PAIRS))) == ["E_JSON", *PAIRS]

    def test_columns_longer_than_what_is_looked_at_are_rows(self):
        texts = ["x" * 900] * 200

        for indent in (None, 2):
            data = json.dumps({"text": texts}, indent=indent).encode()
            assert values(read(data)) == [{"text": text} for text in texts]

    def test_a_row_that_is_too_big_costs_one_row(self):
        data = json.dumps({"text": ["a", "x" * 2_000, "b"]}).encode()

        assert values(read(data)) == [{"text": "a"}, "E_TOO_BIG", {"text": "b"}]

    def test_a_table_too_big_to_be_held_is_refused(self):
        beginning = b'{"text": {"0": "'

        class Endless(io.RawIOBase):
            name = "a.json"
            given = 0

            def readable(self):
                return True

            def readinto(self, buffer):
                part = b"x" * len(buffer) if self.given else beginning
                self.given += len(part)
                buffer[: len(part)] = part
                return len(part)

        stream = Endless()

        with pytest.raises(FeedError, match="bytes of JSON in columns, got more; wri"):
            list(read_source(stream, SETTINGS, AS_THEY_ARE))
        assert stream.given < WHOLE_BYTES + 4 * HEAD_BYTES


class TestNan:
    def test_one_that_is_not_learned_costs_nothing(self, feed):
        report = feed(b'{"text": "a", "score": NaN, "more": {"loss": -Infinity}}\n')

        assert figures(report) == (1, 1, 0, 0)

    @pytest.mark.parametrize("number", [b"NaN", b"-Infinity"])
    def test_one_that_is_learned_is_named(self, feed, bad, number):
        feed(b'{"prompt": "a", "completion": ' + number + b"}\n")

        [row] = bad()
        assert row.code == "E_NAN"
        assert row.message.startswith("expected text in completion, got")
