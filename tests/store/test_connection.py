"""What SQLite says becomes a sentence that names what to do."""

import errno
import sqlite3

import pytest

from sleepcycle.errors import DiskError
from sleepcycle.files import disk
from sleepcycle.store.connection import explain


class Quota(disk.System):
    """A system whose user has used all that the quota allows."""

    def write(self, handle, data):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def failed_write():
    """Return what SQLite raises where a write failed, for any reason but no room."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    return error


def test_a_quota_that_is_used_up_is_no_failed_disk(store, monkeypatch):
    monkeypatch.setattr(disk, "system", Quota())

    told = explain(failed_write(), store.paths)

    assert isinstance(told, DiskError)
    assert "the quota is used up; there is no room; free some space" in str(told)
    assert not disk.is_failed(told)


def test_a_disk_that_failed_is_one_where_others_can_write(store):
    told = explain(failed_write(), store.paths)

    with pytest.raises(DiskError, match="the disk failed; check it before anything"):
        raise told
    assert disk.is_failed(told)
