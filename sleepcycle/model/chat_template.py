"""Conversations by a base's chat template: each answer as it will be asked for."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import Any

from sleepcycle.errors import ExampleError
from sleepcycle.model import token_ids
from sleepcycle.model.template_check import MarkedParts, left_out, parted
from sleepcycle.model.template_probe import (
    REFUSALS,
    THINK,
    THOUGHT,
    TemplateProbe,
)
from sleepcycle.records.content import Conversation, Message, Role
from sleepcycle.records.template import TemplateAbilities

_OTHERS = ("slowly", "heron")  # answers that begin otherwise


@dataclass(frozen=True, slots=True)
class RenderedAnswer:
    """One learned answer, as text."""

    prompt: str
    """All before it, up to where the assistant begins to speak."""

    said: str
    """What the assistant says then, and what ends its turn."""

    weight: float


class ChatTemplate:
    """The chat template of a tokenizer, and what it can render.

    What it renders is read by `token_ids.rendered`: what content says is quoted.

    Args:
        tokenizer: Transformers' tokenizer, which has a chat template.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401
        self._tokenizer = tokenizer

    @cached_property
    def abilities(self) -> TemplateAbilities:
        """What the template renders, found out by letting it render."""
        return self._probe.abilities

    @cached_property
    def _probe(self) -> TemplateProbe:
        """What finds out what the template renders."""
        return TemplateProbe(self._tokenizer)

    def prompt(self, conversation: Conversation) -> str:
        """Render a conversation up to where the assistant answers its last turn.

        Raises:
            ExampleError: The template refuses its turns.
        """
        self._expect_able(conversation)
        return self._render(self._merged(conversation), answer_next=True)

    def answers(self, conversation: Conversation) -> Iterator[RenderedAnswer]:
        """Yield each learned answer, rendered as it will be asked for.

        Templates drop earlier reasoning, mark the last turn, or open the reasoning of
        the next: so every answer is rendered as the last one of its conversation.

        Raises:
            ExampleError: The template refuses its turns, or changes an answer.
        """
        self._expect_able(conversation)
        whole = self._merged(conversation)
        self._expect_all(whole)
        for place, message in enumerate(whole.messages):
            if not message.is_learned:
                continue
            before = replace(whole, messages=whole.messages[:place])
            upto = replace(whole, messages=whole.messages[: place + 1])
            text = self._render(upto, answer_next=False)
            prompt = (
                self._render(before, answer_next=True)
                if place
                else self._head(upto, text)
            )
            if prompt is None:
                continue
            said = _said(prompt, text, message)
            self._expect_heard(prompt, before)
            self._expect_whole(said, message)
            yield RenderedAnswer(prompt, said, message.weight)

    def _expect_able(self, conversation: Conversation) -> None:
        """Refuse what the template would leave out without a word.

        Raises:
            ExampleError: There is some.
        """
        for key in self.abilities.missing_for(conversation):
            raise ExampleError("E_TEMPLATE", f"the chat template renders no {key}")

    def _merged(self, conversation: Conversation) -> Conversation:
        """Put what the system says into a user's turn, where it is rendered nowhere.

        It is the next user's, or that before, with no learned answer between them: so
        what an answer is asked with does not depend on what comes behind it.

        Raises:
            ExampleError: There is none.
        """
        turns = list(conversation.messages)
        for place in range(len(turns) - 1, -1, -1):  # so the first comes first
            system = turns[place]
            if system.role is not Role.SYSTEM or self._stays(turns, place):
                continue
            at = _user_near(turns, place)
            if at is None:
                raise ExampleError(
                    "E_TEMPLATE",
                    "the chat template has no system turn there, and no user's is",
                )
            said = [system.content, turns[at].content]
            words = "\n\n".join(said if at > place else said[::-1])
            turns[at] = replace(turns[at], content=words)
            del turns[place]
        return replace(conversation, messages=tuple(turns))

    def _stays(self, turns: Sequence[Message], place: int) -> bool:
        """Return whether a system turn is rendered where it stands."""
        if not place:
            return self.abilities.system
        if all(turn.role is Role.SYSTEM for turn in turns[:place]):
            return self.abilities.system and self._probe.second_system
        return self._probe.later_system

    def _head(self, first: Conversation, text: str) -> str | None:
        """Return what a rendering begins with before the words of its one answer.

        None where that cannot be found out: then the answer is context alone, for what
        the template says before it is not to be learned.
        """
        [answer] = first.messages
        others = [
            replace(answer, content=w, reasoning="", tool_calls=()) for w in _OTHERS
        ]
        try:
            texts = [
                self._render(replace(first, messages=(other,)), answer_next=False)
                for other in others
            ]
        except ExampleError:
            return None
        head = _common(text, *texts)
        if parted(answer)[0] or answer.tool_calls:
            return head
        words = token_ids.quote(self._tokenizer, answer.content.strip())
        return head if text[len(head) :].lstrip().startswith(words) else None

    def _expect_all(self, whole: Conversation) -> None:
        """Refuse a conversation of which the template leaves out a part.

        Raises:
            ExampleError: It does.
        """
        learned = [n for n, turn in enumerate(whole.messages) if turn.is_learned]
        if not learned:
            return
        upto = replace(whole, messages=whole.messages[: learned[-1] + 1])
        marked = MarkedParts(upto)
        try:
            text = self._render(marked.conversation, answer_next=False)
        except ExampleError:
            return  # of the marks alone, or of the words too, which come next
        for key in marked.missing_in(text):
            raise ExampleError("E_TEMPLATE", f"the chat template leaves out the {key}")

    def _expect_heard(self, prompt: str, before: Conversation) -> None:
        """Refuse a prompt that has not all that was said before.

        Raises:
            ExampleError: A part of it is missing, or changed.
        """
        for turn in before.messages:
            if key := left_out(turn, prompt, self._quoted):
                raise ExampleError(
                    "E_TEMPLATE",
                    f"the chat template leaves out or changes the {key} of a turn of "
                    f"{turn.role}",
                )

    def _render(self, conversation: Conversation, *, answer_next: bool) -> str:
        """Render turns; what they say is quoted, what the template says is not."""
        rows = self._probe.rows(conversation.messages)
        args = json.loads(conversation.template_args or "{}")
        tools = json.loads(conversation.tools or "null")
        try:
            text: str = self._tokenizer.apply_chat_template(
                self._quoted(rows),
                tools=self._quoted(tools),
                add_generation_prompt=answer_next,
                tokenize=False,
                **self._quoted(args),
            )
        except REFUSALS as error:
            roles = ", ".join(row["role"] for row in rows)
            raise ExampleError(
                "E_TEMPLATE",
                f"the chat template refuses turns of {roles:.80}: {error!s:.200}",
            ) from error
        return text

    def _quoted(self, value: Any) -> Any:  # noqa: ANN401 - JSON has any shape
        """Quote every text in a value."""
        if isinstance(value, str):
            return token_ids.quote(self._tokenizer, value)
        if isinstance(value, list):
            return [self._quoted(one) for one in value]
        if isinstance(value, dict):
            return {self._quoted(key): self._quoted(one) for key, one in value.items()}
        return value

    def _expect_whole(self, said: str, message: Message) -> None:
        """Refuse an answer that a template has not rendered as it stands.

        Raises:
            ExampleError: A part of it is missing.
        """
        reasoning = token_ids.quote(self._tokenizer, parted(message)[0].strip())
        key = "reasoning" if reasoning not in said else None
        if key := key or left_out(message, said, self._quoted):
            raise ExampleError(
                "E_TEMPLATE",
                f"the chat template leaves out or changes the {key} of an answer",
            )


