"""What of a lesson its dreams have brought back, and what they have yet to bring."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sleepcycle.files.dream_archive import key, normalised
from sleepcycle.records.content import Completion, Content, Conversation, Text


def missing_mass(drawn: Mapping[str, int]) -> float:
    """Estimate how likely the next draw is to be one that was not drawn yet.

    It is the share of draws that came once (Good, 1953, doi:10.1093/biomet/40.3-4.237).

    Args:
        drawn: How often each was drawn; 1 is returned where nothing was.
    """
    draws = sum(drawn.values())
    once = sum(count == 1 for count in drawn.values())
    return once / draws if draws else 1.0


def undreamt(today: Sequence[Content], dreams: Sequence[Content]) -> list[Content]:
    """Return what no dream tells of.

    A dream tells of an example if it has all of its rarest words, those that the fewest
    of today's examples have: of a fact that is taught in several wordings, its names.
    """
    words = [_words(content) for content in today]
    spread = Counter(word for each in words for word in each)
    told: dict[str, set[int]] = {}
    for number, dreamt in enumerate(dreams):
        for word in _words(dreamt):
            told.setdefault(word, set()).add(number)
    return [
        content
        for content, each in zip(today, words, strict=True)
        if not _is_told(_rarest(each, spread), told)
    ]


def uncontradicted(
    dreams: Iterable[Content], today: Sequence[Content]
) -> list[Content]:
    """Return the dreams that answer no prompt of today otherwise than today does."""
    answers: dict[str, set[str]] = {}
    for content in today:
        if isinstance(content, Completion):
            said = answers.setdefault(key(content), set())
            said.add(normalised(content.completion))
    return [
        dreamt
        for dreamt in dreams
        if not isinstance(dreamt, Completion)
        or key(dreamt) not in answers
        or normalised(dreamt.completion) in answers[key(dreamt)]
    ]


def _rarest(words: set[str], spread: Mapping[str, int]) -> set[str]:
    """Return the words of an example that the fewest examples have."""
    least = min((spread[word] for word in words), default=0)
    return {word for word in words if spread[word] == least}


def _is_told(words: set[str], told: Mapping[str, set[int]]) -> bool:
    """Return whether one dream has all of these words; none are always told."""
    found = [told.get(word, set()) for word in words]
    return not found or bool(set.intersection(*found))


def _words(content: Content) -> set[str]:
    """Return the words of a content, in lower case."""
    match content:
        case Completion(prompt, completion):
            said = [prompt, completion]
        case Text(text):
            said = [text]
        case Conversation(messages):
            said = [message.content for message in messages]
    return set(normalised(" ".join(said)).split())
