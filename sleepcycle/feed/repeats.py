"""Keys beside those of a shape: they may repeat what the row says, and add nothing."""

from sleepcycle.feed.keys import words_of
from sleepcycle.feed.written_numbers import number_text
from sleepcycle.records.content import Completion, Content, Conversation, Role, Text

ANSWERED = frozenset({"completion", "output", "response", "answer"})
ASKED = frozenset({"prompt", "instruction", "question", "input"})
LONG_CHARS = 200
"""Of a text that may be what the answer rests on, whatever its key is."""

NAMED = frozenset({"id", "ids", "url", "uri", "hash", "sha"})
"""Last words of keys whose values name something, however long they are."""


def repeats(key: str, value: object, content: Content) -> bool:
    """Return whether a key of another shape says what the content says.

    An answer is the last one, whole; what is asked stands in the last turn of the
    user, or is a turn; any other text is one of the texts, or holds the last exchange.
    """
    value = number_text(value)
    if not isinstance(value, str):
        return False
    text, texts = value.strip(), _texts(content)
    if isinstance(content, Text):
        return text in content.text or _holds(value, texts)
    asked, answer = _exchange(content)
    if key in ANSWERED:
        return text == answer.strip()
    others = [one.strip() for one in texts if one != answer]
    if key in ASKED:
        return text in asked or text in others
    return text in others or text == answer.strip() or _holds(value, [asked, answer])


def is_left_out(key: str, value: object, content: Content) -> bool:
    """Return whether a value is a long text that is no part of the content."""
    texts = value if isinstance(value, list) else [value]
    text = "\n".join(one for one in texts if isinstance(one, str)).strip()
    if len(text) <= LONG_CHARS or NAMED.intersection(words_of(key)[-1:]):
        return False
    said = _texts(content)
    return not any(text in one for one in said) and not _holds(text, said[-2:])


def _texts(content: Content) -> list[str]:
    """Return each text of content, in order."""
    match content:
        case Text(text):
            return [text]
        case Completion(prompt, completion):
            return [prompt, completion]
        case Conversation(messages):
            return [message.content for message in messages]


def _exchange(content: Completion | Conversation) -> tuple[str, str]:
    """Return the last text that is asked, and the last answer."""
    if isinstance(content, Completion):
        return content.prompt, content.completion
    last = {message.role: message.content for message in content.messages}
    return last.get(Role.USER, ""), last.get(Role.ASSISTANT, "")


def _holds(value: str, texts: list[str]) -> bool:
    """Return whether a value has every line of some texts."""
    return all(line.strip() in value for text in texts for line in text.splitlines())
