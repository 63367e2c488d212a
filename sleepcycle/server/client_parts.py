"""Parts of the client: versions, batches, runs, inbox and tokens of a service."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from sleepcycle.server.transport import ANSWER_S, Json, Transport

if TYPE_CHECKING:
    from sleepcycle.backup.gc import Cleared
    from sleepcycle.home.versions import VersionListing
    from sleepcycle.records.captured import Captured, Deleted
    from sleepcycle.store.values import Batch, ExampleState, Run

PAGE = 1000  # rows of one answer
INBOX_PAGE = 100  # of them conversations, which are long

R = TypeVar("R")


def record(answer: Any, kind: type[R]) -> R:  # noqa: ANN401 - plain data
    """Return the record that the service answered with."""
    from sleepcycle.records.codec import from_plain  # loads pydantic

    return from_plain(answer, kind)


@dataclass(frozen=True)
class ClientPart:
    """What asks one service."""

    service: Transport

    def pages(self, path: str, after_of: Callable[[Json], object]) -> Iterator[Json]:
        """Yield the rows of all pages of a list.

        Args:
            path: Of the list.
            after_of: Returns what the page behind a row is asked by.
        """
        query = f"?limit={PAGE}"
        while True:
            rows = self.service.call("GET", path + query)
            yield from rows
            if len(rows) < PAGE:
                return
            query = f"?limit={PAGE}&after={after_of(rows[-1])}"

    def counted(self, path: str) -> Iterator[Json]:
        """Yield the rows of all pages of a list that is asked by how many were seen."""
        seen = count(PAGE, PAGE)
        return self.pages(path, lambda _: next(seen))


class VersionClient(ClientPart):
    """The versions of a service."""

    def listing(self) -> "list[VersionListing]":
        """Return all versions, oldest first; where their files lie is not told."""
        rows = self.pages("/api/versions", lambda row: row["version"])
        return [_listed(row) for row in rows]

    def card(self, name: str) -> Json:
        """Return a version's card, and since when its files are gone."""
        return dict(self.service.call("GET", _version(name)))

    def diff(self, first: str, second: str) -> Json:
        """Compare what two versions change, and their loss on held-out examples."""
        path = f"{_version(first)}/diff/{quote(second, safe='')}"
        return dict(self.service.call("GET", path, patience_s=ANSWER_S))

    def verify(self, names: Sequence[str] = ()) -> Json:
        """Check versions against their manifests, and without names the journal."""
        asked = {"names": list(names)}
        return dict(self.service.call("POST", "/api/versions/verify", asked))

    def alias(self, alias: str, name: str) -> str:
        """Let a name of the user's own point at a version; return the version's."""
        path = f"{_version(name)}/alias"
        return str(self.service.call("POST", path, {"alias": alias})["version"])

    def drop_alias(self, alias: str) -> None:
        """Forget a name of the user's own."""
        self.service.call("DELETE", f"/api/aliases/{quote(alias, safe='')}")

    def export(
        self, name: str, folder: str | PathLike[str], form: str = "peft"
    ) -> None:
        """Write a version into a new folder of the service's machine.

        Args:
            name: Version or alias.
            folder: Where to, by its whole path.
            form: `peft`, `merged`, `gguf` or `ollama`.
        """
        asked = {"path": str(folder), "format": form}
        self.service.call("POST", f"{_version(name)}/export", asked)

    def clear(self, *, keep: int | None = None, dry_run: bool = False) -> "Cleared":
        """Remove the files of versions that nothing needs; what they were stays known.

        Args:
            keep: Accepted nights behind live that are kept; None for three.
            dry_run: Tell what would be removed, and change nothing.
        """
        from sleepcycle.backup.gc import Cleared

        asked: Json = {"dry_run": dry_run}
        asked |= {} if keep is None else {"keep": keep}
        return record(self.service.call("POST", "/api/versions/gc", asked), Cleared)


class BatchClient(ClientPart):
    """The batches of a service."""

    def listing(self) -> "list[Batch]":
        """Return every batch, oldest first."""
        from sleepcycle.store.values import Batch

        rows = self.pages("/api/batches", lambda row: row["id"])
        return [record(row, Batch) for row in rows]

    def get(self, number: int) -> "tuple[Batch, dict[ExampleState, int]]":
        """Return one batch, and where its examples are now."""
        from sleepcycle.store.values import Batch, ExampleState

        found = self.service.call("GET", f"/api/batches/{number}")
        states = {ExampleState(name): n for name, n in found["states"].items()}
        return record(found["batch"], Batch), states

    def bad_rows(self, batch: int | None = None) -> Iterator[Json]:
        """Yield quarantined rows of one batch or of all, with how each begins."""
        path = "/api/batches" if batch is None else f"/api/batches/{batch}"
        yield from self.counted(f"{path}/quarantine")

    def examples(self, number: int, line: int | None = None) -> list[Json]:
        """Return a batch's first examples as the model sees them, or those of a row."""
        query = "" if line is None else f"?line={line}"
        path = f"/api/batches/{number}/examples{query}"
        return list(self.service.call("GET", path, patience_s=ANSWER_S))

    def exclude(self, batch: int) -> int:
        """Take a batch out of all to come; return how many examples it had."""
        path = f"/api/batches/{batch}/exclude"
        return int(self.service.call("POST", path)["excluded"])

    def requeue(self, batch: int) -> "dict[ExampleState, int]":
        """Let a batch be learned again; return where its examples are now."""
        from sleepcycle.store.values import ExampleState

        found = self.service.call("POST", f"/api/batches/{batch}/requeue")
        found.pop("batch")
        return {ExampleState(name): count for name, count in found.items()}


