"""Text as token ids: what looks like a control token in content stays plain text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

OPEN, CLOSE = "\ue000", "\ue001"  # of the private use area: no template writes them,
# and what content has of the first is quoted too
_QUOTED = re.compile(f"{OPEN}([0-9]+){CLOSE}")

LETTERS = 16  # of a far too long text are read for each token that has room; four times
# what is usual, so that only runs of white space and the like are more

REASONING = ("<think>", "</think>")  # content may mark its reasoning by them
_MARKED = re.compile(r"(?=.*\w).*[<|\[{\uff5c].*", re.DOTALL)
_HTML = re.compile(
    r"</?(a|b|blockquote|br|caption|code|del|div|em|h[1-6]|hr|i|img|li|ol|p|pre|span|"
    r"strong|su[bp]|table|tbody|td|tfoot|th|thead|tr|u|ul)/?>"
)


def plain(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401
    """Tokenize text in which no control token is one."""
    ids: list[int] = []
    for _, part in parts(tokenizer, text):
        found = tokenizer(part, add_special_tokens=False, split_special_tokens=True)
        ids += found["input_ids"]
    return ids


def parts(tokenizer: Any, text: str) -> Iterator[tuple[int, str]]:  # noqa: ANN401
    """Yield where the parts of a text begin, and them: each is tokenized by itself.

    Told to, a tokenizer splits its special tokens, but no others that were added. So
    the text is cut behind the first letter of each of those.
    """
    start, joined = 0, _joined(tokenizer)
    while found := joined and joined.search(text, start):
        end = found.start() + 1
        yield start, text[start:end]
        start = end
    if start < len(text):
        yield start, text[start:]


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


@dataclass(frozen=True, slots=True)
class _Control:
    """A control token within a rendered text."""

    start: int
    end: int
    ids_before: int
    missing: int


class GrowingText:
    """Rendered texts, each of which mostly goes on from the one before.

    Only what is new is tokenized: from the last control token on up to which both are
    the same, since a tokenizer cuts every text there. Of more new text than can be of
    use the middle is left out, before it is tokenized.

    Args:
        tokenizer: Transformers' tokenizer.
        most: Tokens for which there is room.
    """

    def __init__(self, tokenizer: Any, most: int) -> None:  # noqa: ANN401
        self._tokenizer = tokenizer
        self._most = LETTERS * most
        self._text = ""
        self._ids: list[int] = []
        self._found: list[_Control] = []
        self.missing = 0
        """About how many tokens the last text has that were left out."""

    def ids(self, text: str) -> list[int]:
        """Return what `rendered` does, but for what is left out in the middle."""
        same = common_start(self._text, text)
        while self._found and self._found[-1].end > same:
            self._found.pop()
        known = self._found[-1] if self._found else _Control(0, 0, 0, 0)
        self._text, self._ids = text, self._ids[: known.ids_before]
        self.missing = known.missing
        if len(text) - known.start <= 2 * self._most:
            self._read(known.start, len(text))
        else:
            self._read_ends(known.start)
        return self._ids

    def _read_ends(self, start: int) -> None:
        """Tokenize the ends of what is new, with no half mark of `quote`."""
        head = re.sub(f"{OPEN}[0-9]*$", "", self._text[start : start + self._most])
        tail = re.sub(f"^[0-9]*{CLOSE}", "", self._text[-self._most :])
        before = len(self._ids)
        self._read(start, start + len(head))
        left_out = len(self._text) - start - len(head) - len(tail)
        self.missing += left_out * (len(self._ids) - before) // len(head)
        self._read(len(self._text) - len(tail), len(self._text))

    def _read(self, start: int, end: int) -> None:
        """Tokenize a part of the text, cut where control tokens begin."""
        _, pattern = _controls(self._tokenizer)
        for found in pattern.finditer(self._text, start, end):
            if found[0] == OPEN or not _cuts(self._tokenizer, found[0]):
                continue
            self._ids += rendered(self._tokenizer, self._text[start : found.start()])
            start = found.start()
            self._found.append(_Control(*found.span(), len(self._ids), self.missing))
        self._ids += rendered(self._tokenizer, self._text[start:end])


def common_start(left: Sequence[Any], right: Sequence[Any]) -> int:
    """Return how long two texts or lists are alike from their beginning."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while high - low > 1:  # alike up to low, and not up to high
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


@lru_cache(maxsize=1000)
def _cuts(tokenizer: Any, name: str) -> bool:  # noqa: ANN401
    """Return whether text may be cut before a control token without changing tokens.

    One that takes the white space before it forbids that.
    """
    return all(
        _all(tokenizer, before + name + behind)
        == _all(tokenizer, before) + _all(tokenizer, name + behind)
        for before, behind in (("a", "b"), ("a b ", " b"), ("a.\n", "\nb"))
    )


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
    names = {str(token) for token in added if token.special or _is_mark(str(token))}
    names |= {OPEN, *tokenizer.all_special_tokens}
    longest_first = tuple(
        sorted(filter(None, names), key=lambda name: (-len(name), name))
    )
    return longest_first, _any_of(longest_first)


@lru_cache(maxsize=8)
def _joined(tokenizer: Any) -> re.Pattern[str] | None:  # noqa: ANN401
    """Return what finds added tokens that are not special, yet control a model."""
    added = tokenizer.added_tokens_decoder.values()
    names = [str(token) for token in added if not token.special]
    marks = tuple(filter(_is_mark, names))
    return _any_of(marks) if marks else None


def _is_mark(name: str) -> bool:
    """Return whether an added token that is not special controls a model all the same.

    Such as `<tool_call>` and those for filling in. Words, digits, operators, runs of
    white space and HTML's tags, which some tokenizers add too (Gemma's, Phi's), are
    what content is made of: they stay tokens.
    """
    if name in REASONING or _HTML.fullmatch(name):
        return False
    return bool(_MARKED.fullmatch(name))


def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds any of some words."""
    return re.compile("|".join(map(re.escape, names)))
