"""A file that comes in is whole, or gone."""

import errno
import hashlib
import os
from contextlib import closing, suppress

import pytest

from sleepcycle.errors import DiskError
from sleepcycle.files import disk
from sleepcycle.files.arriving import PREFIX, arriving, forget_arriving


def test_what_came_can_be_read_under_its_name(tmp_path):
    with closing(arriving(tmp_path / "in")) as file:
        file.write(b"one ")
        file.write(b"two")

        with file.reader("a.jsonl") as stream:
            assert (stream.read(), stream.name) == (b"one two", "a.jsonl")
        assert file.digest == hashlib.sha256(b"one two").digest()
        assert file.path.stat().st_mode & 0o777 == 0o600

    assert list((tmp_path / "in").iterdir()) == []


def test_what_is_kept_has_its_place(tmp_path):
    with closing(arriving(tmp_path)) as file:
        file.write(b"one")
        file.keep(tmp_path / "kept")

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"one"


def test_nothing_stays_of_what_failed(tmp_path):
    with suppress(RuntimeError), closing(arriving(tmp_path)) as file:
        file.write(b"one")
        raise RuntimeError

    assert list(tmp_path.iterdir()) == []


class Full(disk.System):
    """A disk without room for a byte, or for what is brought to it."""

    def open(self, path, flags):
        path.touch()
        return super().open("/dev/full", flags & ~os.O_EXCL)

    def fsync(self, handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def full(tmp_path, monkeypatch):
    """A file that comes in where the disk is full."""
    disk.make(tmp_path)
    monkeypatch.setattr(disk, "system", Full())
    return arriving(tmp_path)


def test_a_full_disk_is_no_failed_one(full, tmp_path):
    with pytest.raises(DiskError, match="No space left") as failed, closing(full):
        full.write(bytes(1 << 20))  # more than a buffer holds

    assert disk.is_full(failed.value)
    assert not disk.is_failed(failed.value)
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_found_full_by_a_flush_is_no_failed_one(tmp_path, monkeypatch):
    """
    What was promised to nobody is not lost.
    """
    with closing(arriving(tmp_path)) as file:
        file.write(b"one")
        monkeypatch.setattr(disk, "system", Full())
        with pytest.raises(DiskError, match="No space left") as failed:
            file.flush()

    assert disk.is_full(failed.value)


def test_what_a_full_disk_did_not_take_is_let_go_of(full, tmp_path):
    full.write(b"one")

    full.close()

    assert list(tmp_path.iterdir()) == []


def test_what_was_begun_is_forgotten(tmp_path):
    (tmp_path / f"{PREFIX}1").touch()
    (tmp_path / "other").touch()

    forget_arriving(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["other"]
