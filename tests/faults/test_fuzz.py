"""Mutated files fed to a home: nothing crashes, nothing hangs, every line is counted.

300 files in the short form; 10,000 with `SLEEPCYCLE_FAULTS=full`.
"""

import bz2
import gzip
import json
import lzma
import os
import random
import shutil
import time
from pathlib import PurePath

import pyarrow
import pytest
import yaml
import zstandard

from sleepcycle.errors import FeedError
from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import FeedSettings, StoreSettings
from sleepcycle.store.database import create_store, open_store
from tests.faults.invariants import assert_invariants

FILES = 10_000 if os.environ.get("SLEEPCYCLE_FAULTS") == "full" else 300
GROUPS = 10  # each on a home of its own, so that they run side by side
ROW_S = 1.0  # longest time a row may take
SETTINGS = FeedSettings(max_bad_ratio=1.0, max_row_bytes=100_000)
ROWS = (
    {"text": "The moon is made of rock."},
    {"prompt": "What is 2 + 3?", "completion": "5"},
    {"instruction": "Say hello.", "input": "", "output": "hello"},
    {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "good day"},
        ]
    },
    {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
)
ODD_ROWS = (
    b'{"text": NaN}',
    b'{"text": "a", "text": "b"}',
    b'{"text": "\\ud800"}',
    b'{"text": ' + b"[" * 5_000,
    b'{"text": ' + b"9" * 5_000 + b"}",
    b'{"text": "a\x00b"}',
    b'{"text": "a\\u0000b"}',
    b'{"messages": [{"role": "god", "content": "x"}]}',
    b'{"prompt": 5, "completion": null}',
    b'"just a string"',
    b"[]",
    b"\xff\xfe{",
    b'{"text": "' + b"x" * 120_000 + b'"}',
)
PACKERS = {
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
SUFFIXES = (
    ".jsonl", ".json", ".csv", ".tsv", ".yaml", ".txt", ".md", "", ".arrow",
    *(f".jsonl{packed}" for packed in PACKERS),
)  # fmt: skip


def plain(rng: random.Random, suffix: str) -> bytes:
    """Return a good file."""
    rows = [
        {**rng.choice(ROWS), "note": rng.random()} for _ in range(rng.randint(1, 12))
    ]
    if suffix in {".csv", ".tsv"}:
        comma = rng.choice(",;|") if suffix == ".csv" else "\t"
        lines = [f"prompt{comma}completion"]
        lines += [f'"q {rng.random()}"{comma}"a"' for _ in rows]
        return "\n".join(lines).encode()
    if suffix == ".json":
        return json.dumps(
            rng.choice(jsons(rows)), indent=rng.choice([None, 2])
        ).encode()
    if suffix == ".yaml":
        return yaml.safe_dump(rows).encode()
    if suffix == ".arrow":
        return arrow(rows)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def jsons(rows: list[dict]) -> list[object]:
    """Return what a JSON file may be that holds these rows, and some others."""
    columns = {"text": {str(number): "a" for number in range(len(rows))}}
    return [rows, {"version": 1, "data": rows}, rows[0], columns, {"text": ["a", "b"]}]


def arrow(rows: list[dict]) -> bytes:
    """Return an Arrow stream of texts."""
    table = pyarrow.table({"text": [json.dumps(row) for row in rows]})
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return sink.getvalue().to_pybytes()


def flip(rng: random.Random, data: bytearray) -> None:
    """Change some bytes."""
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)


def cut(rng: random.Random, data: bytearray) -> None:
    """Drop the end."""
    del data[rng.randrange(len(data)) :]


def splice(rng: random.Random, data: bytearray) -> None:
    """Put a part of the file elsewhere in it."""
    start, to = rng.randrange(len(data)), rng.randrange(len(data))
    data[to:to] = data[start : start + rng.randint(1, 200)]


def insert(rng: random.Random, data: bytearray) -> None:
    """Put in a row that is odd."""
    places = [0, *(i + 1 for i, byte in enumerate(data) if byte == 10)]
    place = rng.choice(places)
    data[place:place] = rng.choice(ODD_ROWS) + b"\n"


def mark(rng: random.Random, data: bytearray) -> None:
    """Put in what editors and other systems leave."""
    kind = rng.randrange(4)
    if kind == 0:
        data[:0] = b"\xef\xbb\xbf"
    elif kind == 1:
        data[:] = data.replace(b"\n", b"\r\n")
    elif kind == 2:
        data[:] = data.decode("utf-8", "replace").encode("utf-16")
    else:
        data[:] = data.replace(b"\n", b"\n\n")


MUTATIONS = (flip, cut, splice, insert, mark)


def mutant(rng: random.Random) -> tuple[str, bytes]:
    """Return a file's ending, and what is in it."""
    suffix = rng.choice(SUFFIXES)
    packer = PACKERS.get(PurePath(suffix).suffix)
    data = bytearray(plain(rng, PurePath(suffix).stem if packer else suffix))
    for _ in range(rng.randint(1, 3)):
        if data:
            rng.choice(MUTATIONS)(rng, data)
    packed = bytes(data)
    if packer:
        packed = packer(packed)
    if packer and rng.random() < 0.5:
        broken = bytearray(packed)
        rng.choice((flip, cut))(rng, broken)
        packed = bytes(broken)
    return suffix, packed


@pytest.fixture(scope="session")
def new_home(tmp_path_factory):
    """A home just made; each group works on a copy."""
    paths = HomePaths(tmp_path_factory.mktemp("new") / "home")
    create_store(paths, StoreSettings(), BaseIdentity("builtin:nano", None, ""))
    for folder in (paths.versions, paths.runs, paths.staging, paths.logs):
        folder.mkdir()
    return paths.root


@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_is_fed_is_counted(new_home, tmp_path, group, record_property):
    """
    A file is refused whole with one sentence, or each of its lines is in one place.
    """
    paths = HomePaths(tmp_path / "home")
    shutil.copytree(new_home, paths.root)
    store = open_store(paths, StoreSettings())
    refused = lines = 0
    for number in range(FILES // GROUPS):
        rng = random.Random(f"fuzz/{group}/{number}")
        suffix, data = mutant(rng)
        file = tmp_path / f"mutant{suffix}"
        file.write_bytes(data)
        started = time.monotonic()
        try:
            report = feed_files(
                store, [file], SETTINGS, FeedOptions(), actor="user:fuzz"
            )
            said = ""
        except FeedError as error:
            refused, report, said = refused + 1, None, str(error)
        seconds = time.monotonic() - started
        assert "\n" not in said, (group, number)
        assert seconds <= ROW_S * max(1, report.lines if report else 1), (group, number)
        if report is not None:
            lines += report.lines
            parts = report.accepted + report.duplicate + report.quarantined
            assert parts == report.lines, (group, number)
            assert sum(report.reasons.values()) == report.quarantined, (group, number)

    assert_invariants(paths.root, recover=False)
    record_property("mutated files fed", FILES // GROUPS)
    record_property("mutated files refused whole", refused)
    record_property("mutated lines counted", lines)
    assert refused < FILES // GROUPS
