"""Nights and windows by local clocks, at the places where clocks are odd."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sleepcycle.daemon.calendar import (
    FOREVER,
    next_night,
    next_window,
    night_date,
    night_due,
    window_end,
    zone,
)
from sleepcycle.settings.config import SleepSettings, WakeSettings

ROME = ZoneInfo("Europe/Rome")
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri"]


def sleep(at="03:00", timezone="Europe/Rome", **settings):
    return SleepSettings(at=at, timezone=timezone, **settings)


def wake(window="", days=None):
    return WakeSettings(window=window, **({} if days is None else {"days": days}))


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rome(text, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ROME, fold=fold)


class TestZone:
    def test_the_named_zone_is_taken(self):
        assert zone(sleep(timezone="Asia/Kathmandu")).key == "Asia/Kathmandu"

    def test_no_name_is_the_system_s_zone(self):
        """The offset is the one that the C library uses."""
        now = datetime.now(UTC)

        found = zone(sleep(timezone=""))

        assert now.astimezone(found).utcoffset() == now.astimezone().utcoffset()


class TestNightDate:
    def test_a_date_has_its_night_from_its_time_on(self):
        before, at = rome("2026-05-10T02:59:59"), rome("2026-05-10T03:00:00")

        assert night_date(before, sleep()) == date(2026, 5, 9)
        assert night_date(at, sleep()) == date(2026, 5, 10)

    @pytest.mark.parametrize(
        ("timezone", "at", "day", "moment"),
        [
            # Spring: 03:00 to 04:00, 00:00 to 01:00, by 30 minutes, by two hours.
            ("Europe/Helsinki", "03:30", "2027-03-28", "2027-03-28T01:00"),
            ("Europe/Helsinki", "03:00", "2027-03-28", "2027-03-28T01:00"),
            ("Europe/Helsinki", "04:00", "2027-03-28", "2027-03-28T01:00"),
            ("Africa/Cairo", "00:00", "2027-04-30", "2027-04-29T22:00"),
            ("Australia/Lord_Howe", "02:15", "2027-10-03", "2027-10-02T15:30"),
            ("Antarctica/Troll", "02:30", "2027-03-28", "2027-03-28T01:00"),
            # The gap goes from 23:00 into the next date.
            ("America/Scoresbysund", "23:30", "2027-03-27", "2027-03-28T01:00"),
            # Autumn: twice 03:30, twice 23:30 with midnight never before it, half.
            ("Europe/Helsinki", "03:30", "2027-10-31", "2027-10-31T00:30"),
            ("Africa/Cairo", "23:30", "2027-10-28", "2027-10-28T20:30"),
            ("Africa/Cairo", "00:00", "2027-10-29", "2027-10-28T22:00"),
            ("Australia/Lord_Howe", "01:45", "2027-04-04", "2027-04-03T14:45"),
            # No whole hour from UTC, and the ends of the world.
            ("Asia/Kathmandu", "03:00", "2027-06-01", "2027-05-31T21:15"),
            ("Pacific/Kiritimati", "00:00", "2027-06-02", "2027-06-01T10:00"),
        ],
    )
    def test_the_night_begins_at_a_known_moment(self, timezone, at, day, moment):
        """The moments are taken from the zones' rules by hand."""
        settings, begins = sleep(at, timezone), utc(moment)

        before = night_date(begins - timedelta(seconds=1), settings)

        assert before == date.fromisoformat(day) - timedelta(days=1)
        assert night_date(begins, settings) == date.fromisoformat(day)

    def test_the_clock_back_over_midnight_keeps_the_newer_date(self):
        """St. John's went from 00:01 back to 23:01: the night of the 7th had begun."""
        settings = sleep("00:00", "America/St_Johns")
        again = utc("2010-11-07T02:40")

        assert again.astimezone(ZoneInfo("America/St_Johns")).day == 6
        assert night_date(again, settings) == date(2010, 11, 7)

    def test_a_date_that_a_zone_left_out_has_no_night(self):
        """Samoa went over the date line: there was no 30 December 2011."""
        settings = sleep("03:00", "Pacific/Apia")
        first = utc("2011-12-30T10:00")  # 31 December 00:00

        assert night_date(first - MINUTE, settings) == date(2011, 12, 29)
        assert night_date(first, settings) == date(2011, 12, 29)
        assert night_date(first + 3 * HOUR, settings) == date(2011, 12, 31)


class TestNextNight:
    def test_it_is_the_time_of_the_next_date(self):
        now = rome("2026-05-10T15:00")

        assert next_night(now, sleep(), None) == rome("2026-05-11T03:00")

    def test_it_is_after_a_night_that_the_clock_made_early(self):
        """Done with the clock a day ahead, then the clock came back."""
        now = rome("2026-05-10T15:00")

        found = next_night(now, sleep(), date(2026, 5, 11))

        assert found == rome("2026-05-12T03:00")

    def test_it_is_the_end_of_the_gap_in_spring(self):
        now = utc("2027-03-27T12:00")

        found = next_night(now, sleep("03:30", "Europe/Helsinki"), None)

        assert found == utc("2027-03-28T01:00")

    def test_it_passes_over_a_date_that_is_left_out(self):
        now = utc("2011-12-29T20:00")  # the 29th, after its night

        found = next_night(now, sleep("03:00", "Pacific/Apia"), date(2011, 12, 29))

        assert found == utc("2011-12-30T13:00")  # the 31st

    def test_a_night_is_due_when_the_next_one_comes_and_not_before(self):
        settings, last = sleep("02:30"), date(2027, 3, 27)
        begins = next_night(rome("2027-03-27T20:00"), settings, last)

        assert night_due(begins - MINUTE, settings, last, None) is None
        assert night_due(begins, settings, last, None) == date(2027, 3, 28)


