"""Dreams: text that a version writes from what it knows, from nothing but a beginning.

A version sealed right after a lesson writes mostly that lesson, so the versions are a
memory of what was learned, also where every example of it is gone. Next of kin is
LAMOL (Sun et al., 2020, arXiv:1909.03329), where the last model alone writes.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sleepcycle.content import Completion, Content, Conversation, Text
from sleepcycle.model.base import Base
from sleepcycle.model.encode import dream_start, render_prompt
from sleepcycle.model.generate import GREEDY, Said, Sampling, answer, generate

WORD = re.compile(r"\w+|[^\w\s]")
PHRASE = 4  # words that are counted together to find repetition
MOST_OF_ONE = 0.5  # share of a text that one phrase may be


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


def dream(base: Base, plan: DreamPlan, known: set[str]) -> list[Content]:
    """Let whatever adapters are active dream.

    Chat models dream a user's turn and answer it; others dream a text.

    Args:
        base: The base, with the dreamer active.
        plan: How many, and how.
        known: Normalised dreams that there are already; new ones are added.

    Returns:
        Dreams that came to an end, are not degenerate, and are not near-duplicates.
    """
    start = dream_start(base)
    begun = generate(
        base,
        [start] * plan.count,
        max_new_tokens=plan.max_tokens,
        sampling=Sampling(plan.temperature, plan.seed),
    )
    texts = list(_sound(_decoded(base, begun), known))
    if not base.chat:
        return [Text(text) for text in texts]
    prompts = [render_prompt(text, base) for text in texts]
    answers = answer(base, prompts, max_new_tokens=plan.max_tokens, sampling=GREEDY)
    return [
        Completion(prompt, said)
        for prompt, said in zip(texts, answers, strict=True)
        if said.strip() and not is_degenerate(said)
    ]


def is_degenerate(text: str) -> bool:
    """Say whether a text repeats itself too much to be worth learning."""
    words = WORD.findall(text)
    if len(words) < 2 * PHRASE:
        return False
    phrases = Counter(zip(*(words[i:] for i in range(PHRASE)), strict=False))
    most = max(phrases.values())
    return most > 2 and most * PHRASE > MOST_OF_ONE * len(words)


def key(content: Content) -> str:
    """Return what a dream shares with its near-duplicates, however it is answered."""
    match content:
        case Completion(prompt=prompt):
            return normalised(prompt)
        case Text(text=text):
            return normalised(text)
        case Conversation(messages=messages):
            return normalised(messages[0].content)


def normalised(text: str) -> str:
    """Return what near-duplicates share: the words alone, in lower case."""
    return " ".join(WORD.findall(text.casefold()))


def _decoded(base: Base, begun: Sequence[Said]) -> Iterator[str]:
    """Yield the texts that came to an end."""
    for said in begun:
        if said.ended and said.ids:
            yield base.tokenizer.decode(said.ids, skip_special_tokens=True)


def _sound(texts: Iterator[str], known: set[str]) -> Iterator[str]:
    """Yield the texts that say something, and nothing that was said before."""
    for text in texts:
        words = normalised(text)
        if words and words not in known and not is_degenerate(text):
            known.add(words)
            yield text
