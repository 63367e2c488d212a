import pytest

from sleepcycle.errors import StoreError
from sleepcycle.store.write_lock import no_writers
from tests.store.conftest import add_batch


class TestNoWriters:
    def test_a_writer_is_refused_in_the_block(self, store):
        with (
            no_writers(store.paths),
            pytest.raises(StoreError, match="another process is writing"),
            store.write() as session,
        ):
            add_batch(session, ["one"])

    def test_a_writer_may_go_on_after_the_block(self, store):
        with no_writers(store.paths):
            pass

        with store.write() as session:
            assert add_batch(session, ["one"]) == 1

    def test_a_database_that_is_being_written_is_refused(self, store):
        with (
            store.write(),
            pytest.raises(StoreError, match="another process is writing"),
            no_writers(store.paths),
        ):
            pass

    @pytest.mark.parametrize("data", [None, b"no database" * 100])
    def test_nothing_is_locked_where_nobody_can_write(self, store, data):
        if data is None:
            store.paths.database.unlink()
        else:
            store.paths.database.write_bytes(data)
        ran = False

        with no_writers(store.paths):
            ran = True

        assert ran
