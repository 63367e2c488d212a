"""Content as token ids, each with its weight in the loss.

Training, scoring and asking all go through here, so what was learned as a prompt is
what is asked.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from sleepcycle.errors import ExampleError
from sleepcycle.model import token_ids
from sleepcycle.model.base import Base, TextBase
from sleepcycle.model.chat_template import template_of
from sleepcycle.model.text_windows import split_text
from sleepcycle.model.token_ids import GrowingText, common_start
from sleepcycle.records.content import (
    Completion,
    Content,
    Conversation,
    Message,
    Role,
    Text,
)
from sleepcycle.records.template import TemplateAbilities

SHORTEST_PROMPT = 32  # tokens left of a prompt without its middle, or half; a guess
MOST_ANSWERS = 500  # of a conversation by a template: for each, all before is rendered
MOST_RENDERED = 50_000_000  # letters, of all its prompts together: some seconds


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sequence of tokens as the model sees it."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    """Of each token as a target of the loss; the first is never one."""

    cut: int = 0
    """Tokens that are missing in the middle of its prompt."""

    left_out: int = 0
    """Answers of its content that are too long to be learned, told of the first."""

    def weighed(self, scale: float) -> "Encoded":
        """Return the same with all weights multiplied."""
        return replace(self, weights=tuple(scale * one for one in self.weights))

    @property
    def learned(self) -> int:
        """How many tokens count in the loss."""
        return sum(weight > 0 for weight in self.weights[1:])

    @property
    def read(self) -> int:
        """How many tokens, from its first one, the last that is learned hangs on."""
        places = (place for place, w in enumerate(self.weights) if place and w > 0)
        return max(places, default=1)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One learned answer, and all that stands before it."""

    prompt: list[int]
    answer: list[int]
    weight: float
    missing: int = 0
    """Tokens that the middle of the prompt is too long by to be read."""


def ignore_answer() -> None:
    """Take an answer, and do nothing."""


def encode(
    content: Content,
    base: TextBase,
    *,
    prompt_weight: float,
    on_answer: Callable[[], None] = ignore_answer,
) -> list[Encoded]:
    """Turn content into sequences of at most the base's `max_length` tokens.

    Of prompts and conversations, what the model shall say counts by its weight, its
    end token included, and all else by `prompt_weight`; beside an answer that must not
    be learned, nothing else counts. Answers are learned in one sequence where each is
    in it what it will be asked as, else each in its own. A prompt that leaves its
    answer no room loses its middle; an answer that is too long stays context, if there
    are others. Text counts whole, and a long one is split.

    Args:
        content: What is encoded.
        base: Whose tokenizer, template and `max_length` are taken.
        prompt_weight: Of what the model shall not say.
        on_answer: Called before each answer of a conversation, since many take long.

    Raises:
        ExampleError: It cannot be learned: `E_TEMPLATE`, `E_TOO_LONG`, or `E_EMPTY`.
    """
    if isinstance(content, Text):
        encoded = _windows(content, base)
    else:
        masked = isinstance(content, Conversation) and any(
            m.role is Role.ASSISTANT and not m.is_learned for m in content.messages
        )
        exchanges = _told(_exchanges(content, base), on_answer)
        encoded = _sequences(exchanges, base.max_length, 0 if masked else prompt_weight)
    if not any(one.learned for one in encoded):
        raise ExampleError("E_EMPTY", "expected something to learn, got no such token")
    return encoded


def encode_all(
    contents: Iterable[Content], base: TextBase, *, prompt_weight: float
) -> list[Encoded]:
    """Encode contents one after another; what cannot be learned is left out."""
    parts = (encode_if_possible(one, base, prompt_weight) for one in contents)
    return list(chain.from_iterable(parts))


def encode_if_possible(
    content: Content, base: TextBase, prompt_weight: float
) -> list[Encoded]:
    """Encode content; nothing where it cannot be learned."""
    try:
        return encode(content, base, prompt_weight=prompt_weight)
    except ExampleError:
        return []


def render_prompt(prompt: str, base: TextBase) -> list[int]:
    """Return the ids after which the model answers, as training saw them."""
    if base.chat:
        return render_chat(Conversation((Message(Role.USER, prompt),)), base)
    return render_text(prompt, base)


def render_chat(conversation: Conversation, base: TextBase) -> list[int]:
    """Return the ids after which a chat model answers a conversation's last turn.

    Raises:
        ExampleError: The template refuses its turns.
    """
    text = template_of(base.tokenizer).prompt(conversation)
    return token_ids.rendered(base.tokenizer, text)


def render_text(text: str, base: TextBase) -> list[int]:
    """Return the ids after which a model goes on from a text."""
    return text_start(base) + tokens(base, text)


def pad_id(base: TextBase) -> int:
    """Return an id to pad with; which one does not matter, since it is masked."""
    tokenizer = base.tokenizer
    for candidate in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if candidate is not None:
            return int(candidate)
    return 0


def end_ids(base: Base) -> set[int]:
    """Return the tokens at which an answer is over."""
    configured = base.model.generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return {end for end in (*ends, base.tokenizer.eos_token_id) if end is not None}


def _windows(content: Text, base: TextBase) -> list[Encoded]:
    """Return the parts of a text, each of which fits."""
    start, end = text_start(base), text_end(base)
    parts = split_text(
        base.tokenizer,
        content.text,
        base.max_length - len(start) - len(end),
        base.text_overlap,
    )
    encoded = []
    for number, part in enumerate(parts, 1):
        ending = end if number == len(parts) else []
        ids = (*start, *part.ids, *ending)
        context = len(start) + part.context
        weights = [0.0] * context + [content.weight] * (len(ids) - context)
        encoded.append(Encoded(ids, (0.0, *weights[1:])))
    return encoded


