"""Files by OpenAI's addresses: what a client of theirs sends to fine-tune on."""

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response

from sleepcycle.errors import TuningError
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.home.uploads import UploadRegistry
from sleepcycle.records.upload import Upload
from sleepcycle.server.access import needs
from sleepcycle.server.arrival_desk import ArrivalDesk
from sleepcycle.server.bodies import bounds_of
from sleepcycle.server.multipart import FormReader
from sleepcycle.server.responses import answer, page_of

PURPOSE = "fine-tune"
FORM_BYTES = 100_000  # of a form beside its file
MOST_LISTED = 10_000
BINARY = "application/octet-stream"
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": [PURPOSE]},
                    },
                }
            }
        },
    }
}
"""What the document says of the body, which FastAPI does not read."""

Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]


def add_file_routes(app: FastAPI, desk: ArrivalDesk, most_bytes: int) -> None:
    """Add what keeps files, and shows them."""
    uploads, most = desk.uploads, most_bytes + FORM_BYTES
    _shown(app, uploads)

    @app.post("/v1/files", openapi_extra=BODY)
    @needs(TokenScope.FEED, max_body_bytes=most, chunked=True)
    async def upload(request: Request) -> Response:
        """Keep a file of examples; nothing of it is fed before a job asks for that."""
        bounds = bounds_of(request, most, FORM_BYTES)
        async with desk.arriving(bounds, is_kept=True) as arrival:
            form = FormReader(arrival)
            parser = form.open(request.headers.get("content-type", ""))
            try:
                async for chunk in request.stream():
                    await run_in_threadpool(form.write, parser, chunk)
            except ClientDisconnect:
                return answer({}, 400)  # which nobody takes
            name = form.expect_whole()
            _expect_known(form.fields)
            kept = await run_in_threadpool(desk.keep, arrival, name, PURPOSE)
        return answer(_file(kept))

    @app.delete("/v1/files/{name}")
    @needs(TokenScope.FEED)
    def delete(name: str) -> Response:
        """Delete a file; what a job has fed of it is learned all the same."""
        uploads.delete(name)
        return answer({"id": name, "object": "file", "deleted": True})


def _shown(app: FastAPI, uploads: UploadRegistry) -> None:
    """Add what shows files."""

    @app.get("/v1/files")
    @needs(TokenScope.FEED, TokenScope.READ)
    def listing(
        purpose: str | None = None,
        after: str | None = None,
        limit: Limit = MOST_LISTED,
        order: Literal["asc", "desc"] = "desc",
    ) -> Response:
        """Return the files that are kept."""
        found = [one for one in uploads.listing() if purpose in {None, one.purpose}]
        ordered = found if order == "desc" else found[::-1]
        if after is not None:
            last = uploads.get(after)
            ordered = ordered[ordered.index(last) + 1 :] if last in ordered else []
        rows = [_file(one) for one in ordered[: limit + 1]]
        return answer(page_of(rows, limit))

    @app.get("/v1/files/{name}")
    @needs(TokenScope.FEED, TokenScope.READ)
    def one(name: str) -> Response:
        """Return what is known of one file."""
        return answer(_file(uploads.get(name)))

    @app.get("/v1/files/{name}/content")
    @needs(TokenScope.FEED, TokenScope.READ)
    def content(name: str) -> Response:
        """Return the bytes of one file."""
        return FileResponse(uploads.path(name), media_type=BINARY)


def _expect_known(fields: dict[str, str]) -> None:
    """Refuse what a form says beside its file, but for the one purpose.

    Raises:
        TuningError: It has another purpose, or asks for what is not done.
    """
    purpose = fields.get("purpose")
    if purpose != PURPOSE:
        raise TuningError(
            f"expected the purpose {PURPOSE!r}, got {(purpose or '')[:80]!r}",
            param="purpose",
        )
    other = next((name for name in fields if name != "purpose"), None)
    if other is not None:
        raise TuningError(
            f"expected a file and a purpose, got {other[:80]!r} too; files are kept "
            "until they are deleted",
            param=other[:80],
        )


def _file(kept: Upload) -> dict[str, Any]:
    """Return a file in OpenAI's shape."""
    return {
        "id": kept.id,
        "object": "file",
        "bytes": kept.size_bytes,
        "created_at": int(kept.created_at.timestamp()),
        "expires_at": None,
        "filename": kept.name,
        "purpose": kept.purpose,
        "status": "processed",
        "status_details": None,
    }