def template_of(tokenizer: Any) -> ChatTemplate:  # noqa: ANN401
    """Return a tokenizer's chat template, probed once as long as it stays the same."""
    return _kept(tokenizer, str(tokenizer.chat_template))


@lru_cache(maxsize=8)
def _kept(tokenizer: Any, source: str) -> ChatTemplate:  # noqa: ANN401
    """Make a template, or return that made before for the same source."""
    return ChatTemplate(tokenizer)


def _user_near(turns: Sequence[Message], place: int) -> int | None:
    """Return the user's turn that a system turn belongs to, the next one first."""
    for way in (range(place + 1, len(turns)), range(place - 1, -1, -1)):
        for at in way:
            if turns[at].is_learned:
                break
            if turns[at].role is Role.USER:
                return at
    return None


def _common(*texts: str) -> str:
    """Return what texts begin with alike."""
    alike = takewhile(lambda letters: len({*letters}) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in alike)


def _said(prompt: str, whole: str, message: Message) -> str:
    """Return what a rendering says behind its prompt.

    Where the prompt opens the reasoning and the rendering has none, as DeepSeek-R1's,
    the answer begins inside of it: with the reasoning, or by closing it.

    Raises:
        ExampleError: The rendering does not go on from the prompt.
    """
    if whole.startswith(prompt):
        return whole[len(prompt) :]
    before, opened, behind = prompt.rpartition(THINK)
    if not opened or behind.strip() or not whole.startswith(before):
        part = "the reasoning of an" if parted(message)[0] else "an"
        raise ExampleError(
            "E_TEMPLATE",
            f"the chat template renders {part} answer otherwise than it asks for one",
        )
    rest = whole[len(before) :]
    if rest.startswith(THINK):
        return rest.removeprefix(THINK).lstrip("\n")
    reasoning, _ = parted(message)
    return f"{reasoning}\n{THOUGHT}\n\n{rest.lstrip()}"
