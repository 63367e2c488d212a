"""Jobs of fine-tuning by OpenAI's addresses."""

from typing import Annotated, Any

from fastapi import FastAPI, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.tuning import TuningJob, TuningState
from sleepcycle.server.access import needs
from sleepcycle.server.fine_tuning import FineTuning
from sleepcycle.server.responses import answer, page_of
from sleepcycle.server.tuning_requests import AUTO, SETTINGS, JobRequest

JOBS = "/v1/fine_tuning/jobs"
MOST_LISTED = 100
HYPERPARAMETERS = dict.fromkeys(SETTINGS, AUTO)

Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]


def add_tuning_routes(app: FastAPI, tuning: FineTuning) -> None:
    """Add what lets a client of OpenAI's fine-tune."""

    @app.post(JOBS)
    @needs(TokenScope.FEED)
    async def create(body: JobRequest) -> Response:
        """Feed a file, and learn it now, or once what is on is over."""
        job = await tuning.create(body)
        return answer(await run_in_threadpool(_job, tuning, job))

    @app.get(JOBS)
    @needs(TokenScope.FEED, TokenScope.READ)
    def listing(after: str | None = None, limit: Limit = 20) -> Response:
        """Return jobs, newest first."""
        found = tuning.home.tuning.listing(limit + 1, after)
        return answer(page_of([_job(tuning, one) for one in found], limit))

    @app.get(JOBS + "/{name}")
    @needs(TokenScope.FEED, TokenScope.READ)
    def one(name: str) -> Response:
        """Return one job, as it is now."""
        return answer(_job(tuning, tuning.home.tuning.get(name)))

    @app.post(JOBS + "/{name}/cancel")
    @needs(TokenScope.FEED)
    def cancel(name: str) -> Response:
        """Let what waits of a job never be learned."""
        return answer(_job(tuning, tuning.cancel(name)))

    @app.get(JOBS + "/{name}/events")
    @needs(TokenScope.FEED, TokenScope.READ)
    def events(name: str, after: str | None = None, limit: Limit = 20) -> Response:
        """Return what happened to a job, newest first."""
        found = tuning.events(name)[::-1]
        ids = [one["id"] for one in found]
        begin = ids.index(after) + 1 if after in ids else 0
        return answer(page_of(found[begin : begin + limit + 1], limit))


def _job(tuning: FineTuning, job: TuningJob) -> dict[str, Any]:
    """Return a job in OpenAI's shape."""
    ended, error = job.ended_at, None
    if job.error is not None:
        error = {"code": "not_learned", "message": job.error, "param": None}
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": int(job.created_at.timestamp()),
        "finished_at": None if ended is None else int(ended.timestamp()),
        "estimated_finish": None,
        "model": job.model,
        "fine_tuned_model": None if job.version is None else f"v{job.version}",
        "organization_id": "sleepcycle",
        "status": _status(job),
        "training_file": job.file,
        "validation_file": None,
        "result_files": [],
        "trained_tokens": tuning.home.tuning.tokens(job),
        "error": error,
        "seed": tuning.scheduler.settings.wake.seed,
        "hyperparameters": HYPERPARAMETERS,
        "method": {
            "type": "supervised",
            "supervised": {"hyperparameters": HYPERPARAMETERS},
        },
        "integrations": [],
        "metadata": job.metadata,
    }


def _status(job: TuningJob) -> str:
    """Return how far a job is, in OpenAI's words."""
    if job.state is not TuningState.OPEN:
        return str(job.state)
    return "queued" if job.run is None else "running"