class TestNightDue:
    def test_a_service_that_was_off_for_days_sleeps_once(self):
        now = rome("2026-05-10T15:00")

        due = night_due(now, sleep(), date(2026, 5, 1), None)

        assert due == date(2026, 5, 10)
        assert night_due(now, sleep(), due, None) is None

    def test_without_catch_up_a_night_is_due_for_an_hour(self):
        settings, last = sleep(catch_up=False), date(2026, 5, 9)
        begins = rome("2026-05-10T03:00")

        assert night_due(begins + HOUR - MINUTE, settings, last, None) is not None
        assert night_due(begins + HOUR, settings, last, None) is None

    @pytest.mark.parametrize("back", [HOUR, timedelta(days=1), timedelta(days=400)])
    def test_no_night_repeats_when_the_clock_goes_back(self, back):
        now, last = rome("2026-05-10T03:10"), date(2026, 5, 10)

        assert night_due(now - back, sleep(), last, None) is None

    def test_a_clock_that_went_forward_gives_one_night(self):
        now = rome("2026-05-13T15:00")

        assert night_due(now, sleep(), date(2026, 5, 10), None) == date(2026, 5, 13)

    @pytest.mark.parametrize(
        ("created", "first"),
        [
            ("2026-05-10T15:00", "2026-05-11T03:00"),
            ("2026-05-10T01:00", "2026-05-10T03:00"),
        ],
    )
    def test_a_new_home_sleeps_first_when_its_first_night_comes(self, created, first):
        """The nights before it are not owed, the next one is, even late."""
        since = night_date(rome(created), sleep())
        begins = rome(first)

        assert night_due(rome(created), sleep(), None, since) is None
        assert night_due(begins - MINUTE, sleep(), None, since) is None
        assert night_due(begins + 9 * HOUR, sleep(), None, since) == begins.date()

    def test_where_nothing_is_known_nothing_is_owed(self):
        begins = rome("2026-05-10T03:00")

        assert night_due(begins, sleep(), None, None) == begins.date()
        assert night_due(begins + HOUR, sleep(), None, None) is None


class TestWindow:
    def test_it_is_open_from_its_begin_to_its_end(self):
        settings = wake("08:00-22:30")
        end = rome("2026-05-10T22:30")

        assert window_end(rome("2026-05-10T07:59"), settings, ROME) is None
        assert window_end(rome("2026-05-10T08:00"), settings, ROME) == end
        assert window_end(end - MINUTE, settings, ROME) == end
        assert window_end(end, settings, ROME) is None

    def test_one_over_midnight_belongs_to_the_day_it_begins_on(self):
        """2026-05-08 is a Friday."""
        settings = wake("22:00-06:00", days=["fri"])
        end = rome("2026-05-09T06:00")

        assert window_end(rome("2026-05-08T05:00"), settings, ROME) is None
        assert window_end(rome("2026-05-08T22:00"), settings, ROME) == end
        assert window_end(rome("2026-05-09T05:59"), settings, ROME) == end
        assert window_end(rome("2026-05-09T22:00"), settings, ROME) is None

    @pytest.mark.parametrize(("day", "hours"), [("2027-03-27", 7), ("2027-10-30", 9)])
    def test_it_ends_by_the_clock_when_the_clock_moves(self, day, hours):
        """22:00-06:00 is an hour shorter in spring, and longer in autumn."""
        opens = rome(f"{day}T22:00").astimezone(UTC)

        end = window_end(opens, wake("22:00-06:00"), ROME)

        assert end - opens == timedelta(hours=hours)

    def test_one_in_the_gap_of_the_clock_never_opens(self):
        """There is no 02:10 in Rome on 2027-03-28; the next day has one."""
        settings = wake("02:10-02:50")
        gap = utc("2027-03-28T01:00")

        assert window_end(gap, settings, ROME) is None
        assert next_window(gap, settings, ROME) == rome("2027-03-29T02:10")

    def test_no_window_is_open_for_good(self):
        now = utc("2026-05-10T15:00")

        assert window_end(now, wake(), ROME) == now + FOREVER
        assert next_window(now, wake(), ROME) == now

    def test_days_without_a_window_are_whole_and_grow_together(self):
        """2026-05-11 is a Monday."""
        settings, tuesday = wake(days=WEEKDAYS), rome("2026-05-12T15:00")
        monday, saturday = rome("2026-05-11T00:00"), rome("2026-05-16T00:00")

        assert window_end(tuesday, settings, ROME) == saturday
        assert window_end(saturday, settings, ROME) is None
        assert window_end(monday - MINUTE, settings, ROME) is None
        assert next_window(monday - HOUR, settings, ROME) == monday

    def test_the_next_one_is_on_the_next_day_that_is_named(self):
        settings = wake("22:00-06:00", days=["fri"])
        saturday = rome("2026-05-09T06:00")

        assert next_window(saturday, settings, ROME) == rome("2026-05-15T22:00")

    def test_within_one_the_next_is_now(self):
        now = utc("2026-05-10T15:00")

        assert next_window(now, wake("08:00-22:30"), ROME) == now

    def test_no_days_are_never(self):
        now = utc("2026-05-10T15:00")

        assert window_end(now, wake(days=[]), ROME) is None
        assert next_window(now, wake(days=[]), ROME) == now + FOREVER

    def test_what_comes_back_is_utc(self):
        """Local times that exist twice do not compare, so none are given out."""
        now = rome("2027-10-31T02:30", fold=1)
        found = [
            window_end(now, wake("02:00-05:00"), ROME),
            next_window(now, wake("08:00-22:30"), ROME),
            next_night(now, sleep(), None),
        ]

        assert {moment.tzinfo for moment in found} == {UTC}
