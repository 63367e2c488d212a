"""What a night relearns from: today, the past and the base, each with its teacher."""

import difflib
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import TypeVar

from sleepcycle.files.dream_archive import spread
from sleepcycle.files.runfolder import MAX_DREAMS
from sleepcycle.learning.bank import Bank
from sleepcycle.learning.distillation import TaughtExample, untaught
from sleepcycle.learning.dreamer import (
    DreamerPlan,
    dream_of_today,
    least_steps,
)
from sleepcycle.learning.dreams import DreamPlan, dream
from sleepcycle.learning.rem import ANCHORS, GENERAL, ReplaySource
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.dream_start import (
    encode_dreams,
)
from sleepcycle.model.encode import (
    Encoded,
    encode_all,
    render_prompt,
)
from sleepcycle.model.generate import GREEDY, fits, generate, text_of
from sleepcycle.model.score import each_nll, encode_contents, teach
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.content import Completion, Content
from sleepcycle.records.example import Dream, Example
from sleepcycle.records.progress import HEARTBEAT, OnProgress
from sleepcycle.settings.choices import Memory
from sleepcycle.settings.config import Settings
from sleepcycle.settings.training_steps import anchor_share

T = TypeVar("T")

TEACHER = "teacher"
TAUGHT = 2  # times that an example with a teacher is learned
SURVEYED = 2  # stored examples scored for each that is drawn
OUTLIERS = 0.02  # share of the worst known examples that is taken for mislabelled
ENOUGH = 0.1  # chance of a new dream at which a version is not asked any more
CLOSE = 0.8  # an answer as like the stored one as this is as good (difflib's ratio)


@dataclass(frozen=True, eq=False)
class ArchivedVersion:
    """A wake version that may dream and teach."""

    version: int
    load: Callable[[], LayerChanges] | None
    """Reads its change when it is needed; None where its files are gone."""


@dataclass(frozen=True, eq=False)
class ReplayInputs:
    """What the day and the days before have left."""

    whole: LayerChanges
    """Live and day as one exact change: the wake version, and the teacher of today."""

    live: LayerChanges
    """The last good version: the teacher of what is known; empty for the bare base."""

    new: Sequence[Example] = ()
    """Examples that the day learned, or some of them."""

    replay: Sequence[Example] = ()
    """Examples that live knows, or some of them."""

    archive: Sequence[ArchivedVersion] = ()
    """Past wake versions that may dream and teach, oldest first."""

    dreamt: Sequence[Dream] = ()
    """What past nights have dreamt."""

    version: int = 0
    """Number of the wake version; it dreams under it."""


