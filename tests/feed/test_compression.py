"""Compressed files: what is in them, what is cut off, and what grows too much."""

import bz2
import gzip
import io
import lzma
import random
import tracemalloc

import pytest
import zstandard

from sleepcycle.errors import FeedError
from sleepcycle.feed.compression import FREE_BYTES, MAX_GROWTH, XZ_MEMORY
from sleepcycle.feed.shapes import AS_THEY_ARE
from sleepcycle.feed.sources import read_source
from tests.feed.conftest import SETTINGS, jsonl, read, values

RANDOM = random.Random(0)
ROWS = [{"text": RANDOM.randbytes(100).hex()} for _ in range(1_500)]
PACKERS = {
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": lambda data: bz2.compress(data, 1),  # several blocks, as a long file has
    ".xz": lzma.compress,
}


@pytest.fixture(params=PACKERS)
def suffix(request):
    return request.param


@pytest.fixture
def pack(suffix):
    return PACKERS[suffix]


def test_what_is_in_it_is_read_whatever_its_name(pack, suffix):
    for name in (f"a.jsonl{suffix}", "a.jsonl", "a", "a.jsonl.gz"):
        assert values(read(pack(jsonl(*ROWS)), name)) == ROWS


def test_a_name_before_the_ending_counts(pack, suffix):
    data = pack(b"text\nword\n")

    assert values(read(data, f"a.tsv{suffix}")) == [{"text": "word"}]


def test_frames_follow_each_other_with_padding_between(pack):
    data = pack(jsonl(*ROWS[:700])) + b"\0" * 512 + pack(jsonl(*ROWS[700:])) + b"\0" * 4

    assert values(read(data)) == ROWS


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.999])
def test_rows_before_a_cut_are_kept(pack, kept):
    data = pack(jsonl(*ROWS))

    *rows, last = read(data[: int(len(data) * kept)])

    assert last.fault.code == "E_STREAM"
    assert values(rows) == ROWS[: len(rows)]


def test_damage_is_one_bad_row(pack, suffix):
    if suffix == ".zst":
        pack = zstandard.ZstdCompressor(write_checksum=True).compress
    data = bytearray(pack(jsonl(*ROWS)))
    data[len(data) // 2] ^= 0xFF

    codes = values(read(bytes(data)))

    assert codes[-1] == "E_STREAM"
    assert codes.count("E_STREAM") == 1


def test_what_follows_the_last_frame_is_one_bad_row(pack):
    assert values(read(pack(jsonl(*ROWS)) + b"more")) == [*ROWS, "E_STREAM"]


def test_what_is_made_of_nothing_is_refused(pack):
    data = pack(b"\n" * (FREE_BYTES + (1 << 20)))
    assert len(data) * MAX_GROWTH < FREE_BYTES
    tracemalloc.start()

    with pytest.raises(FeedError, match="at most 500 bytes for each compressed byte"):
        read(data)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000


@pytest.mark.parametrize(
    ("name", "beginning"),
    [("a.csv", b"text\n"), ("a.tsv", b"text\n"), ("a.json", b"["), ("a.txt", b"")],
)
def test_every_reader_ends_where_the_growth_is_seen(name, beginning):
    data = gzip.compress(beginning + b"\n" * (FREE_BYTES + (1 << 20)))

    with pytest.raises(FeedError, match="at most 500 bytes for each compressed byte"):
        read(data, name)


def test_a_long_line_below_the_bound_is_never_held(pack):
    data = pack(b"x" * 30_000_000 + b'\n{"text": "next"}\n')
    tracemalloc.start()

    rows = read(data)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert values(rows) == ["E_TOO_BIG", {"text": "next"}]
    assert peak < 20_000_000


def test_xz_that_asks_for_much_memory_is_one_bad_row():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 4 * XZ_MEMORY}]
    packer = lzma.LZMACompressor(filters=filters)
    data = packer.compress(jsonl({"text": "a"})) + packer.flush()

    [row] = read(data)

    assert row.fault.code == "E_STREAM"
    assert "memory usage limit exceeded" in str(row.fault)


def test_a_stream_that_gives_little_at_once_is_read(pack):
    class Slow(io.BytesIO):
        def readinto(self, buffer):
            return super().readinto(memoryview(buffer)[:7])

    assert (
        values(read_source(Slow(pack(jsonl(*ROWS[:50]))), SETTINGS, AS_THEY_ARE))
        == (ROWS[:50])
    )
