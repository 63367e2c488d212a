"""The completions of a home that were kept, from the answer to the example."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from typing import Any

from sleepcycle.errors import CaptureError
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.feed.shapes import Format, RowOptions, to_content
from sleepcycle.home.housekeeping import is_housekeeping
from sleepcycle.home.scrubber import Scrubber, scrubber_of
from sleepcycle.records.captured import (
    ID_PREFIX,
    Captured,
    CapturedState,
    Deleted,
    Exchange,
    Feedback,
    Thumb,
    checked_metadata,
)
from sleepcycle.records.content import canonical_json, content_hash, plain_json
from sleepcycle.records.example import FeedReport
from sleepcycle.settings.captureconfig import CaptureSettings
from sleepcycle.store import (
    captured_table,
    erased_table,
    example_table,
    journal,
    version_table,
)
from sleepcycle.store.captured_table import Wanted
from sleepcycle.store.database import Session, Store
from sleepcycle.store.values import ExampleState, FoundExample

EVERY = Wanted()
LISTED = 20
"""Completions that one list has, as OpenAI's has them."""

Feed = Callable[[BytesIO, FeedOptions], FeedReport]
"""Feeds one stream, as `Home.feed` does."""


@dataclass(frozen=True)
class CapturedRegistry:
    """The kept completions of one home."""

    store: Store
    settings: CaptureSettings
    actor: str
    feed: Feed

    def wants(self, *, asked: bool) -> bool:
        """Return whether a request's answer is kept.

        Args:
            asked: Whether the request asks for that (`store: true`).
        """
        return self.settings.mode == "all" or (self.settings.mode == "ask" and asked)

    def capture(self, exchange: Exchange, *, asked: bool) -> Captured | None:
        """Keep a request with its answer, without what is private.

        Nothing is written where capture is off, was not asked for, or where a chat
        program asks for its own use.

        Args:
            exchange: The request and its answer.
            asked: Whether the request asks to be kept (`store: true`).

        Returns:
            What is kept; None where nothing is.

        Raises:
            CaptureError: The metadata is not as it may be.
            StoreError: The store failed, or has a completion of that name.
        """
        if not self.wants(asked=asked) or is_housekeeping(exchange.messages):
            return None
        if not exchange.id.startswith(ID_PREFIX):
            raise CaptureError(f"expected an id with {ID_PREFIX}, got {exchange.id!r}")
        scrub = self._scrubber.plain
        kept = replace(
            exchange,
            messages=scrub(exchange.messages),
            answer=scrub(exchange.answer),
            tools=scrub(exchange.tools),
            metadata=scrub(checked_metadata(exchange.metadata)),
        )
        with self.store.write() as session:
            captured_table.add(session, kept)
            return captured_table.get(session, exchange.id)

    def listing(self, wanted: Wanted = EVERY, limit: int = LISTED) -> list[Captured]:
        """Return kept completions in the order that they were kept.

        Raises:
            NotFoundError: The one to go on after is not kept.
        """
        with self.store.read() as session:
            return captured_table.list_captured(session, wanted, limit)

    def get(self, name: str) -> Captured:
        """Return one completion.

        Raises:
            NotFoundError: None of that name is kept.
        """
        with self.store.read() as session:
            return captured_table.get(session, name)

    def set_metadata(self, name: str, metadata: object) -> Captured:
        """Replace the metadata of one completion.

        Raises:
            NotFoundError: None of that name is kept.
            CaptureError: The metadata is not as it may be.
        """
        scrubbed = self._scrubber.plain(checked_metadata(metadata))
        with self.store.write() as session:
            captured_table.set_metadata(session, name, scrubbed)
            return captured_table.get(session, name)

    def accept(self, name: str) -> Captured:
        """Let a completion be learned: its correction, or else its answer.

        Of the conversation the last answer alone is learned; what the assistant said
        before is context.

        Raises:
            NotFoundError: None of that name is kept.
            FeedError: It cannot become an example; it waits as before.
        """
        kept = self.get(name)
        if kept.state is CapturedState.ACCEPTED:
            return kept
        example = self._fed(kept)
        with self.store.write() as session:
            captured_table.accept(session, name, example)
            return self._noted(session, "accept completion", name)

    def reject(self, name: str) -> Captured:
        """Let a completion never be learned; versions that learned it are tainted.

        Raises:
            NotFoundError: None of that name is kept.
            RunError: A run holds its example.
        """
        return self._put_away(name, CapturedState.REJECTED, "reject completion")

    def reopen(self, name: str) -> Captured:
        """Let a completion wait again; versions that learned it are tainted.

        Raises:
            NotFoundError: None of that name is kept.
            RunError: A run holds its example.
        """
        return self._put_away(name, CapturedState.WAITING, "reopen completion")

    def edit(self, name: str, answer: str | Mapping[str, Any]) -> Captured:
        """Let a corrected answer be learned in the place of the one that was given.

        Args:
            name: The completion.
            answer: What the answer should have been: its text, or a whole message.

        Raises:
            NotFoundError: None of that name is kept.
            FeedError: It cannot become an example; where the base's template is why,
                the correction waits.
            RunError: A run holds the example of an answer that was accepted.
        """
        said = {"content": answer} if isinstance(answer, str) else answer
        message = {**self._scrubber.plain(said), "role": "assistant"}
        kept = self.get(name)
        if kept.state is CapturedState.ACCEPTED and kept.wanted == message:
            return kept
        _row(replace(kept, correction=message))  # refused before anything is changed
        with self.store.write() as session:
            self._erase(session, captured_table.get(session, name))
            captured_table.correct(session, name, message)
            self._noted(session, "correct completion", name)
        return self.accept(name)

    def feedback(
        self, name: str, kind: Feedback, value: object, *, reviewed: bool = False
    ) -> Captured:
        """Take in what is said of an answer.

        A demonstration is the answer that should have been given: see `edit`. A thumb
        up accepts where nobody reviews or who gives it does; else it is shown to who
        reviews. A thumb down rejects the answer, which is then never learned; a
        correction stays.

        Args:
            name: The completion.
            kind: What is said.
            value: A text or a message for a demonstration, a truth for a thumb.
            reviewed: Whether who says it may review.

        Raises:
            CaptureError: The value is not of that kind.
            NotFoundError: None of that name is kept.
            FeedError: It cannot become an example.
            RunError: A run holds its example.
        """
        if kind is Feedback.DEMONSTRATION:
            if not isinstance(value, str | Mapping):
                raise _unfit(kind, "a text or a message", value)
            return self.edit(name, value)
        if not isinstance(value, bool):
            raise _unfit(kind, "true or false", value)
        return self._rate(
            name, is_up=value, counts=reviewed or not self.settings.review
        )

    def delete(self, name: str) -> Deleted:
        """Delete a completion, and the text of the example that it became.

        Versions that learned it stay, and are tainted. Copies that a backup has are
        not reached.

        Raises:
            NotFoundError: None of that name is kept.
            RunError: A run holds its example.
        """
        with self.store.write() as session:
            kept = captured_table.get(session, name)
            erased = self._erase(session, kept)
            captured_table.remove(session, name)
            known = {v for one in erased for v in version_table.knowing(session, one)}
            done = Deleted(
                id=name,
                erased=bool(erased),
                tainted=tuple(f"v{number}" for number in sorted(known)),
                batch=None if kept.example in erased else kept.batch,
            )
            journal.append(
                session, self.actor, "delete completion", id=name, erased=done.erased
            )
        return done

    @cached_property
    def _scrubber(self) -> Scrubber:
        """What takes out what is private."""
        return scrubber_of(self.settings)

    def _put_away(self, name: str, state: CapturedState, action: str) -> Captured:
        """Let a completion not be learned, for ever or for now."""
        with self.store.write() as session:
            self._exclude(session, captured_table.get(session, name))
            captured_table.move(session, name, state)
            return self._noted(session, action, name)

    def _rate(self, name: str, *, is_up: bool, counts: bool) -> Captured:
        """Take in a thumb; one up that `counts` accepts."""
        with self.store.write() as session:
            kept = captured_table.get(session, name)
            captured_table.set_thumb(session, name, Thumb.UP if is_up else Thumb.DOWN)
            was_down = kept.thumb is Thumb.DOWN
            if is_up and was_down and kept.state is CapturedState.REJECTED:
                captured_table.move(session, name, CapturedState.WAITING)
            now = captured_table.get(session, name)
        if not is_up:
            return now if now.correction is not None else self.reject(name)
        waits = now.state is CapturedState.WAITING
        return self.accept(name) if waits and counts else now

    def _fed(self, kept: Captured) -> int:
        """Return the example that a completion is, fed now where there is none.

        Raises:
            FeedError: It cannot become one.
        """
        row, digest = _row(kept)
        found = self._find(digest)
        if found is None:
            rows = RowOptions(shape=Format.MESSAGES)
            stream = BytesIO(row.encode())
            stream.name = kept.id
            self.feed(stream, FeedOptions(source=kept.id, rows=rows))
            found = self._find(digest)
        if found is None:
            raise CaptureError(f"expected an example of {kept.id}, and it is gone")
        is_own = found.source.startswith(ID_PREFIX)
        if found.state is ExampleState.EXCLUDED and is_own:
            with self.store.write() as session:
                example_table.requeue_batch(session, found.batch)
        return found.id

    def _find(self, digest: bytes) -> FoundExample | None:
        """Return the example with a hash."""
        with self.store.read() as session:
            return captured_table.same_example(session, digest)

    def _exclude(self, session: Session, kept: Captured) -> list[int]:
        """Exclude the examples that are a completion's own, and return them.

        Raises:
            RunError: A run holds one.
        """
        own = captured_table.own_examples(session, kept)
        for batch in own.values():
            example_table.exclude_batch(session, batch)
        return list(own)

    def _erase(self, session: Session, kept: Captured) -> list[int]:
        """Erase the examples that are a completion's own, and return them.

        Raises:
            RunError: A run holds one.
        """
        own = self._exclude(session, kept)
        for example in own:
            erased_table.add(session, example)
            captured_table.let_go(session, example)
        return own

    def _noted(self, session: Session, action: str, name: str) -> Captured:
        """Write into the journal what was done to a completion, and return it."""
        kept = captured_table.get(session, name)
        journal.append(session, self.actor, action, id=name, batch=kept.batch)
        return kept


def _row(kept: Captured) -> tuple[str, bytes]:
    """Return a completion as a row that can be fed, and the hash of its content.

    Raises:
        RowError: It cannot become an example.
    """
    context = [
        {**turn, "weight": 0} if turn.get("role") == "assistant" else turn
        for turn in kept.messages
    ]
    fields: dict[str, Any] = {"messages": [*context, kept.wanted]}
    if kept.tools:
        fields["tools"] = kept.tools
    content = to_content(fields, Format.MESSAGES)
    return plain_json(fields), content_hash(canonical_json(content))


def _unfit(kind: Feedback, expected: str, value: object) -> CaptureError:
    """Return the error for a value that is not of its kind."""
    return CaptureError(
        f"invalid 'value': expected {expected} for a {kind}, got {type(value).__name__}"
    )
