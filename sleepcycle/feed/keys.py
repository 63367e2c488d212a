"""Keys that no shape reads: which may change what a row means, and which may not."""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sleepcycle.errors import ConfigError, RowError
from sleepcycle.feed.plain_values import named_bytes
from sleepcycle.feed.written_numbers import as_written

OFF = frozenset({"false", "0", "0.0", "no", "off", "n"})
"""What a switch says that is off, in small letters."""

UNSUPPORTED = "E_UNSUPPORTED_KEY"
REJECTED = "E_REJECTED"
"""Codes of rows that are in order, and that are not learned."""


@dataclass(frozen=True, slots=True)
class KeyRule:
    """Keys that would change what a row means, were they left out."""

    meaning: str
    words: frozenset[str]
    """A key that has one of these among its words is such a key, as `lossMask`."""

    counts: Callable[[Any], bool]
    """Whether a value changes anything."""

    advice: str = ""
    always: bool = False
    """Whether also a key that ends in a word like `id` is such a key."""

    whole: frozenset[str] = frozenset()
    """Such keys as a whole only, without signs and in small letters, as `code`."""


def _is_said(value: object) -> bool:
    """Return whether there is a value."""
    return True


def _is_on(value: object) -> bool:
    """Return whether a switch is on, or says more than a switch can."""
    return str(value).strip().lower() not in OFF


def _is_off(value: object) -> bool:
    """Return whether a switch is off, or says more than a switch can."""
    return isinstance(value, list | Mapping) or not _is_on(value)


def _is_negative(value: object) -> bool:
    """Return whether a number is below zero, however it is written."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return float(value) < 0
    except (ValueError, OverflowError):
        return False


def _words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


EXCLUDED = KeyRule(
    "that it is not to be learned",
    _words(
        "masked skip skipped exclude excluded ignore ignored hidden deleted "
        "discard discarded disabled negative incorrect undesirable wrong bad "
        "invalid unapproved rejected dropped removed flagged toxic unsafe banned "
        "blocked disliked thumbsdown thumbdown optout optedout evalonly testonly "
        "holdout heldout"
    ),
    _is_on,
    whole=_words(
        "drop remove block todrop toremove shoulddrop shouldremove notrain donttrain "
        "donottrain nolearn dontlearn donotlearn"
    ),
)
INCLUDED = KeyRule(
    "that it is to be learned",
    _words(
        "train trainable training learn learned learnable include included enabled "
        "accept accepted approved correct desirable valid good usable thumbsup thumbup"
    ),
    _is_off,
    whole=_words("use keep touse tokeep shoulduse shouldkeep"),
)
"""With `not` before its word a key says the other of the two: `do_not_learn`."""

RULES = (
    KeyRule(
        "preferences between answers",
        _words(
            "chosen rejected reject rejects rejection preferred dispreferred "
            "preference preferences label"
        ),
        _is_said,
        "to learn the chosen answers alone: --map completion=chosen --ignore rejected",
    ),
    KeyRule(
        "which tokens count in the loss",
        _words("weight weights weighting mask masks masking labels loss losses"),
        _is_said,
    ),
    EXCLUDED,
    INCLUDED,
    KeyRule(
        "that it was judged bad",
        _words("rating ratings score scores vote votes reward rewards feedback"),
        _is_negative,
    ),
    KeyRule(
        "pictures, sound or files",
        _words(
            "image images img imgs picture pictures photo photos video videos audio "
            "audios speech pixel files attachment attachments media"
        ),
        _is_said,
        always=True,
    ),
    KeyRule(
        "tools and their calls",
        _words("tool tools function functions"),
        _is_said,
    ),
    KeyRule(
        "what was thought before the answer",
        _words(
            "reasoning think thinking thought thoughts cot rationale scratchpad "
            "analysis refusal"
        ),
        _is_said,
        "to learn the answers without it: --ignore KEY",
    ),
    KeyRule(
        "what the model is told beside the prompt",
        _words(
            "system context contexts document documents passage passages background "
            "knowledge suffix persona instructions history dialog dialogue choices "
            "option options hint hints article articles story paragraph paragraphs "
            "premise hypothesis evidence preamble preprompt fewshot"
        ),
        _is_said,
        whole=_words(
            "schema dbschema table tables code sourcecode memory memories sys "
            "character examples a b c d"
        ),
    ),
    KeyRule("how a chat is rendered", _words("template"), _is_said),
)
"""The first whose words a key has decides; a key without any is kept beside the row."""

HARMLESS = frozenset(
    {
        "atlas_mode_enabled",  # of ChatGPT's export
        "blocked_urls",
        "parallel_tool_calls",
        "tool_choice",
        "training_data",
    }
)
"""Keys that have such words, and change nothing of what is learned."""

TELLS_OF = _words(
    "id ids idx index url uri source name hash sha date time at count len length size "
    "num lang language model type version"
)
"""Last words of keys that tell of something, and are not it: as `document_id`."""

MOMENTS = frozenset({"at", "date"})
"""Last words of keys that tell when something was done, so that it was."""

NOT = _words("no not non never don dont")
"""Words that turn one round that comes after them."""

BAD = _words("negative bad wrong rejected failed incorrect invalid toxic unsafe")
"""A text that is one of these judges the row, whatever its key is."""

OF_THE_TEXT = _words("sentiment emotion polarity tone mood")
"""Words of keys that judge what a text says, and not the row."""

_BESIDE = _words(
    "call calls content data example answer is message messages path prompt response "
    "sample step steps text token tokens turn turns user value"
)
"""Words that keys have beside them, also without a space, as `imagepath`."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SIGN = re.compile(r"[\s_-]")
_KNOWN = sorted(
    TELLS_OF.union(_BESIDE, *(rule.words for rule in RULES)), key=len, reverse=True
)
_PART = re.compile("|".join(_KNOWN))  # the longest first
_JOINED = re.compile(f"(?:{_PART.pattern})+")
JOINED_CHARS = 40  # of one word that may be several; bounds what trying them costs
CACHED_CHARS = 100  # of a key whose rule is kept
KEPT_BYTES = 500  # of one value that is kept beside an example
KEPT_KEYS = 50  # beside one example
NAME_CHARS = 100  # of a key that is kept


