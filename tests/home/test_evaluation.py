"""Rows, columns and lessons of the retention matrix, and what they sum up to."""

from datetime import UTC, datetime

import pytest
import torch

from sleepcycle.errors import NotFoundError, VersionError
from sleepcycle.files.sealed import seal
from sleepcycle.home.evaluation import (
    ADAPTER,
    HeldOutExam,
    plan,
    score,
    score_version,
    sum_up,
)
from sleepcycle.model import adapters
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.portable import write_portable
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.settings.config import ModelSettings
from sleepcycle.store import batch_table, example_table, version_table
from sleepcycle.store.values import Alias, ExampleState


def feed(session, word):
    """Add a batch that holds out its one example."""
    batch = batch_table.add(session, word, "text", 0.5)
    text = canonical_json(Text(word))
    example_table.add(
        session, batch, ExampleState.HELD_OUT, [(content_hash(text), text, None, None)]
    )
    return batch


def make(session, kind, parents, learned=(), *, accepted=True):
    """Add a version to the database alone, and return its number."""
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


@pytest.fixture
def base(tmp_path):
    """The embedded base, bare."""
    return load_base(ModelSettings(), device="cpu", cache=tmp_path / "cache")


@pytest.fixture
def sealed(base, tmp_path):
    """Folder of a sealed version that changes every layer."""
    changes = {
        path: LowRank(torch.full((out, 1), 0.1), torch.full((1, width), 0.1))
        for path, (out, width) in base.targets.shapes.items()
    }
    write_portable(tmp_path / "stage", changes, base.identity, base.targets)
    return seal(tmp_path / "stage", tmp_path, "v0001")


def an_exam(*ids):
    """Return an exam of one text, which is learned whole but for its start."""
    return HeldOutExam([Encoded(ids, (0.0, *[1.0] * (len(ids) - 1)))], [])


class TestScoreVersion:
    def test_the_base_is_bare_again(self, base, sealed):
        exams = [an_exam(5, 6, 7)]
        bare = score(base, exams)

        found = score_version(base, sealed, exams)

        assert found != bare
        assert score(base, exams) == bare

    def test_a_failing_score_leaves_the_base_bare(self, base, sealed):
        """
        Or the next version would be scored, or asked, on top of it.
        """
        exams = [an_exam(5, 6, 7)]
        bare = score(base, exams)

        with pytest.raises(IndexError, match="out of range"):
            score_version(base, sealed, [an_exam(10**6, 5)])

        assert not list(adapters.layers(base, ADAPTER))
        assert score(base, exams) == bare
