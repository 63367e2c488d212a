"""Jobs of fine-tuning by OpenAI's addresses."""

import asyncio
import threading
import time

import pytest
from anyio import CapacityLimiter

from sleepcycle.feed import feed_lock
from sleepcycle.home.opening import open_home
from sleepcycle.home.uploads import UploadRegistry
from sleepcycle.server.feed_desk import FeedDesk
from sleepcycle.server.fine_tuning import FineTuning
from sleepcycle.server.tuning_requests import JobRequest
from tests.server.conftest import ask
from tests.server.test_file_routes import upload

JOBS = "/v1/fine_tuning/jobs"
ROWS = b"".join(b'{"text": "A %s is red."}\n' % word for word in (b"rose", b"car"))
AUTO = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}


@pytest.fixture
def home(paths):
    return open_home(paths.root)


@pytest.fixture
def file(served, scheduler, home):
    """A file that was uploaded, to a service that cancels jobs."""
    scheduler.cancel_tuning = home.tuning.cancel
    return upload(served, ROWS + b'{"neither": 1}\n' + ROWS * 2)[1]["id"]


def create(served, file, **more):
    """Ask for a job, and return status and JSON."""
    body = {"model": "live", "training_file": file} | more
    return ask(served, "POST", JOBS, body=body)


class TestCreating:
    def test_a_file_is_a_batch_that_is_to_be_learned(
        self, served, file, home, scheduler
    ):
        status, job = create(served, file, metadata={"who": "me"})

        assert (status, job["status"], job["training_file"]) == (200, "queued", file)
        assert (job["fine_tuned_model"], job["error"]) == (None, None)
        assert job["metadata"] == {"who": "me"}
        assert job["hyperparameters"] == AUTO
        assert scheduler.asked == ["tune"]
        assert home.batches.get(1)[0].source == file
        assert ask(served, "GET", f"{JOBS}/{job['id']}") == (200, job)

    def test_events_tell_what_was_fed_and_what_was_not(self, served, file):
        job = create(served, file)[1]["id"]

        _, told = ask(served, "GET", f"{JOBS}/{job}/events")

        assert [(one["level"], one["data"]) for one in told["data"]] == [
            ("warn", {"reasons": {"E_SHAPE": 1}}),
            ("info", None),
        ]
        assert "of 7 rows 2 are new, 4 known already" in told["data"][1]["message"]

    def test_the_same_file_again_is_the_same_batch(self, served, file, home):
        """
        As where the first answer was lost.
        """
        first, second = create(served, file)[1], create(served, file)[1]

        assert first["id"] != second["id"]
        assert {first["status"], second["status"]} == {"queued"}
        assert len(home.batches.listing()) == 1

    def test_the_same_file_twice_at_once_is_one_batch(self, served, file, home):
        """
        Neither can be stored before both are asked for.
        """
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(create(served, file)))
            for _ in range(2)
        ]
        with feed_lock.held(home.paths):
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            assert found == []
        for thread in threads:
            thread.join()

        states = [(status, job["status"]) for status, job in found]
        assert states == [(200, "queued")] * 2
        assert len(home.batches.listing()) == 1

    def test_what_is_known_already_fails_in_words(self, served, file, scheduler):
        create(served, file)
        other = upload(served, ROWS)[1]["id"]

        job = create(served, other)[1]

        assert job["status"] == "failed"
        assert "expected new examples" in job["error"]["message"]
        assert scheduler.asked == ["tune"]  # for the first alone

    @pytest.mark.parametrize("model", ["live", "v0", "builtin:nano"])
    def test_what_a_wake_goes_on_from_may_be_named(self, served, file, model):
        assert create(served, file, model=model)[0] == 200

    def test_a_file_that_is_deleted_meanwhile_is_learned(self, served, file, home):
        job = create(served, file)[1]["id"]

        assert ask(served, "DELETE", f"/v1/files/{file}")[0] == 200
        assert ask(served, "GET", f"{JOBS}/{job}")[1]["status"] == "queued"
        assert home.status().counts.pending == 2


