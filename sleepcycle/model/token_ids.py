"""Text as token ids: what looks like a control token in content stays plain text."""

import re
from functools import lru_cache
from typing import Any

OPEN, CLOSE = "\ue000", "\ue001"  # of the private use area: no template writes them,
# and what content has of the first is quoted too
_QUOTED = re.compile(f"{OPEN}([0-9]+){CLOSE}")


def plain(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """Tokenize text in which no control token is one."""
    if not text:
        return []
    found = tokenizer(text, add_special_tokens=False, split_special_tokens=True)
    return list(found["input_ids"])


def quote(tokenizer: Any, text: str) -> str:  # noqa: ANN401
    """Replace what looks like a control token by a mark that `rendered` reads."""
    names, pattern = _controls(tokenizer)
    return pattern.sub(lambda m: f"{OPEN}{names.index(m[0])}{CLOSE}", text)


def unquote(tokenizer: Any, text: str) -> str:  # noqa: ANN401
    """Put back what `quote` replaced."""
    names, _ = _controls(tokenizer)
    return _QUOTED.sub(lambda m: _named(names, m), text)


def rendered(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """Tokenize what a template rendered of quoted content.

    The template's control tokens are ones; those of the content, which are quoted, are
    plain text.
    """
    names, _ = _controls(tokenizer)
    ids: list[int] = []
    end = 0
    for mark in _QUOTED.finditer(text):
        ids += _all(tokenizer, text[end : mark.start()])
        ids += plain(tokenizer, _named(names, mark))
        end = mark.end()
    return ids + _all(tokenizer, text[end:])


def _all(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """Tokenize text whose control tokens are ones."""
    if not text:
        return []
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _named(names: tuple[str, ...], mark: re.Match[str]) -> str:
    """Return what a mark stands for; one that a template made is itself."""
    place = int(mark[1])
    return names[place] if place < len(names) else mark[0]


@lru_cache(maxsize=8)
def _controls(tokenizer: Any) -> tuple[tuple[str, ...], re.Pattern[str]]:  # noqa: ANN401
    """Return a tokenizer's control tokens and our own mark, and what finds them."""
    added = tokenizer.added_tokens_decoder.values()
    names = {str(token) for token in added if token.special}
    names |= {OPEN, *tokenizer.all_special_tokens}
    longest_first = tuple(
        sorted(filter(None, names), key=lambda name: (-len(name), name))
    )
    return longest_first, re.compile("|".join(map(re.escape, longest_first)))
