"""Bodies that are streamed to a file, and how it is told what they hold."""

from pathlib import PurePath

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from sleepcycle.server.arrival_desk import Arrival
from sleepcycle.server.responses import Refusal

BODY = "body"
"""What a body without a name is called in reports."""

JSONL, JSON, CSV, TSV, YAML = ".jsonl", ".json", ".csv", ".tsv", ".yaml"
SUFFIXES = {
    "application/x-ndjson": JSONL,
    "application/ndjson": JSONL,
    "application/jsonl": JSONL,
    "application/x-jsonlines": JSONL,
    "application/json": JSON,
    "text/csv": CSV,
    "text/tab-separated-values": TSV,
    "application/yaml": YAML,
    "application/x-yaml": YAML,
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/vnd.apache.parquet": ".parquet",
    "application/vnd.apache.arrow.file": ".arrow",
    "application/vnd.apache.arrow.stream": ".arrow",
    "application/octet-stream": "",
    "application/gzip": "",
    "application/zstd": "",
    "": "",
}
"""How the name of a body ends by its type; nothing where its first bytes tell."""


def name_of_body(request: Request, name: str | None) -> str | Refusal:
    """Return what a body is called, by which it is told what it holds.

    Args:
        request: What came.
        name: What it says that the file was called; its type does not count then.
    """
    if name is not None:
        return PurePath(name.replace("\\", "/")).name or BODY
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in SUFFIXES:
        return BODY + SUFFIXES[kind]
    known = ", ".join(filter(None, SUFFIXES))
    return Refusal(
        415,
        "UnknownType",
        f"expected a Content-Type of {known}, got {kind[:80]!r}; or say by ?name= what "
        "the file is called",
    )


def bounds_of(request: Request, most: int, beside: int = 0) -> tuple[int, int]:
    """Return the least and the most bytes of the file in a body.

    Args:
        request: Whose body is yet to come.
        most: The bytes that its route allows.
        beside: Bytes that may come beside the file.
    """
    if "transfer-encoding" in request.headers:
        return 0, most
    told = int(request.headers.get("content-length", "0"))
    return max(0, told - beside), told


async def fill(arrival: Arrival, request: Request) -> None:
    """Put all of a body into a file.

    Raises:
        ClientDisconnect: It broke off.
        HTTPException: It is larger than its route allows.
        DiskError: The disk could not keep it.
    """
    async for chunk in request.stream():
        await run_in_threadpool(arrival.write, chunk)