UNDONE = {
    "epochs": ({"hyperparameters": {"n_epochs": 3}}, "hyperparameters.n_epochs"),
    "unknown": ({"hyperparameters": {"x": "auto"}}, "hyperparameters.x"),
    "list": ({"hyperparameters": {"n_epochs": [3]}}, "hyperparameters.n_epochs"),
    "dpo": ({"method": {"type": "dpo", "dpo": {}}}, "method"),
    "method": (
        {"method": {"type": "supervised", "supervised": {"hyperparameters": 1}}},
        "method.supervised.hyperparameters",
    ),
    "suffix": ({"suffix": "mine"}, "suffix"),
    "seed": ({"seed": 0}, "seed"),
    "validation": ({"validation_file": "file-1"}, "validation_file"),
    "metadata": ({"metadata": {"k" * 65: "v"}}, "metadata"),
    "key": ({"nope": 1}, "nope"),
}


class TestRefused:
    @pytest.mark.parametrize("case", UNDONE.values(), ids=UNDONE)
    def test_what_is_not_done_is_named(self, refusing, case):
        more, param = case
        file = upload(refusing, ROWS)[1]["id"]

        status, told = create(refusing, file, **more)

        assert (status, told["error"]["param"]) == (400, param)
        assert open_home(refusing.paths.root).batches.listing() == []

    @pytest.mark.parametrize(
        ("more", "code"),
        [
            ({"model": "gpt-4o-mini"}, "model_not_found"),
            ({"training_file": "file-nope"}, "not_found"),
        ],
    )
    def test_what_is_not_there(self, refusing, more, code):
        file = upload(refusing, ROWS)[1]["id"]

        status, told = create(refusing, file, **more)

        assert (status, told["error"]["code"]) == (404, code)

    def test_a_file_that_cannot_be_fed(self, served, scheduler):
        file = upload(served, b'{"neither": 1}\n')[1]["id"]

        status, told = create(served, file)

        assert (status, told["error"]["code"]) == (400, "invalid_training_file")
        assert scheduler.asked == []

    @pytest.mark.parametrize("more", ["", "/events"])
    def test_a_job_that_is_not_there(self, refusing, more):
        assert ask(refusing, "GET", f"{JOBS}/ftjob-1{more}")[0] == 404


def test_a_file_is_fed_in_its_turn(paths, scheduler, served, file):
    """
    Bodies that are fed, and files of jobs, share what may be fed at once.
    """

    async def ask_while_another_feeds():
        desk = FeedDesk(scheduler, paths, limiter=CapacityLimiter(1))
        jobs = FineTuning(desk, UploadRegistry(paths, 1_000_000))
        desk.limiter.acquire_on_behalf_of_nowait("another")
        asked = JobRequest(model="live", training_file=file)
        task = asyncio.create_task(jobs.create(asked))
        _, waiting = await asyncio.wait([task], timeout=0.5)
        desk.limiter.release_on_behalf_of("another")
        return waiting == {task}, await task

    waited, job = asyncio.run(ask_while_another_feeds())

    assert (waited, job.batch) == (True, 1)


class TestCancelling:
    def test_what_waits_is_never_learned(self, served, file, home):
        job = create(served, file)[1]["id"]

        status, told = ask(served, "POST", f"{JOBS}/{job}/cancel")

        assert (status, told["status"]) == (200, "cancelled")
        assert home.status().counts.pending == 0

    def test_what_is_over_is_refused(self, served, file):
        job = create(served, file)[1]["id"]
        ask(served, "POST", f"{JOBS}/{job}/cancel")

        status, told = ask(served, "POST", f"{JOBS}/{job}/cancel")

        assert (status, told["error"]["code"]) == (400, "job_is_over")


def test_jobs_are_listed_newest_first_and_paged(served, file):
    first, second = (create(served, file)[1]["id"] for _ in range(2))

    _, told = ask(served, "GET", f"{JOBS}?limit=1")
    _, rest = ask(served, "GET", f"{JOBS}?after={second}")

    assert ([one["id"] for one in told["data"]], told["has_more"]) == ([second], True)
    assert [one["id"] for one in rest["data"]] == [first]