def _told(
    exchanges: Iterable[_Exchange], on_answer: Callable[[], None]
) -> Iterator[_Exchange]:
    """Yield what comes, and tell of each."""
    for one in exchanges:
        on_answer()
        yield one


def _exchanges(
    content: Completion | Conversation, base: TextBase
) -> Iterator[_Exchange]:
    """Yield each learned answer with all before it, as it will be asked for."""
    match content:
        case Conversation() as conversation if base.chat:
            yield from _templated(conversation, base)
        case Completion(prompt, completion) if base.chat:
            asked = Message(Role.USER, prompt)
            said = Message(Role.ASSISTANT, completion, content.weight)
            yield from _templated(Conversation((asked, said)), base)
        case Completion(prompt, completion):
            before = text_start(base) + tokens(base, prompt)
            after = tokens(base, completion) + text_end(base)
            yield _Exchange(before, after, content.weight)
        case Conversation() as conversation:
            yield from _labelled(conversation, base)


def _templated(conversation: Conversation, base: TextBase) -> Iterator[_Exchange]:
    """Yield a conversation's answers by the tokenizer's chat template.

    Raises:
        ExampleError: It is too long to be rendered for each of its answers.
    """
    learned = sum(message.is_learned for message in conversation.messages)
    if learned > MOST_ANSWERS:
        raise _too_much(f"{MOST_ANSWERS} answers to learn", f"{learned}")
    prompts, letters = GrowingText(base.tokenizer, base.max_length), 0
    for answer in template_of(base.tokenizer).answers(conversation):
        letters += len(answer.prompt) + len(answer.said)
        if letters > MOST_RENDERED:
            raise _too_much(
                f"{MOST_RENDERED} letters in the prompts of its answers", "more"
            )
        prompt = prompts.ids(answer.prompt)
        said = token_ids.rendered(base.tokenizer, answer.said)
        yield _Exchange(prompt, said, answer.weight, prompts.missing)


def _too_much(most: str, came: str) -> ExampleError:
    """Return that a conversation is too long, in words."""
    return ExampleError(
        "E_TOO_LONG",
        f"expected a conversation of at most {most}, got {came}; split it into several",
    )


def _labelled(conversation: Conversation, base: TextBase) -> Iterator[_Exchange]:
    """Yield a conversation's answers for a base without a template: turns by roles."""
    for key in TemplateAbilities().missing_for(conversation):
        raise ExampleError("E_TEMPLATE", f"without a chat template there is no {key}")
    before = text_start(base)
    for message in conversation.messages:
        before = before + tokens(base, f"{message.role}: ")
        if message.role is Role.ASSISTANT:
            said = tokens(base, message.content) + text_end(base)
            if message.is_learned:
                yield _Exchange(before, said, message.weight)
        else:
            said = tokens(base, f"{message.content}\n")
        before = before + said


def _sequences(
    exchanges: Iterable[_Exchange], most: int, prompt_weight: float
) -> list[Encoded]:
    """Put the answers of a conversation into as few sequences as hold them.

    Raises:
        ExampleError: Every answer is too long.
    """
    done: list[Encoded] = []
    ids: list[int] = []  # of the sequence that may go on
    weights: list[float] = []
    learned: list[int] = []  # up to the last answer, nothing cut
    faults: list[ExampleError] = []
    for one in exchanges:
        whole = one.prompt + one.answer
        fits = len(whole) <= most and not one.missing
        if not (fits and ids and one.prompt[: len(ids)] == ids):
            done += _ended(ids, weights)
            ids, weights = [], [0.0] * common_start(learned, one.prompt)
        weights += [prompt_weight] * (len(one.prompt) - len(weights))
        weights += [one.weight] * len(one.answer)
        if fits:
            ids = whole
        else:
            try:
                done.append(_shortened(one, whole, weights, most))
            except ExampleError as error:
                faults.append(error)
                continue
        learned = whole
    done += _ended(ids, weights)
    if faults and not done:
        raise faults[0]
    return [*(replace(one, left_out=len(faults)) for one in done[:1]), *done[1:]]


def _ended(ids: Sequence[int], weights: Sequence[float]) -> list[Encoded]:
    """Return the sequence that goes on no further, if there is one."""
    return [Encoded(tuple(ids), (0.0, *weights[1:]))] if ids else []


def _shortened(
    one: _Exchange, whole: Sequence[int], weights: Sequence[float], most: int
) -> Encoded:
    """Cut the middle out of a prompt, so that its whole answer fits.

    Raises:
        ExampleError: Too little of the prompt would be left.
    """
    room = most - len(one.answer)
    if room < min(len(one.prompt) // 2, SHORTEST_PROMPT):
        raise ExampleError(
            "E_TOO_LONG",
            f"expected an answer that fits into {most} tokens with its prompt, got one "
            f"of {len(one.answer)}; raise model.max_length, if the base allows it",
        )
    cut = max(0, len(one.prompt) - room)
    first = room // 2
    ids = (*whole[:first], *whole[first + cut :])
    kept = (*weights[:first], *weights[first + cut :])
    return Encoded(ids, (0.0, *kept[1:]), cut + one.missing)


def tokens(base: TextBase, text: str) -> list[int]:
    """Tokenize text without any special token, also where it names one."""
    return token_ids.plain(base.tokenizer, text)


def text_start(base: TextBase) -> list[int]:
    """Return what the tokenizer itself puts before a text: one token, or none."""
    bos: Any = base.tokenizer.bos_token_id
    if bos is None:
        return []
    return [bos] if base.tokenizer("")["input_ids"][:1] == [bos] else []


def text_end(base: TextBase) -> list[int]:
    """Return the token that ends a text, if the tokenizer has one."""
    eos = base.tokenizer.eos_token_id
    return [] if eos is None else [eos]
