"""Plain text, YAML, and files that hold no rows."""

import io
import tarfile
import zipfile

import pytest

from sleepcycle.errors import FeedError
from sleepcycle.feed.keys import kept_json
from sleepcycle.feed.shapes import RowOptions, read_row, shape_of
from sleepcycle.feed.yamlfile import WHOLE_BYTES
from sleepcycle.settings.config import FeedSettings
from tests.feed.conftest import read, values


class TestDocument:
    @pytest.mark.parametrize("name", ["a.txt", "a.md", "a.markdown"])
    @pytest.mark.parametrize(
        "text", ["Once.\n\nTwice.", "# Title\n- a", "[Home](x.html)\nmore", "{% raw %}"]
    )
    def test_a_file_is_one_text(self, name, text):
        data = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n"

        assert values(read(data, name)) == [{"text": text}]

    @pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf \n\n"])
    def test_a_blank_file_is_refused(self, feed, data):
        with pytest.raises(FeedError, match=r"expected rows, got none from .*a\.txt"):
            feed(data, "a.txt")

    def test_one_that_is_too_long_says_what_to_do(self):
        [row] = read(b"x" * 200_000, "a.txt")

        assert (row.fault.code, row.size) == ("E_TOO_BIG", 200_000)
        assert "split the document, or raise feed.max_row_bytes" in str(row.fault)

    def test_another_encoding_is_named(self):
        [row] = read("naïve".encode("latin-1"), "a.txt")

        assert str(row.fault) == "expected UTF-8, got byte 0xef at 2"


class TestYaml:
    @pytest.mark.parametrize("name", ["a.yaml", "a.yml"])
    def test_the_elements_of_a_list_are_rows(self, name):
        data = (
            b"- prompt: a\n  completion: |\n    b\n    c\n- {prompt: d, weight: 0.5}\n"
        )

        assert values(read(data, name)) == [
            {"prompt": "a", "completion": "b\nc\n"},
            {"prompt": "d", "weight": 0.5},
        ]

    def test_the_list_of_an_object_holds_the_rows(self):
        data = b"version: 1\ndata:\n- text: a\n- text: b\n"

        assert values(read(data, "a.yaml")) == [{"text": "a"}, {"text": "b"}]

    def test_a_key_beside_the_list_is_refused_by_name(self):
        data = b"system: Be rude.\ndata:\n- text: a\n"
        options = RowOptions(ignored=frozenset({"system"}))

        with pytest.raises(FeedError, match=r"no key 'system'.*--ignore system"):
            read(data, "a.yaml")
        assert values(read(data, "a.yaml", wanted=options)) == [{"text": "a"}]

    def test_an_object_of_turns_is_a_row(self):
        data = b"messages:\n- {role: user, content: q}\n"
        turns = [{"role": "user", "content": "q"}]

        assert values(read(data, "a.yaml")) == [{"messages": turns}]

    def test_documents_are_rows(self):
        assert values(read(b"text: a\n---\ntext: b\n---\n- text: c\n", "a.yaml")) == [
            {"text": "a"},
            {"text": "b"},
            {"text": "c"},
        ]

    def test_keys_and_values_that_json_does_not_know_are_text(self):
        data = (
            b"- {prompt: q, completion: a, 7: 2, 2020-01-02: x, null: y, true: z,\n"
            b"   day: 2020-01-02, at: 2020-01-02T03:04:05Z, s: !!set {b},\n"
            b"   m: {1: {2: 3}}, raw: !!binary AAA=}\n"
        )

        [row] = read(data, "a.yaml")

        assert row.value == {
            "prompt": "q",
            "completion": "a",
            "7": 2,
            "2020-01-02": "x",
            "null": "y",
            "true": "z",
            "day": "2020-01-02",
            "at": "2020-01-02T03:04:05+00:00",
            "s": ["b"],
            "m": {"1": {"2": 3}},
            "raw": b"\0\0",
        }
        assert kept_json(read_row(row.value, shape_of(row.value)).provenance)

    def test_keys_of_turns_are_text_too(self):
        data = b"data:\n- messages:\n  - {role: user, content: q, 1: 2}\n"
        data += b"  - {role: assistant, content: a}\n  5: six\n"

        [row] = read(data, "a.yaml")

        reading = read_row(row.value, shape_of(row.value))
        assert reading.provenance == {"turns[].1": [2], "5": "six"}

    def test_keys_of_one_text_cost_one_row(self):
        data = b"- {text: a, 1: b, '1': c}\n- {text: b}\n"

        assert values(read(data, "a.yaml")) == ["E_DUPKEY", {"text": "b"}]

    def test_a_row_too_big_costs_one_row(self):
        data = b"- text: a\n- text: " + b"x" * 2_000 + b"\n"

        assert values(read(data, "a.yaml")) == [{"text": "a"}, "E_TOO_BIG"]

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"- &a {text: x}\n- *a\n", "without anchors .* and aliases .* as JSONL"),
            (b"- {text: a, text: b}\n", "a key stands twice"),
            (b"- text: 'a\n", "expected YAML, got: while scanning a quoted scalar"),
            (b"- !!python/object:os.system {}\n", "could not determine a constructor"),
            (b"- " * 100_000, "expected at most 64 levels, got more"),
            (b"[" * 100_000, "expected YAML, got|expected at most 64 levels"),
            (b"- {[a]: b}\n", "expected YAML, got: while constructing a mapping"),
            (b"- 2026-99-99\n", "expected YAML, got: month must be in 1..12"),
            (b"\xff", "expected YAML, got"),
            (b"#" * (WHOLE_BYTES + 1), "bytes of YAML, got more; write it as JSONL"),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_what_cannot_be_read_is_refused(self, data, message):
        with pytest.raises(FeedError, match=message) as caught:
            read(data, "a.yaml", FeedSettings())

        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


def zipped(*names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    return data.getvalue()


def tarred(mode):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        archive.addfile(tarfile.TarInfo("a.jsonl"))
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xlsx", b"PK\x03\x04", "an Excel workbook; save the sheet as CSV"),
        ("a", zipped("xl/workbook.xml"), "an Excel workbook; save the sheet as CSV"),
        ("a.csv", zipped("xl/workbook.xml"), "an Excel workbook; save the sheet"),
        ("a.docx", b"PK\x03\x04", "a Word document; save it as plain text"),
        ("a.zip", zipped("a.jsonl"), "a zip archive; unpack it, and feed what is in"),
        ("a.tar", tarred("w"), "a tar archive; unpack it"),
        ("a.tar.gz", tarred("w:gz"), "a tar archive; unpack it"),
        ("a.tgz", tarred("w:xz"), "a tar archive; unpack it"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "an old Office file; save it as CSV"),
        ("a.txt", b"%PDF-1.7", "a PDF; save it as plain text"),
        ("a.jsonl", b"SQLite format 3\0", "an SQLite database; export a table"),
        ("a.jsonl", b"\x89PNG" + bytes(range(32)) * 9, "a binary file; export"),
        ("a.txt", "é".encode("utf-16"), "got UTF-16 or no text; convert it with iconv"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_no_rows_is_refused_with_what_to_do(name, data, message):
    with pytest.raises(FeedError, match=message) as caught:
        read(data, name)

    assert "\n" not in str(caught.value)