class ReplayBuilder:
    """Gathers a night's material, one source after the other, and counts its cost."""

    def __init__(
        self,
        base: Base,
        past: ReplayInputs,
        settings: Settings,
        *,
        seed: int,
        on_progress: OnProgress,
    ) -> None:
        self._base = base
        self._past = past
        self._settings = settings.sleep.rem
        self._wake = settings.wake
        self._bank = Bank(base, settings.bank, on_progress=on_progress)
        self._seed = seed
        self._random = random.Random(seed)
        self._on_progress = on_progress
        self.tokens = 0
        """Tokens that passed forward once for teachers and dreams."""

        self.unpaid_tokens = 0
        """Those of them that a short night's dreamer costs beyond the night's share."""

        self.dreams: list[Dream] = []
        """What was dreamt tonight, to be kept."""

    def gather(self, count: int, anchors: Sequence[Example] = ()) -> list[ReplaySource]:
        """Gather material for `count` examples, in the shares that the settings name.

        What has a teacher is learned twice, since asking it costs tokens. Anchors are a
        part of the past, as in a wake.
        """
        general = self._settings.general_share
        today = self._settings.today_share * (1 - general)
        gold = self._settings.gold_share
        asked = count / TAUGHT if gold < 1 else count
        sources = [
            ReplaySource(
                GENERAL,
                general,
                self._bank.learned(round(count / TAUGHT * general), self._seed),
            ),
            ReplaySource("today", today, self._today(round(asked * today))),
        ]
        memory = self._settings.memory
        past = max(0.0, 1 - general - today)
        own = self._anchors(anchors)
        held = float(anchor_share(len(own), self._settings.batch_size, Fraction(past)))
        share = (past - held) / max(1, len(memory))
        makers: dict[Memory, Callable[[int], list[TaughtExample]]] = {
            Memory.STORE: self._stored,
            Memory.ARCHIVE: partial(self._archived, whole=count),
            Memory.LAST: self._last,
        }
        for name in memory:
            taught = makers[name](round(asked * share))
            sources.append(ReplaySource(str(name), share, taught))
        others = sum(source.share for source in sources if source.taught)
        if others:
            held *= others / (1 - held)  # still their part where the past is not there
        return [*sources, *([ReplaySource(ANCHORS, held, own)] if held else [])]

    def probe(self, count: int) -> list[Encoded]:
        """Return turns of the bare base that nothing learns: its general ability."""
        return encode_dreams(self._bank.held_out(count), self._base)

    def watched(self, count: int) -> list[Encoded]:
        """Return others, by which a night is stopped: the gate's are none of them."""
        turns = self._bank.held_out(2 * count)[count:]
        return encode_dreams(turns, self._base)

    def turns(self, count: int) -> list[Completion]:
        """Return those of what `probe` encodes that are a prompt with its answer."""
        held_out = self._bank.held_out(count)
        return [turn for turn in held_out if isinstance(turn, Completion)]

    def _anchors(self, anchors: Sequence[Example]) -> list[TaughtExample]:
        """Take the owner's anchors as they are; nobody knows their answers better."""
        contents = [anchor.content for anchor in anchors]
        encoded = self._encode(contents, self._wake.prompt_weight)
        return untaught(encoded)

    def _today(self, count: int) -> list[TaughtExample]:
        """Take examples of today; what was live this evening teaches them."""
        chosen = self._sample([example.content for example in self._past.new], count)
        return self._learn(chosen, lambda: self._past.whole)

    def _stored(self, count: int) -> list[TaughtExample]:
        """Take known examples; the last good version teaches them."""
        contents = [example.content for example in self._past.replay]
        chosen = self._sample_by_surprise(contents, count)
        if self._settings.on_policy:
            with self._teaching(self._past.live):
                chosen = self._answered_anew(chosen)
        return self._learn(chosen, lambda: self._past.live)

    def _archived(self, count: int, whole: int) -> list[TaughtExample]:
        """Take what wake versions dreamt of their lessons; each teaches its own.

        Today's version dreams for the nights to come, since today's examples are still
        here, and is first taught to ask for them. Some past ones that have no dreams
        dream now, if wakes learn prompts; else they could ask for nothing. Past
        ones begin no more dreams than the rest of the night could learn examples, so
        that these cost a part of it; so does today's, where that is enough.
        """
        past, most = self._past, self._settings.archive_versions
        dreamers = {dream.version for dream in past.dreamt}
        silent = [
            (one.version, one.load)
            for one in past.archive
            if one.version not in dreamers and one.load and self._wake.prompt_weight
        ]
        chosen = self._sample(silent, most - 1)
        share, batch = self._settings.dreamer_share, self._wake.batch_size
        most_begun = int((1 - share) * whole)
        begun = min(self._settings.dreams, MAX_DREAMS, most_begun // (1 + len(chosen)))
        self._dream_of_today(begun, share * whole / batch)
        for version, load in chosen:
            self._dream_of(version, load(), begun)
        known = {one.version for one in past.archive}
        pool = [d for d in (*past.dreamt, *self.dreams) if d.version in known]
        drawn = spread(pool, count, self._random.randrange(2**31))
        return [
            taught
            for one in past.archive
            for taught in self._learn(
                [d.content for d in drawn if d.version == one.version], one.load
            )
        ]

    def _last(self, count: int) -> list[TaughtExample]:
        """Let the last good version dream and teach; the bare base knows no lesson."""
        if not self._past.live:
            return []
        most = min(count, self._settings.dreams)
        dreams = self._dream_of(-1, self._past.live, most)
        return self._learn([dream.content for dream in dreams], lambda: self._past.live)

    def _learn(
        self,
        contents: Sequence[Content],
        teacher: Callable[[], LayerChanges] | None,
    ) -> list[TaughtExample]:
        """Prepare contents to be learned; a teacher is asked if it has a part in it.

        Where the teacher's files are gone, the answers alone are learned.
        """
        gold = self._settings.gold_share
        encoded = self._encode(contents, self._wake.prompt_weight)
        if gold == 1 or teacher is None or not encoded:
            return untaught(encoded)
        with self._teaching(teacher()):
            return self._teach(encoded, gold)

    def _teaching(self, change: LayerChanges) -> AbstractContextManager[None]:
        """Let one version alone be active."""
        return adapters.attached(self._base, TEACHER, change)

    def _teach(self, encoded: Sequence[Encoded], gold: float) -> list[TaughtExample]:
        """Score examples by whatever is active."""
        self._spend(sum(len(example.ids) for example in encoded))
        scores = teach(
            self._base,
            encoded,
            self._settings.top_k,
            on_batch=self._on_batch,
        )
        return [
            TaughtExample(example, score, gold)
            for example, score in zip(encoded, scores, strict=True)
        ]

    def _encode(
        self, contents: Sequence[Content], prompt_weight: float
    ) -> list[Encoded]:
        """Encode contents; what cannot be learned is left out."""
        return encode_all(contents, self._base, prompt_weight=prompt_weight)

    def _dream_of(self, version: int, change: LayerChanges, count: int) -> list[Dream]:
        """Let a version dream of what it knows; keep it, where it is sure of it."""
        with self._teaching(change):
            contents = self._dream(self._plan_of_lesson(count), set())
        return self._keep(version, contents)

    def _dream_of_today(self, count: int, paid: float) -> None:
        """Let today's version dream; a dreamer first learns to ask.

        Args:
            count: How many dreams the night pays for; a dreamer begins them all.
            paid: Steps of the dreamer that the night pays for; it takes more where
                these are too few to learn by. At 0 the version dreams as it is.
        """
        past = self._past
        today = [example.content for example in past.new]
        if not (paid and today):
            self._dream_of(past.version, past.whole, count)
            return
        steps = max(int(paid), least_steps(len(today), self._wake.batch_size))
        begun = min(self._settings.dreams, MAX_DREAMS)
        with self._teaching(past.whole):
            found = dream_of_today(
                self._base,
                [TEACHER] if past.whole else [],
                today,
                DreamerPlan(self._wake, steps, self._random.randrange(2**31)),
                self._plan_of_lesson(begun),
                on_batch=self._on_batch,
            )
        self._spend(found.tokens)
        self.unpaid_tokens += round(found.tokens * max(0.0, 1 - paid / steps))
        self._keep(past.version, found.contents)

    def _keep(self, version: int, contents: Sequence[Content]) -> list[Dream]:
        """Keep what a version dreamt."""
        dreams = [Dream(version, content) for content in contents]
        self.dreams += dreams
        return dreams

    def _dream(self, plan: DreamPlan, known: set[str]) -> list[Content]:
        """Let whatever is active dream anew."""
        if plan.count == 0:
            return []
        found = dream(self._base, plan, known, on_batch=self._on_batch)
        self._spend(found.tokens)
        return found.contents

    def _plan(self, count: int) -> DreamPlan:
        """Return how to dream."""
        return DreamPlan(
            count=count,
            temperature=self._settings.temperature,
            max_tokens=self._settings.dream_tokens,
            seed=self._random.randrange(2**31),
        )

    def _plan_of_lesson(self, count: int) -> DreamPlan:
        """Return how to dream what was taught: surely, and until it is all dreamt."""
        sure = self._settings.confidence
        return replace(self._plan(count), confidence=sure, enough=ENOUGH)

    def _sample_by_surprise(
        self, contents: Sequence[Content], count: int
    ) -> list[Content]:
        """Draw examples, part of them by how badly the day has left them known."""
        surprising = min(len(contents), round(count * self._settings.surprise_share))
        if surprising == 0 or count >= len(contents):
            return self._sample(contents, count)
        contents = self._sample(contents, SURVEYED * count)  # all would cost a night
        encoded = encode_contents(self._base, contents)
        with self._teaching(self._past.whole):
            nats = each_nll(self._base, encoded, on_batch=self._on_batch)
        losses = [
            total / max(1, one.learned)
            for total, one in zip(nats, encoded, strict=True)
        ]
        self._spend(sum(len(example.ids) for example in encoded))
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
        """Answer stored prompts by whatever is active; keep answers that are close.

        A prompt that leaves the model no place for an answer keeps the stored one.
        """
        base, most = self._base, self._settings.dream_tokens
        asked = [
            (content, prompt)
            for content in contents
            if isinstance(content, Completion)
            and fits(base, len(prompt := render_prompt(content.prompt, base)), most)
        ]
        said = generate(
            base,
            [prompt for _, prompt in asked],
            max_new_tokens=most,
            sampling=GREEDY,
            on_batch=self._on_batch,
        )
        anew = {}
        for (content, _), one in zip(asked, said, strict=True):
            text = text_of(base, one)
            if one.ended and _is_close(text, content.completion):
                anew[content] = Completion(content.prompt, text)
        return [anew.get(c, c) if isinstance(c, Completion) else c for c in contents]

    def _on_batch(self) -> None:
        """Send a heartbeat."""
        self._on_progress(HEARTBEAT)

    def _sample(self, items: Sequence[T], count: int) -> list[T]:
        """Draw up to `count` items."""
        return self._random.sample(items, min(count, len(items)))

    def _spend(self, tokens: int) -> None:
        """Count tokens that passed forward."""
        self.tokens += tokens
        self._on_batch()


def _is_close(said: str, stored: str) -> bool:
    """Return whether an answer is as good as the stored one."""
    matcher = difflib.SequenceMatcher(None, said.strip(), stored.strip())
    return matcher.ratio() >= CLOSE
