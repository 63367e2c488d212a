"""The bank: turns that the bare base asks and answers itself, so that it stays itself.

They are made once for a base and kept in its cache, with what the base thinks of each
of their tokens; a wake and a night learn some beside the owner's examples. Others are
never learned: by those the gate sees what is lost.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from random import Random

import torch

from sleepcycle.files import disk
from sleepcycle.files.dream_archive import key
from sleepcycle.learning.beginnings import first_words, likely
from sleepcycle.learning.distillation import TaughtExample
from sleepcycle.learning.dreams import DreamPlan, dream
from sleepcycle.model.adapters import only_active
from sleepcycle.model.base import Base
from sleepcycle.model.dream_start import (
    counted_from_turn,
    encode_dreams,
)
from sleepcycle.model.encode import (
    Encoded,
    encode_if_possible,
)
from sleepcycle.model.score import teach
from sleepcycle.model.tensor_cache import Remembered, recall, remember
from sleepcycle.numerics.distill import TopScores
from sleepcycle.records.codec import from_json, from_plain, to_json
from sleepcycle.records.content import Content
from sleepcycle.records.progress import (
    HEARTBEAT,
    OnProgress,
    Progress,
    ignore_progress,
)
from sleepcycle.settings.config import BankSettings

MEMORY = "bank.safetensors"
FORMAT = 4  # of what is remembered
LEARNED, HELD_OUT = "learned", "held_out"
SEEDS = {LEARNED: 0, HELD_OUT: 1_000_000}  # constants: a bank is a base's, not a run's
FIRST_ROUND = 16  # turns begun in it; in each later one twice as many
LARGEST_ROUND = 512
SPREAD = 4  # times as many turns as are drawn, from which they are; a guess
BEGUN = 2  # times as many as are wanted, at most, that begin as others do
AHEAD = 1.25  # times as many as are still wanted, at once: of most something comes
NEARLY_ALL = 7 / 8  # of what is wanted, after which no more are begun
FEWEST_FOUND = 1 / 16  # of what a round begins, that it must bring
FRUITLESS = 3  # rounds in a row that bring less, after which there are no more


@dataclass(frozen=True)
class _Shelf:
    """The turns of one kind."""

    contents: tuple[Content, ...] = ()
    rounds: int = 0
    """In which they were made; how many there are hangs on that alone."""

    fruitless: int = 0
    """Of them, the last ones that brought next to nothing."""


@dataclass(frozen=True)
class _Kept:
    """All turns."""

    learned: _Shelf = _Shelf()
    held_out: _Shelf = _Shelf()


class Bank:
    """The turns of one base, made as far as they are asked for."""

    def __init__(
        self,
        base: Base,
        settings: BankSettings,
        *,
        on_progress: OnProgress = ignore_progress,
        near_memory: Path | None = None,
        avoid: frozenset[str] = frozenset(),
    ) -> None:
        """Make none yet.

        Args:
            base: What is attached to it takes no part, and is not active afterwards.
            settings: How turns are asked and scored.
            on_progress: Told how many turns there are, and that work goes on.
            near_memory: A file in which a run keeps what `near` makes, so that it goes
                on with the same where it was broken off.
            avoid: What is asked in nothing that it gives to be learned, as `normalised`
                writes it.
        """
        self._base = base
        self.settings = settings
        self._on_progress = on_progress
        self._near_memory = near_memory
        self.avoid = avoid

    def learned(self, count: int, seed: int) -> list[TaughtExample]:
        """Draw turns to be learned as the base itself thinks of them.

        They are drawn from so many that days differ; how many hangs on `count` alone,
        and not on what was made before, so that the same seed draws the same.

        Raises:
            ModelError: The base cannot dream.
        """
        made = self._first(LEARNED, min(SPREAD * count, self.settings.turns))
        pairs = [
            (key(content), one)
            for content in made
            for one in encode_if_possible(content, self._base, 1)
        ]
        encoded = counted_from_turn([one for _, one in pairs], self._base)
        scored = [
            (one, found)
            for (name, _), one, found in zip(
                pairs, encoded, self._scored(encoded), strict=True
            )
            if name not in self.avoid
        ]
        drawn = Random(seed).sample(scored, min(count, len(scored)))
        return [TaughtExample(*one, gold=0.0) for one in drawn]

    def near(
        self, contents: Sequence[Content], count: int, seed: int, avoid: set[str]
    ) -> list[TaughtExample]:
        """Let the bare base go on from how others begin, and answer that itself.

        So what is learned of those does not spread to all that begins alike. They are
        `count` at most, and are no part of the bank.

        Args:
            contents: That they begin as.
            count: How many are wanted.
            seed: Of the draws.
            avoid: What is asked in none of them, as `normalised` writes it.

        Raises:
            ModelError: The base cannot dream.
        """
        found = self._near(contents, min(count, self.settings.turns), seed, avoid)
        encoded = encode_dreams(found, self._base)
        pairs = zip(encoded, self._taught(encoded), strict=True)
        return [TaughtExample(*pair, gold=0.0) for pair in pairs]

    def _near(
        self, contents: Sequence[Content], count: int, seed: int, avoid: set[str]
    ) -> tuple[Content, ...]:
        """Make such turns, or read those that this run has made before."""
        memory = self._near_memory
        if memory is not None and memory.exists():
            return from_json(memory.read_text(encoding="utf-8"), _Shelf).contents
        begun = first_words(contents, BEGUN * count, seed)
        held_out = set(map(key, self._shelves[HELD_OUT].contents))
        known = avoid | self.avoid | held_out
        found: list[Content] = []
        while begun and len(found) < NEARLY_ALL * count:
            self._on_progress(Progress("bank", len(found), count))
            size = math.ceil(AHEAD * (count - len(found)))
            part, begun = begun[:size], begun[size:]
            found += self._dreamt(len(part), seed + len(begun), known, part)
        made = _Shelf(tuple(found[:count]))
        if memory is not None:
            disk.write(memory, to_json(made))
        return made.contents

    def held_out(self, count: int) -> list[Content]:
        """Return turns that nothing learns.

        Raises:
            ModelError: The base cannot dream.
        """
        return list(self._first(HELD_OUT, count))

    @cached_property
    def _memory(self) -> Remembered:
        """What is remembered of earlier runs."""
        found = recall(self._base.cache / MEMORY, self._key)
        return found or Remembered(text=to_json(_Kept()))

    @cached_property
    def _shelves(self) -> dict[str, _Shelf]:
        """The turns of each kind."""
        kept = from_plain(json.loads(self._memory.text), _Kept)
        return {LEARNED: kept.learned, HELD_OUT: kept.held_out}

    @cached_property
    def _scores(self) -> list[TopScores]:
        """The base's scores of the first turns to be learned, by their sequences."""
        known = self._memory.tensors
        if not known:
            return []
        lengths = known["lengths"].tolist()
        parts = (torch.split(known[n], lengths) for n in ("ids", "logs", "tail"))
        return [
            TopScores(ids.long(), logs, tail)
            for ids, logs, tail in zip(*parts, strict=True)
        ]

    @cached_property
    def _beginnings(self) -> list[str]:
        """What turns begin with in turn: a question's first word, or nothing."""
        words = self.settings.question_words
        with only_active(self._base, []):
            found = likely(self._base, words, on_batch=self._beat)
        return [each for word in found for each in ("", word)] or [""]

    @property
    def _key(self) -> str:
        """What a bank hangs on: the base's bytes, and how turns are made."""
        base = self._base
        made = self.settings.model_dump(exclude={"turns", "near_share"})
        read = [base.chat, base.max_length, str(base.model.dtype)]
        return json.dumps([FORMAT, base.identity.sha256, read, made])

    def _first(self, kind: str, count: int) -> Sequence[Content]:
        """Return the first turns of a kind; more are made if need be."""
        shelf = self._shelves[kind]
        while len(shelf.contents) < count and shelf.fruitless < FRUITLESS:
            self._on_progress(Progress("bank", len(shelf.contents), count))
            shelf = self._shelves[kind] = self._one_more_round(kind, shelf)
            self._remember()
        return shelf.contents[:count]

    def _one_more_round(self, kind: str, shelf: _Shelf) -> _Shelf:
        """Let the bare base ask and answer anew."""
        begun = min(FIRST_ROUND << shelf.rounds, LARGEST_ROUND)
        kept = (each.contents for each in self._shelves.values())
        known = {key(content) for content in chain.from_iterable(kept)}
        seed = SEEDS[kind] + shelf.rounds
        found = self._dreamt(begun, seed, known, self._beginnings)
        fruitless = len(found) < FEWEST_FOUND * begun
        return _Shelf(
            contents=(*shelf.contents, *found),
            rounds=shelf.rounds + 1,
            fruitless=shelf.fruitless + 1 if fruitless else 0,
        )

    def _dreamt(
        self,
        count: int,
        seed: int,
        known: set[str],
        beginnings: Sequence[str],
    ) -> list[Content]:
        """Let the bare base ask and answer, `count` times."""
        plan = DreamPlan(
            count=count,
            temperature=self.settings.temperature,
            max_tokens=self.settings.max_tokens,
            seed=seed,
            beginnings=beginnings,
            cut=True,
        )
        with only_active(self._base, []):
            return dream(self._base, plan, known, on_batch=self._beat).contents

    def _taught(self, encoded: Sequence[Encoded]) -> list[TopScores]:
        """Ask the bare base what it thinks of sequences."""
        with only_active(self._base, []):
            return teach(self._base, encoded, self.settings.top_k, on_batch=self._beat)

    def _scored(self, encoded: Sequence[Encoded]) -> list[TopScores]:
        """Return the base's scores of sequences; those that are new are asked for."""
        new = encoded[len(self._scores) :]
        if new:
            self._scores += self._taught(new)
            self._remember()
        return self._scores[: len(encoded)]

    def _beat(self) -> None:
        """Send a heartbeat."""
        self._on_progress(HEARTBEAT)

    def _remember(self) -> None:
        """Write the bank down, whole."""
        scores = self._scores
        tensors = {}
        if scores:
            tensors = {
                "ids": torch.cat([one.ids.int() for one in scores]),
                "logs": torch.cat([one.logs for one in scores]),
                "tail": torch.cat([one.tail for one in scores]),
                "lengths": torch.tensor([len(one.tail) for one in scores]),
            }
        kept = _Kept(self._shelves[LEARNED], self._shelves[HELD_OUT])
        remember(
            self._base.cache / MEMORY, self._key, Remembered(tensors, to_json(kept))
        )
