"""Rows, columns and lessons of the retention matrix, and what they sum up to."""

from datetime import UTC, datetime

import pytest

from sleepcycle.errors import NotFoundError, VersionError
from sleepcycle.home.evaluation import plan, sum_up
from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.store import batch_table, example_table, version_table
from sleepcycle.store.values import Alias, ExampleState


def feed(session, word):
    """Add a batch that holds out its one example."""
    batch = batch_table.add(session, word, "text", 0.5)
    text = canonical_json(Text(word))
    example_table.add(
        session, batch, ExampleState.HELD_OUT, [(content_hash(text), text)]
    )
    return batch


def make(session, kind, parents, learned=(), *, accepted=True):
    """Add a version to the books alone, and return its number."""
    number = version_table.next_number(session)
    version = Version(
        number=number,
        kind=kind,
        folder=f"v{number}",
        parents=parents,
        rank=1,
        accepted=accepted,
        created_at=datetime.now(UTC),
    )
    base = version_table.base(session)
    version_table.add(session, version, base, "{}", dict.fromkeys(learned, 1))
    return number


def night(session, live, learned, *, accepted=True):
    """Add a wake that learned batches, and the night after it."""
    day = make(session, VersionKind.WAKE, (live,), learned)
    return make(session, VersionKind.SLEEP, (live, day), accepted=accepted)


@pytest.fixture
def two_nights(home):
    """A home whose first night learned batches 1 and 2, and whose second batch 3."""
    with home.store.write() as session:
        first, second, third = (feed(session, word) for word in "abc")
        one = night(session, 0, [first, second])
        night(session, one, [third], accepted=False)
        version_table.point(session, Alias.LIVE, night(session, one, [third]))
    return home


def planned(home, *names):
    """Return what would be scored."""
    with home.store.read() as session:
        return plan(session, names, home.settings)


def test_rows_are_the_accepted_nights_and_batches_of_one_night_are_one_lesson(
    two_nights,
):
    course = planned(two_nights)

    assert [version.name for version in course.rows] == ["v2", "v6"]
    assert list(course.held_out) == [1, 2, 3]
    assert course.lessons == [[1, 2], [3]]


def test_metrics_are_of_the_means_of_lessons(two_nights):
    course = planned(two_nights)
    found = sum_up(course, [[1.0, 0.5, 0.25], [0.5, 0.5, 1.0]], [0.0, 0.0, 0.125])

    assert found is not None
    assert (found.acc, found.learned) == (0.75, 0.875)
    assert (found.bwt, found.forgetting, found.fwt) == (-0.25, 0.25, 0.125)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["v2"], id="batch 3 was learned by no row"),
        pytest.param(["v0", "v2", "v6"], id="the base learned nothing"),
    ],
)
def test_rows_and_lessons_that_make_no_square_have_no_metrics(two_nights, names):
    course = planned(two_nights, *names)

    assert [version.name for version in course.rows] == names
    assert sum_up(course, [[1.0] * 3 for _ in names], [0.0] * 3) is None


def test_nights_that_are_not_made_from_each_other_have_no_metrics(home):
    with home.store.write() as session:
        nights = [night(session, 0, [feed(session, word)]) for word in "ab"]
        version_table.point(session, Alias.LIVE, nights[-1])

    course = planned(home, *(f"v{number}" for number in nights))

    assert list(course.held_out) == [1, 2]
    assert course.lessons is None


def test_a_home_without_a_night_says_what_to_do(home):
    with pytest.raises(VersionError, match="live, which is v0; run wake and sleep"):
        planned(home)


def test_nothing_held_out_is_an_error(home):
    with pytest.raises(NotFoundError, match="nothing to evaluate on"):
        planned(home, "v0")
