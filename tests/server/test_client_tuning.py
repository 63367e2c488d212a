"""The client teaches: files that are sent from the disk, jobs, feeds that broke off."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from sleepcycle.errors import (
    FeedError,
    FeedKeyError,
    LostServiceError,
    NotFoundError,
    TooLargeError,
    TuningError,
    VersionError,
)
from sleepcycle.home.opening import open_home
from sleepcycle.server import server
from sleepcycle.server.api_client import Client
from sleepcycle.server.client_bodies import CHUNK, SentFile
from sleepcycle.server.client_tuning import JobStatus
from sleepcycle.settings.config import ServeSettings
from tests.server.conftest import TOKEN

ROWS = b"".join(b'{"text": "A %s is red."}\n' % word for word in (b"rose", b"car"))


@pytest.fixture
def home(paths):
    return open_home(paths.root)


@pytest.fixture
def client(paths, scheduler, home):
    """A client of a service that takes a megabyte at most."""
    scheduler.cancel_tuning = home.tuning.cancel
    running = server.start(scheduler, TOKEN, paths, ServeSettings(max_feed_mb=1))
    yield Client(running.url, TOKEN)
    running.stop()


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(ROWS)
    return file


class Frugal(io.BytesIO):
    """A stream that notes how much of it is asked for at once."""

    def __init__(self, data):
        super().__init__(data)
        self.asked = []

    def read(self, size=-1):
        self.asked.append(size)
        return super().read(size)


def lose(answer):
    """Break a connection once its answer has come."""
    answer.read()
    raise ConnectionResetError("gone")


def cut(answer):
    """Break a connection within its answer."""
    answer.fp = io.BytesIO(answer.fp.read(5))
    return answer


@dataclass(frozen=True)
class Losing(Client):
    """A client whose connection breaks."""

    broken: Callable = lose

    def connected(self, patience_s):
        connection = super().connected(patience_s)
        answer = connection.getresponse
        connection.getresponse = lambda: self.broken(answer())
        return connection


class TestFiles:
    def test_one_is_kept_looked_at_and_deleted(self, client, rows):
        kept = client.files.upload(rows)

        assert (kept.name, kept.size_bytes, kept.purpose) == (
            "rows.jsonl",
            len(ROWS),
            "fine-tune",
        )
        assert client.files.get(kept.id) == kept
        assert b"".join(client.files.content(kept.id)) == ROWS
        client.files.delete(kept.id)
        with pytest.raises(NotFoundError, match=kept.id):
            next(client.files.content(kept.id))
        assert client.files.listing() == []

    @pytest.mark.parametrize(
        "name", ['a "b".jsonl', "line\nline", "räte.csv", "x" * 90]
    )
    def test_a_stream_is_kept_under_any_name(self, client, name):
        stream = io.BytesIO(ROWS)

        kept = client.files.upload(stream, name)

        assert kept.name.replace("%22", '"').replace("%0A", "\n") == name
        assert b"".join(client.files.content(kept.id)) == ROWS

    def test_all_pages_are_listed(self, client, rows, monkeypatch):
        monkeypatch.setattr("sleepcycle.server.client_tuning.PAGE", 1)
        kept = [client.files.upload(rows, f"{n}.jsonl") for n in range(3)]

        assert {one.id for one in client.files.listing()} == {one.id for one in kept}

    def test_one_that_is_too_large_is_refused_by_its_class(self, client, tmp_path):
        large = tmp_path / "large.jsonl"
        large.write_bytes(b"x" * 2_000_000)

        with pytest.raises(TooLargeError, match="expected a body of up to"):
            client.files.upload(large)
        with pytest.raises(TooLargeError, match="expected a body of up to 1000000"):
            client.feed(large)

    def test_one_that_is_not_there_is_named(self, client, tmp_path):
        with pytest.raises(FeedError, match=r"expected to read .*none, got: "):
            client.files.upload(tmp_path / "none")

    def test_bytes_that_break_off_are_told(self, client, rows):
        kept = client.files.upload(rows)
        content = Losing(client.url, TOKEN, cut).files.content(kept.id)

        assert next(content) == ROWS[:5]
        with pytest.raises(LostServiceError, match="and it broke off"):
            next(content)


class TestSentFile:
    def test_it_is_read_in_parts(self):
        stream = Frugal(b"x" * (3 * CHUNK + 1))

        sent = sum(map(len, SentFile(stream, "x").chunks()))

        assert sent == 3 * CHUNK + 1
        assert set(stream.asked) == {CHUNK}

    def test_what_is_added_meanwhile_is_left_out(self):
        assert b"".join(SentFile(io.BytesIO(b"abcdef"), "x", 4).chunks()) == b"abcd"

    def test_what_is_cut_off_meanwhile_is_told(self):
        with pytest.raises(FeedError, match="expected 9 bytes in x, got 3"):
            list(SentFile(io.BytesIO(b"abc"), "x", 9).chunks())

    def test_a_stream_of_text_is_refused(self):
        with pytest.raises(FeedError, match=r'one of str; open it with "rb"'):
            list(SentFile(io.StringIO("abc"), "x").chunks())


class TestJobs:
    def test_one_is_begun_told_of_and_cancelled(self, client, rows, scheduler):
        file = client.files.upload(rows)

        job = client.tuning.create(file.id, metadata={"who": "me"})

        assert (job.status, job.file, job.model) == (JobStatus.QUEUED, file.id, "live")
        assert (job.metadata, job.version, job.is_over) == ({"who": "me"}, None, False)
        assert client.tuning.get(job.id) == job
        assert [one.id for one in client.tuning.listing()] == [job.id]
        [event] = client.tuning.events(job.id)
        assert (event.level, event.at) == ("info", job.created_at)
        assert "of 2 rows 2 are new" in event.message

        over = client.tuning.cancel(job.id)

        assert (over.status, over.is_over) == (JobStatus.CANCELLED, True)
        assert over.ended_at >= job.created_at
        assert replace(over, status=job.status, ended_at=None) == job
        assert scheduler.asked == ["tune"]

    def test_what_happened_first_is_told_first(self, client, rows, monkeypatch):
        monkeypatch.setattr("sleepcycle.server.client_tuning.PAGE", 1)
        job = client.tuning.create(client.files.upload(rows).id)
        client.tuning.cancel(job.id)

        told = [event.message for event in client.tuning.events(job.id)]

        assert len(told) == 2
        assert "is batch" in told[0]
        assert told[1] == "the job has cancelled"

    def test_what_cannot_be_done_has_its_class_and_code(self, client, tmp_path):
        bad = tmp_path / "bad.jsonl"
        bad.write_text('{"nope": 1}\n')
        file = client.files.upload(bad)

        with pytest.raises(TuningError, match="bad rows") as caught:
            client.tuning.create(file.id)
        assert caught.value.param == "training_file"
        assert caught.value.code == "invalid_training_file"
        with pytest.raises(NotFoundError, match="ftjob-none"):
            client.tuning.get("ftjob-none")
        with pytest.raises(VersionError, match="v9"):
            client.tuning.create(file.id, model="v9")


class TestFeed:
    def test_what_was_stored_and_not_answered_is_fed_once(self, client, home, rows):
        with pytest.raises(LostServiceError, match="again with key='mine', under"):
            Losing(client.url, TOKEN).feed(rows, key="mine")

        report = client.feed(rows, key="mine")

        assert (report.batch, report.accepted) == (1, 2)
        assert len(home.batches.listing()) == 1
        with pytest.raises(FeedKeyError, match="mine"):
            client.feed([{"text": "other"}], key="mine")

    def test_a_key_of_its_own_is_told(self, client, home, rows):
        with pytest.raises(LostServiceError, match="key='") as caught:
            Losing(client.url, TOKEN).feed(rows)
        key = str(caught.value).partition("key='")[2].partition("'")[0]

        assert client.feed(rows, key=key).accepted == 2
        assert len(home.batches.listing()) == 1

    def test_what_broke_off_on_the_way_fed_nothing(self, client, home, rows):
        def half():
            yield {"text": "A rose is red."}
            raise ConnectionResetError("gone")

        with pytest.raises(LostServiceError, match="again with key='mine', under"):
            client.feed(half(), key="mine", name=rows.name)
        assert home.batches.listing() == []

        assert client.feed(rows, key="mine").accepted == 2

    def test_a_stream_is_sent_as_it_is_read(self, client, home, rows):
        stream = Frugal(ROWS)

        assert client.feed(stream, key="mine").accepted == 2
        assert max(stream.asked) == CHUNK
        with rows.open("rb") as file:
            assert client.feed(file).duplicate == 2

    def test_rows_may_be_of_any_number(self, client):
        rows = ({"text": f"row {n} " + "x" * 100} for n in range(2000))

        assert client.feed(rows).accepted == 2000