class RunClient(ClientPart):
    """The runs of a service."""

    def listing(self) -> "list[Run]":
        """Return wakes and nights, newest first."""
        from sleepcycle.store.values import Run

        rows = self.pages("/api/runs", lambda row: row["id"])
        return [record(row, Run) for row in rows]

    def get(self, number: int) -> "Run":
        """Return one run."""
        from sleepcycle.store.values import Run

        return record(self.service.call("GET", f"/api/runs/{number}")["run"], Run)

    def dreams(self, number: int) -> list[Json]:
        """Return what a night dreamt: who, and what."""
        return list(self.counted(f"/api/runs/{number}/dreams"))

    def log(self, number: int) -> str:
        """Return what a run's worker printed until now; lines of 100 kB at most."""
        lines: list[str] = []
        after = "0-0"
        while True:
            path = f"/api/runs/{number}/log?limit={PAGE}&after={after}"
            found = self.service.call("GET", path)
            lines += found["log"]
            if found["after"] == after:
                return "".join(f"{line}\n" for line in lines)
            after = found["after"]


class InboxClient(ClientPart):
    """The completions that a service keeps, to be reviewed."""

    def listing(self, state: str | None = None) -> "Iterator[Captured]":
        """Yield kept completions, oldest first.

        Args:
            state: `waiting`, `accepted` or `rejected`; None for all.
        """
        from sleepcycle.records.captured import Captured

        query = "" if state is None else f"&state={state}"
        after = ""
        while True:
            path = f"/api/inbox?limit={INBOX_PAGE}{query}{after}"
            rows = self.service.call("GET", path)
            yield from (record(row, Captured) for row in rows)
            if len(rows) < INBOX_PAGE:
                return
            after = f"&after={quote(rows[-1]['id'], safe='')}"

    def get(self, name: str) -> "Captured":
        """Return one kept completion."""
        return self._one("GET", name)

    def accept(self, name: str) -> "Captured":
        """Let one be learned."""
        return self._one("POST", name, "/accept")

    def reject(self, name: str) -> "Captured":
        """Let one never be learned."""
        return self._one("POST", name, "/reject")

    def edit(self, name: str, answer: str) -> "Captured":
        """Let a corrected answer be learned."""
        return self._one("POST", name, "/edit", {"answer": answer})

    def delete(self, name: str) -> "Deleted":
        """Delete one and the example that it became; tell who learned it."""
        from sleepcycle.records.captured import Deleted

        path = f"/api/inbox/{quote(name, safe='')}"
        return record(self.service.call("DELETE", path), Deleted)

    def _one(
        self, method: str, name: str, word: str = "", body: Json | None = None
    ) -> "Captured":
        """Return what a completion is once something was done with it."""
        from sleepcycle.records.captured import Captured

        path = f"/api/inbox/{quote(name, safe='')}{word}"
        return record(self.service.call(method, path, body), Captured)


class TokenClient(ClientPart):
    """The tokens that open a service."""

    def listing(self) -> list[Json]:
        """Return the tokens by id, name, scopes and time, and never the token."""
        return list(self.service.call("GET", "/api/tokens"))

    def new(self, scope: str, name: str = "") -> tuple[str, Json]:
        """Make a token; return it, which is shown only now, with what is kept of it.

        Args:
            scope: Any of feed, talk, read and admin, divided by commas.
            name: What it is for, to know it by.
        """
        asked = {"scope": scope, "name": name}
        made = self.service.call("POST", "/api/tokens", asked)
        return str(made.pop("token")), made

    def revoke(self, id: str) -> Json:
        """Let a token open nothing any more."""
        path = f"/api/tokens/{quote(id, safe='')}"
        return dict(self.service.call("DELETE", path))


def _version(name: str) -> str:
    """Return the address of a version."""
    return f"/api/versions/{quote(name, safe='')}"


def _listed(row: Json) -> "VersionListing":
    """Return a version of a list as its record."""
    from sleepcycle.home.versions import VersionListing

    version = {
        "number": _number(row["version"]),
        "folder": None,
        "parents": [_number(name) for name in row["parents"]],
        **{name: row[name] for name in VERSION_KEYS},
    }
    listed = {name: row[name] for name in ("aliases", "tainted", "removed_at")}
    return record({"version": version, **listed}, VersionListing)


VERSION_KEYS = ("kind", "rank", "accepted", "created_at", "run")


def _number(name: str) -> int:
    """Return the number of a version's own name."""
    return int(name.removeprefix("v"))
