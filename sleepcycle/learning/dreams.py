"""Dreams: text that a version writes from what it knows, from nothing but a beginning.

A version sealed right after a lesson writes mostly that lesson, so the versions are a
memory of what was learned, also where every example of it is gone. Next of kin is
LAMOL (Sun et al., 2020, arXiv:1909.03329), where the last model alone writes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

from sleepcycle.files.dream_archive import WORD, normalised
from sleepcycle.learning.coverage import missing_mass
from sleepcycle.model.base import Base
from sleepcycle.model.dream_start import (
    dream_start,
)
from sleepcycle.model.encode import (
    render_prompt,
)
from sleepcycle.model.generate import (
    GREEDY,
    Generated,
    Sampling,
    fits,
    generate,
    text_of,
)
from sleepcycle.model.score import ignore_batch
from sleepcycle.model.token_ids import plain
from sleepcycle.records.content import Completion, Content, Text

PHRASE = 4  # words that are counted together to find repetition
LONGEST_BEGINNING = 16  # tokens that a dream may be given to begin with
MOST_OF_ONE = 0.5  # share of a text that one phrase may be
AT_ONCE = 64  # beginnings, before it is estimated whether more of them bring anything


@dataclass(frozen=True, slots=True)
class DreamPlan:
    """How many dreams, and how free."""

    count: int
    """How many to begin with; fewer are left after filtering."""

    temperature: float
    """Of prompts and plain texts; answers are the likeliest."""

    max_tokens: int
    """Longest prompt, and longest answer or text."""

    seed: int
    confidence: float = 0.0
    """Least probability that it gives to each token of an answer, in [0, 1]."""

    enough: float = 0.0
    """Begin no more once the next is as unlikely as this to be a new one, in [0, 1]; 0
    begins all."""

    beginnings: Sequence[str] = ("",)
    """What they begin with, one after another in turn."""

    cut: bool = False
    """Whether answers that do not come to an end are kept as far as they go."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """How one dream begins."""

    turn: Sequence[int]
    """Where a turn or a text begins."""

    given: Sequence[int]
    """What it had to begin with."""

    said: Generated
    """What was said after it."""

    @property
    def start(self) -> Sequence[int]:
        """All that stood before what was said."""
        return [*self.turn, *self.given]


@dataclass(frozen=True, slots=True)
class Dreamt:
    """What one version dreamt."""

    contents: list[Content]
    tokens: int
    """That passed forward for it, also of dreams that were filtered out."""


def dream(
    base: Base,
    plan: DreamPlan,
    known: set[str],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> Dreamt:
    """Let whatever adapters are active dream.

    Chat models dream a user's turn and answer it; others dream a text.

    Args:
        base: The base, with the dreamer active.
        plan: How many, and how.
        known: Normalised dreams that there are already; new ones are added.
        on_batch: Called after each batch that was written.

    Returns:
        Dreams that came to an end, are not degenerate, are no near-duplicates, and have
        answers that the dreamer is sure of.
    """
    begun = _begin(base, plan, on_batch)
    spent = _tokens([one.start for one in begun], [one.said for one in begun])
    texts = list(_sound(_decoded(base, begun), known))
    if not base.chat:
        return Dreamt([Text(text) for text in texts], spent)
    rendered = ((text, render_prompt(text, base)) for text in texts)
    asked = [one for one in rendered if fits(base, len(one[1]), plan.max_tokens)]
    prompts = [prompt for _, prompt in asked]
    answers = generate(
        base,
        prompts,
        max_new_tokens=plan.max_tokens,
        sampling=GREEDY,
        on_batch=on_batch,
    )
    pairs = zip((text for text, _ in asked), answers, strict=True)
    dreams: list[Content] = [
        Completion(prompt, text) for prompt, text in _answered(base, pairs, plan)
    ]
    return Dreamt(dreams, spent + _tokens(prompts, answers))


def _begin(base: Base, plan: DreamPlan, on_batch: Callable[[], None]) -> list[_Begun]:
    """Begin all dreams, or so many that hardly any new one is left to be begun."""
    start = dream_start(base)
    given = [plain(base.tokenizer, one)[:LONGEST_BEGINNING] for one in plan.beginnings]
    longest = max(map(len, given))
    size = AT_ONCE if plan.enough else max(1, plan.count)
    begun: list[_Begun] = []
    drawn: Counter[str] = Counter()
    for first in range(0, plan.count, size):
        numbers = range(first, min(plan.count, first + size))
        first_words = [given[number % len(given)] for number in numbers]
        said = generate(
            base,
            [start + ids for ids in first_words],
            max_new_tokens=min(plan.max_tokens, base.positions - len(start) - longest),
            sampling=Sampling(plan.temperature, plan.seed + first),
            on_batch=on_batch,
        )
        part = list(map(_Begun, repeat(start), first_words, said))
        begun += part
        drawn.update(map(normalised, _decoded(base, part)))
        if missing_mass(drawn) < plan.enough:
            break
    return begun


def is_degenerate(text: str) -> bool:
    """Return whether a text repeats itself too much to be learned."""
    words = WORD.findall(text)
    if len(words) < 2 * PHRASE:
        return False
    phrases = Counter(zip(*(words[i:] for i in range(PHRASE)), strict=False))
    most = max(phrases.values())
    return most > 2 and most * PHRASE > MOST_OF_ONE * len(words)


def _answered(
    base: Base, pairs: Iterable[tuple[str, Generated]], plan: DreamPlan
) -> Iterator[tuple[str, str]]:
    """Yield prompts with answers that say something, and of which it is sure."""
    for asked, said in pairs:
        text = text_of(base, said)
        sure = said.confidence >= plan.confidence
        whole = said.ended or plan.cut
        if whole and sure and text.strip() and not is_degenerate(text):
            yield asked, text


def _tokens(prompts: Sequence[Sequence[int]], said: Sequence[Generated]) -> int:
    """Return how many tokens passed forward to say it."""
    return sum(map(len, prompts)) + sum(len(one.ids) for one in said)


def _decoded(base: Base, begun: Sequence[_Begun]) -> Iterator[str]:
    """Yield the texts that came to an end."""
    for one in begun:
        if one.said.ended and one.said.ids:
            yield text_of(base, one.said, after=one.given)


def _sound(texts: Iterator[str], known: set[str]) -> Iterator[str]:
    """Yield the texts that say something, and nothing that was said before."""
    for text in texts:
        words = normalised(text)
        if words and words not in known and not is_degenerate(text):
            known.add(words)
            yield text
