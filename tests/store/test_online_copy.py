import pytest

from sleepcycle.errors import HomeError, StoreError
from sleepcycle.files.paths import HomePaths
from sleepcycle.store import batch_table
from sleepcycle.store.database import Store
from sleepcycle.store.online_copy import copy_database
from tests.store.conftest import SETTINGS, add_batch


class TestCopyDatabase:
    def test_it_is_of_what_was_committed(self, store, tmp_path):
        """
        A writer that is on meanwhile keeps its change to itself.
        """
        copy = HomePaths(tmp_path / "copy")
        copy.root.mkdir()
        with store.write() as session:
            add_batch(session, ["one"])

        copy_database(store.paths, copy.database, timeout_s=1.0)
        with store.write() as session:
            add_batch(session, ["two"])

        with Store(copy, SETTINGS).read() as session:
            assert len(batch_table.list_batches(session)) == 1

    def test_it_is_closed_to_other_users(self, store, tmp_path):
        copy_database(store.paths, tmp_path / "copy.db", timeout_s=1.0)

        assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600

    def test_a_home_without_a_database_is_refused(self, paths, tmp_path):
        with pytest.raises(HomeError, match="no home at"):
            copy_database(paths, tmp_path / "copy.db", timeout_s=1.0)

    def test_a_damaged_database_is_our_error(self, store, tmp_path):
        store.paths.database.write_bytes(b"no database" * 100)

        with pytest.raises(StoreError, match="put back a whole copy"):
            copy_database(store.paths, tmp_path / "copy.db", timeout_s=1.0)
