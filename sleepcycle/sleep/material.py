"""What a night relearns from: today, the past and the base, each with its teacher."""

import difflib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sleepcycle.config import Memory, RemSettings
from sleepcycle.content import Completion, Content
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded, encode, render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.model.score import BATCH_SIZE, surprise, teach
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records import Dream, Example
from sleepcycle.sleep.dreams import DreamPlan, dream
from sleepcycle.sleep.rem import Source, Taught

T = TypeVar("T")

TEACHER = "teacher"
SURVEYED = 2  # stored examples scored for each that is drawn
OUTLIERS = 0.02  # share of the worst known examples that is taken for mislabelled
CLOSE = 0.8  # an answer as like the stored one as this is as good (difflib's ratio)


@dataclass(frozen=True, eq=False)
class Archived:
    """A past wake version."""

    version: int
    load: Callable[[], LayerChanges]
    """Reads its change when it is needed."""


@dataclass(frozen=True, eq=False)
class Past:
    """Where a night's material comes from."""

    whole: LayerChanges
    """Live and day: the teacher of today."""

    live: LayerChanges
    """The last good version: the teacher of what is known; empty for the bare base."""

    new: Sequence[Example]
    replay: Sequence[Example]
    archive: Sequence[Archived]


class Gatherer:
    """Gathers a night's material, one source after the other, and counts its cost."""

    def __init__(
        self,
        base: Base,
        past: Past,
        settings: RemSettings,
        *,
        prompt_weight: float,
        seed: int,
        on_batch: Callable[[], None],
    ) -> None:
        self._base = base
        self._past = past
        self._settings = settings
        self._prompt_weight = prompt_weight
        self._random = random.Random(seed)
        self._on_batch = on_batch
        self._dreamt: set[str] = set()
        self.tokens = 0
        """Tokens that passed forward once for teachers and dreams."""

        self.dreams: list[Dream] = []

    def gather(self, count: int) -> list[Source]:
        """Gather some `count` examples, in the shares that the settings name."""
        general = self._settings.general_share
        today = self._settings.today_share * (1 - general)
        sources = [
            Source("general", general, self._general(round(count * general))),
            Source("today", today, self._today(round(count * today))),
        ]
        memory = self._settings.memory
        share = (1 - general - today) / max(1, len(memory))
        makers = {
            Memory.STORE: self._stored,
            Memory.ARCHIVE: self._archived,
            Memory.LAST: self._last,
        }
        for name in memory:
            taught = makers[name](round(count * share))
            sources.append(Source(str(name), share, taught))
        return sources

    def probe(self, count: int) -> list[Encoded]:
        """Return dreams of the bare base that no night learns: its general ability."""
        with self._teaching({}):
            dreams = self._dream(count, version=0)
        return [
            encode(dreamt.content, self._base, prompt_weight=1) for dreamt in dreams
        ]

    def _general(self, count: int) -> list[Taught]:
        """Let the bare base dream, and teach what it dreamt."""
        if count == 0:
            return []
        with self._teaching({}):
            dreams = self._dream(count, version=0)
            contents = [dreamt.content for dreamt in dreams]
            return self._teach(contents, prompt_weight=1.0, gold=0.0)

    def _today(self, count: int) -> list[Taught]:
        """Take examples of today; what was live this evening teaches them."""
        chosen = self._sample([example.content for example in self._past.new], count)
        with self._teaching(self._past.whole):
            return self._teach(chosen, gold=self._settings.gold_weight)

    def _stored(self, count: int) -> list[Taught]:
        """Take known examples; the last good version teaches them."""
        contents = [example.content for example in self._past.replay]
        chosen = self._sample_by_surprise(contents, count)
        with self._teaching(self._past.live):
            if self._settings.on_policy:
                chosen = self._answered_anew(chosen)
            return self._teach(chosen, gold=self._settings.gold_weight)

    def _archived(self, count: int) -> list[Taught]:
        """Let past wake versions dream and teach, each its own lesson."""
        taught: list[Taught] = []
        versions = self._sample(
            list(self._past.archive), self._settings.archive_versions
        )
        for archived in versions:
            with self._teaching(archived.load()):
                dreams = self._dream(count // len(versions), archived.version)
                taught += self._teach([dreamt.content for dreamt in dreams], gold=0.0)
            self.dreams += dreams
        return taught

    def _last(self, count: int) -> list[Taught]:
        """Let the last good version dream and teach; the bare base knows no lesson."""
        if not self._past.live:
            return []
        with self._teaching(self._past.live):
            dreams = self._dream(count, version=-1)
            self.dreams += dreams
            return self._teach([dreamt.content for dreamt in dreams], gold=0.0)

    @contextmanager
    def _teaching(self, change: LayerChanges) -> Iterator[None]:
        """Let one version be the only one that is active."""
        if change:
            adapters.attach(self._base, TEACHER, change)
        adapters.activate(self._base, [TEACHER] if change else [])
        try:
            yield
        finally:
            if change:
                adapters.remove(self._base, TEACHER)

    def _teach(
        self,
        contents: Sequence[Content],
        *,
        gold: float,
        prompt_weight: float | None = None,
    ) -> list[Taught]:
        """Score contents by whatever is active."""
        weight = self._prompt_weight if prompt_weight is None else prompt_weight
        encoded = [encode(c, self._base, prompt_weight=weight) for c in contents]
        encoded = [example for example in encoded if example.learned]
        self._spend(encoded)
        scores = teach(self._base, encoded, self._settings.top_k, BATCH_SIZE)
        return [
            Taught(example, score, gold)
            for example, score in zip(encoded, scores, strict=True)
        ]

    def _dream(self, count: int, version: int) -> list[Dream]:
        """Let whatever is active dream."""
        if count == 0:
            return []
        plan = DreamPlan(
            count=min(count, self._settings.dreams),
            temperature=self._settings.temperature,
            max_tokens=self._settings.dream_tokens,
            seed=self._random.randrange(2**31),
        )
        contents = dream(self._base, plan, self._dreamt)
        self._spend([encode(c, self._base, prompt_weight=1) for c in contents])
        return [Dream(version, content) for content in contents]

    def _sample_by_surprise(
        self, contents: Sequence[Content], count: int
    ) -> list[Content]:
        """Draw examples, part of them by how badly the day has left them known."""
        surprising = min(len(contents), round(count * self._settings.surprise_share))
        if surprising == 0 or count >= len(contents):
            return self._sample(contents, count)
        contents = self._sample(contents, SURVEYED * count)  # all would cost a night
        encoded = [encode(content, self._base, prompt_weight=0) for content in contents]
        with self._teaching(self._past.whole):
            losses = surprise(self._base, encoded, BATCH_SIZE)
        self._spend(encoded)
        worst = sorted(range(len(contents)), key=lambda i: -losses[i])
        candidates = worst[round(OUTLIERS * len(worst)) :]
        keys = {
            i: self._random.random() ** (1 / (losses[i] + 1e-6)) for i in candidates
        }
        chosen = sorted(candidates, key=lambda i: -keys[i])[:surprising]
        others = sorted(set(range(len(contents))) - set(chosen))
        chosen += self._sample(others, count - len(chosen))
        return [contents[i] for i in chosen]

    def _answered_anew(self, contents: Sequence[Content]) -> list[Content]:
        """Answer stored prompts by whatever is active; keep answers that are close."""
        asked = [content for content in contents if isinstance(content, Completion)]
        said = answer(
            self._base,
            [render_prompt(content.prompt, self._base) for content in asked],
            max_new_tokens=self._settings.dream_tokens,
        )
        anew = {
            content: Completion(content.prompt, text)
            for content, text in zip(asked, said, strict=True)
            if _is_close(text, content.completion)
        }
        return [anew.get(c, c) if isinstance(c, Completion) else c for c in contents]

    def _sample(self, items: Sequence[T], count: int) -> list[T]:
        """Draw up to `count` items."""
        return self._random.sample(items, min(count, len(items)))

    def _spend(self, encoded: Sequence[Encoded]) -> None:
        """Count a pass forward."""
        self.tokens += sum(len(example.ids) for example in encoded)
        self._on_batch()


def _is_close(said: str, stored: str) -> bool:
    """Say whether an answer is as good as the stored one."""
    matcher = difflib.SequenceMatcher(None, said.strip(), stored.strip())
    return matcher.ratio() >= CLOSE
