"""A file that comes in is whole, or gone."""

import errno
import hashlib
import os
from contextlib import suppress

import pytest

from sleepcycle.errors import DiskError
from sleepcycle.files import disk
from sleepcycle.files.arriving import PREFIX, arriving, forget_arriving


def test_what_came_can_be_read_under_its_name(tmp_path):
    with arriving(tmp_path / "in") as file:
        file.write(b"one ")
        file.write(b"two")

        with file.reader("a.jsonl") as stream:
            assert (stream.read(), stream.name) == (b"one two", "a.jsonl")
        assert file.digest == hashlib.sha256(b"one two").digest()
        assert file.path.stat().st_mode & 0o777 == 0o600

    assert list((tmp_path / "in").iterdir()) == []


def test_what_is_kept_has_its_place(tmp_path):
    with arriving(tmp_path) as file:
        file.write(b"one")
        file.keep(tmp_path / "kept")

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"one"


def test_nothing_stays_of_what_failed(tmp_path):
    with suppress(RuntimeError), arriving(tmp_path) as file:
        file.write(b"one")
        raise RuntimeError

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_no_failed_one(tmp_path, monkeypatch):
    class Full(disk.System):
        def open(self, path, flags):
            return super().open("/dev/full", flags & ~os.O_EXCL)

    monkeypatch.setattr(disk, "system", Full())

    with pytest.raises(DiskError, match="No space left") as failed:
        with_all_of_it(tmp_path)

    assert failed.value.errno == errno.ENOSPC
    assert not disk.is_failed(failed.value)


def with_all_of_it(folder):
    """Take in more than a buffer holds."""
    with arriving(folder) as file:
        file.write(bytes(1 << 20))


def test_what_was_begun_is_forgotten(tmp_path):
    (tmp_path / f"{PREFIX}1").touch()
    (tmp_path / "other").touch()

    forget_arriving(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["other"]
