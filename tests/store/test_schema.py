from datetime import UTC, datetime, timedelta, timezone

import pytest

from sleepcycle.store.utc_time import UtcTime


class TestUtcTime:
    def test_text_sorts_as_time_does(self):
        column = UtcTime()
        east = timezone(timedelta(hours=5))
        times = [
            datetime(2026, 1, 1, 4, 0, tzinfo=east),
            datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
            datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        ]

        written = [column.process_bind_param(time, None) for time in times]

        assert written == sorted(written)
        read = [column.process_result_value(line, None) for line in written]
        assert read == times

    def test_a_time_without_a_zone_is_refused(self):
        with pytest.raises(ValueError, match="expected a time with a zone"):
            UtcTime().process_bind_param(datetime(2026, 1, 1), None)