class Fields:
    """The keys of one object, each read once; what nobody read is judged at the end.

    Args:
        value: The object.
        ignored: Keys that are as if they were not there, however they are written.
        where: Comes before a key's name in messages, such as `turn 2: `.
    """

    def __init__(
        self, value: Mapping[str, Any], ignored: frozenset[str], where: str = ""
    ) -> None:
        self._left = dict(value)
        if ignored:
            self._left = {k: v for k, v in value.items() if plain(k) not in ignored}
        self._kept: dict[str, Any] = {}
        self.where = where

    def keep(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Put back a key that was read, and changes nothing."""
        if not _is_empty(value):
            self._kept[name] = value

    def put(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Give a key that stands elsewhere in the row, and is read as one of these."""
        if not _is_empty(value) and name not in self:
            self._left[name] = value

    def __contains__(self, name: str) -> bool:
        """Return whether a key is there that nobody read, and has a value."""
        return not _is_empty(self._left.get(name))

    def take(self, *names: str) -> Any:  # noqa: ANN401 - JSON has any shape
        """Return what the first of these keys has that is there; the others stay."""
        left, empty = self._left, None
        for name in names:
            if name in left:
                if not _is_empty(left[name]):
                    return left.pop(name)
                empty = empty or name
        return left.pop(empty) if empty else None

    def is_read(self) -> bool:
        """Return whether every key was read, so that it is in vain to ask for more."""
        return not self._left

    def given(self, *names: str) -> Any:  # noqa: ANN401 - JSON has any shape
        """Return what the first of these keys has; None where that says nothing."""
        value = self.take(*names)
        return None if _is_empty(value) else value

    def rest(self) -> Iterator[tuple[str, Any]]:
        """Yield each key that nobody read, with its value, if it has one.

        Raises:
            RowError: `E_UNSUPPORTED_KEY`: one of them may change what the row means.
        """
        yield from self._kept.items()
        for key, value in self._left.items():
            if _is_empty(value):
                continue
            rule = rule_of(key)
            if rule is not None and rule.counts(value):
                advice = rule.advice.replace("KEY", key)
                raise self.refusal(key, f"says {rule.meaning}", advice)
            if _is_bad(key, value):
                raise self.refusal(key, f"says that it is {value}")
            yield key, value

    def expect_harmless(self) -> None:
        """Refuse what `rest` refuses, where what it yields is not kept.

        Raises:
            RowError: As for `rest`.
        """
        for _ in self.rest():
            pass

    def refusal(self, key: str, reason: str, advice: str = "") -> RowError:
        """Return the fault of a key that may change what the row means."""
        return RowError(
            UNSUPPORTED,
            f"{self.where}expected no key {key!a:.60}, which {reason}, and is not "
            f"read here; {advice or f'or leave it out: --ignore {key}'}",
        )


def kept_json(provenance: Mapping[str, Any]) -> str | None:
    """Write what is kept beside an example: so many keys, long values cut."""
    if not provenance:
        return None
    kept = {
        short_name(key): _short(as_written(one))
        for key, one in itertools.islice(provenance.items(), KEPT_KEYS)
    }
    return json.dumps(kept, default=named_bytes)


def short_name(key: str) -> str:
    """Return the name of a key, or how it begins."""
    return key if len(key) <= NAME_CHARS else key[:NAME_CHARS] + "..."


def _short(value: Any) -> Any:  # noqa: ANN401 - JSON has any shape
    """Return a value, or how it begins."""
    if isinstance(value, int | float):
        return value
    written = json.dumps(value, default=named_bytes)
    return value if len(written) <= KEPT_BYTES else written[:KEPT_BYTES] + "..."


def plain(key: str) -> str:
    """Return a key in the one form in which keys are compared."""
    return key.strip().lower()


def rule_of(key: str) -> KeyRule | None:
    """Return what a key that no shape reads would change; None where nothing."""
    return _cached_rule(key) if len(key) <= CACHED_CHARS else _find_rule(key)


def _find_rule(key: str) -> KeyRule | None:
    """Find the rule of a key by its words."""
    if key.lower() in HARMLESS:
        return None
    words = words_of(key)
    pairs = map("".join, itertools.pairwise(words))  # as `opt_out`
    known, whole = {*words, *pairs}, _SIGN.sub("", key).lower()
    last = words[-1] if words else ""
    for rule in RULES:
        counts = rule.always or last not in TELLS_OF
        if whole in rule.whole:
            return rule
        if rule.words & known and (counts or (rule is EXCLUDED and last in MOMENTS)):
            return _turned(rule) if NOT.intersection(words[:-1]) else rule
    return None


def words_of(key: str) -> list[str]:
    """Return the words of a key in small letters, also those that are joined."""
    return [part for word in _WORD.findall(key) for part in _parts(word.lower())]


def _turned(rule: KeyRule) -> KeyRule:
    """Return what a rule's words say with a `not` before them."""
    return {EXCLUDED: INCLUDED, INCLUDED: EXCLUDED}.get(rule, rule)


def _is_bad(key: str, value: object) -> bool:
    """Return whether a value is but a word that judges the row to be bad."""
    if not isinstance(value, str) or value.strip().lower() not in BAD:
        return False
    return not OF_THE_TEXT.intersection(words_of(key))


_cached_rule = lru_cache(maxsize=1024)(_find_rule)  # a file has few keys


def _parts(word: str) -> list[str]:
    """Return the words that one is joined of, if it is of known ones alone."""
    if len(word) <= JOINED_CHARS and _JOINED.fullmatch(word):
        return [word, *_PART.findall(word)]
    return [word]


def _is_empty(value: object) -> bool:
    """Return whether a value says nothing."""
    return value is None or value in ("", [], {}) or value != value


def parse_map(words: str) -> dict[str, str]:
    """Return our key for each of the user's in `prompt=question,completion=answer`.

    Raises:
        ConfigError: It is written otherwise.
    """
    pairs = [pair.partition("=") for pair in words.split(",") if pair.strip()]
    named = {theirs.strip(): ours.strip() for ours, _, theirs in pairs}
    if not all([*named, *named.values()]) or len(named) != len(pairs):
        raise ConfigError(
            f"expected --map as prompt=question,completion=answer, got {words!r}"
        )
    return named
