"""Agreement: whether what is active still answers as the bare base, or an owner, does.

Wording may change and facts may not: an answer is compared by its key words.
"""

import re
from collections.abc import Callable, Sequence

from sleepcycle.model.base import Base, TextBase
from sleepcycle.model.encode import render_prompt
from sleepcycle.model.exam import evenly
from sleepcycle.model.generate import answer
from sleepcycle.model.score import ignore_batch
from sleepcycle.records.content import Completion

LONGEST = 48  # tokens of an answer: a first sentence of most models fits
LEAST = 0.5  # share of the key words, a guess
SHORTEST = 3  # letters of a word that says anything by itself

WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+")
MARKER = re.compile(r"^\s*(?:\d+[.)]\s|[-*#>]+\s)\s*")  # of a list, a heading, a quote
CLAUSE = re.compile(r"[.!?;:,](?=\s|$)|\n")
SENTENCE = re.compile(r"[.!?](?=\s|$)|\n")
BINDING = """
about actually also although and another any are because been before being both but
called can could did does each even for from had has have her here him his how into its
just known many may might more most much not often one only other our out over same she
should some such than that the their them then there these they this those through too
under upon very was were what when where which while who whose why will with would you
your
"""
PLAIN = frozenset(BINDING.split())
"""Words of English that bind others; in another language they count as key words."""


def askable(base: TextBase, turns: Sequence[Completion], most: int) -> list[Completion]:
    """Return up to `most` turns that leave room for an answer, evenly spaced."""
    room = base.max_length - LONGEST
    fit = [turn for turn in turns if 0 < len(render_prompt(turn.prompt, base)) < room]
    return evenly(fit, most)


def agreeing(
    base: Base,
    turns: Sequence[Completion],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[bool]:
    """Return which of the base's own turns whatever is active answers as it did.

    Args:
        base: The base with what is asked active.
        turns: Prompts, and what the bare base answered.
        on_batch: Called after each batch, since answers take long.
    """
    said = _said(base, turns, on_batch)
    return [
        agrees(text, turn.completion, turn.prompt)
        for text, turn in zip(said, turns, strict=True)
    ]


def holding(
    base: Base,
    anchors: Sequence[Completion],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[bool]:
    """Return which anchors whatever is active answers right.

    Args:
        base: The base with what is asked active.
        anchors: Questions, and the answers that must stay right.
        on_batch: Called after each batch, since answers take long.
    """
    said = _said(base, anchors, on_batch)
    return [
        contains(text, anchor.completion)
        for text, anchor in zip(said, anchors, strict=True)
    ]


def agrees(said: str, expected: str, prompt: str) -> bool:
    """Return whether an answer says what the expected one does, in whatever words.

    It does if they are alike but for case and punctuation, or if it has half of the key
    words of the expected one; of a shorter answer half of its own are enough.
    """
    if said.strip() == expected.strip():
        return True
    if _words(said) == _words(expected) != []:
        return True
    keys = key_words(expected, prompt)
    given = _telling(said, prompt)
    if not keys or not given:
        return False
    shared = len(keys & set(_words(said)))
    return shared > 0 and shared >= LEAST * min(len(keys), len(given))


def contains(said: str, right: str) -> bool:
    """Return whether an answer has the words of the right one, in their order.

    Case, punctuation, and what stands around them do not count.
    """
    words, looked_for = _words(said), _words(right)
    width = len(looked_for)
    if width == 0:
        return said.strip() == right.strip()
    starts = range(len(words) - width + 1)
    return any(words[start : start + width] == looked_for for start in starts)


def key_words(text: str, prompt: str) -> set[str]:
    """Return the words of an answer that it cannot do without, in lower case.

    They are the names and numbers of its first clause, or else of its first sentence,
    or else all words there that tell anything. What the prompt says is none of them.
    """
    text = MARKER.sub("", text).strip()
    clause, sentence = (_until(end, text) for end in (CLAUSE, SENTENCE))
    asked = set(_words(prompt))
    for part in (clause, sentence):
        if names := {word.lower() for word in _names(part)} - asked:
            return names
    return _telling(sentence, prompt)


def _said(
    base: Base, asked: Sequence[Completion], on_batch: Callable[[], None]
) -> list[str]:
    """Return greedy answers of whatever is active."""
    prompts = [render_prompt(one.prompt, base) for one in asked]
    return answer(base, prompts, max_new_tokens=LONGEST, on_batch=on_batch)


def _until(end: re.Pattern[str], text: str) -> str:
    """Return a text up to where a pattern first ends it."""
    return end.split(text, maxsplit=1)[0]


def _words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return [word.lower() for word in WORD.findall(text)]


def _names(part: str) -> list[str]:
    """Return numbers, and capitalised words but for the first, of a part of a text."""
    first, *others = WORD.findall(part) or [""]
    named = [word for word in others if word[0].isupper() and len(word) > 1]
    return [word for word in (first, *others) if _has_digit(word)] + named


def _telling(text: str, prompt: str) -> set[str]:
    """Return the words of a text that tell something which the prompt does not."""
    words = set(_words(text)) - set(_words(prompt)) - PLAIN
    return {word for word in words if len(word) >= SHORTEST or _has_digit(word)}


def _has_digit(word: str) -> bool:
    """Return whether a word is a number, or has one in it, such as H2O."""
    return any(sign.isdigit() for sign in word)
