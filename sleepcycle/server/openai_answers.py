"""Answers in OpenAI's shape, whole or as a stream of events."""

import json
import secrets
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sleepcycle.records.content import ToolCall
from sleepcycle.server.tool_call_text import split_calls
from sleepcycle.serving.messages import Begun, Ended, Said, ToldToken
from sleepcycle.serving.process import Answer

Json = dict[str, Any]
DONE = "data: [DONE]\n\n"


@dataclass
class WrittenAnswer:
    """One answer, as far as it has come."""

    text: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    told: list[ToldToken] = field(default_factory=list)
    reason: str | None = None
    split: tuple[str, Sequence[ToolCall]] | None = None
    """What is said, and the calls of tools; known once it is over."""

    def take(self, line: Begun | Said | Ended) -> str:
        """Take what was said; return the text that is new."""
        if isinstance(line, Begun):
            self.prompt_tokens = line.prompt_tokens
            return ""
        if isinstance(line, Said):
            self.tokens += line.tokens
            self.told += line.told
        else:
            self.reason = str(line.reason)
        self.text += line.text
        return line.text


@dataclass(frozen=True)
class Envelope:
    """What all parts of an answer have alike."""

    model: str
    """The version that answers, by its own name."""

    is_chat: bool
    offered: Collection[str] = ()
    """Names of tools that may be called."""

    each: int = 1
    """Answers to one prompt."""

    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answers: Sequence[WrittenAnswer]) -> Json:
        """Return all answers, once they are over."""
        choices = [self._choice(place, one) for place, one in enumerate(answers)]
        return self._part(choices, "") | {"usage": usage(answers, self.each)}

    @property
    def name(self) -> str:
        """By which all of it is known."""
        return f"{'chatcmpl' if self.is_chat else 'cmpl'}-{self.id}"

    def message(self, one: WrittenAnswer) -> Json:
        """Return what the assistant says in one answer, and calls."""
        text, calls = self._split(one)
        said = None if calls and not text else text
        message: Json = {"role": "assistant", "content": said}
        if calls:
            message["tool_calls"] = [_call(call) for call in calls]
        return message

    async def events(
        self,
        answers: Sequence[Answer],
        written: Sequence[WrittenAnswer],
        *,
        has_usage: bool,
    ) -> AsyncIterator[str]:
        """Yield answers as server-sent events, all but the last that says so.

        Args:
            answers: What is being written.
            written: Takes what has come of each.
            has_usage: Whether what it took comes at the end.
        """
        for place, answer in enumerate(answers):
            async for line in answer:
                for fields in self._news(written[place], line):
                    yield self._event(place, fields)
        if has_usage:
            yield event(self._part([], ".chunk") | {"usage": usage(written, self.each)})

    def _news(self, one: WrittenAnswer, line: Begun | Said | Ended) -> list[Json]:
        """Return what a line adds to an answer, in parts of a choice."""
        text = one.take(line)
        if isinstance(line, Begun):
            role = {"role": "assistant", "content": ""}
            return [{"delta": role}] if self.is_chat else []
        told = line.told if isinstance(line, Said) else ()
        found: list[Json] = []
        if self.is_chat and self.offered:
            if one.reason:  # calls are known once all is there
                message = self.message(one)
                for place, call in enumerate(message.get("tool_calls", ())):
                    call["index"] = place
                found.append({"delta": message, "logprobs": self._logprobs(one.told)})
        elif text or told:
            said = {"delta": {"content": text}} if self.is_chat else {"text": text}
            found.append({**said, "logprobs": self._logprobs(told)})
        if one.reason:
            last: Json = {"delta": {}} if self.is_chat else {"text": ""}
            found.append({**last, "finish_reason": self._reason(one)})
        return found

    def _choice(self, place: int, one: WrittenAnswer) -> Json:
        """Return one answer that is over."""
        said = {"message": self.message(one)} if self.is_chat else {"text": one.text}
        return {
            "index": place,
            **said,
            "logprobs": self._logprobs(one.told),
            "finish_reason": self._reason(one),
        }

    def _reason(self, one: WrittenAnswer) -> str:
        """Return why an answer ended."""
        return "tool_calls" if self._split(one)[1] else str(one.reason)

    def _split(self, one: WrittenAnswer) -> tuple[str, Sequence[ToolCall]]:
        """Return what is said, and the calls."""
        if not (self.is_chat and self.offered):
            return one.text, []
        if one.split is None:
            one.split = split_calls(one.text, self.offered)
        return one.split

    def _logprobs(self, told: Sequence[ToldToken]) -> Json | None:
        """Return how likely tokens were, where that was asked."""
        if not told:
            return None
        if self.is_chat:
            return {"content": [_likely(one) for one in told], "refusal": None}
        return {
            "tokens": [one.text for one in told],
            "token_logprobs": [one.log_prob for one in told],
            "top_logprobs": [dict(one.likeliest) for one in told],
            "text_offset": [],
        }

    def _event(self, place: int, fields: Mapping[str, Any]) -> str:
        """Return a part of one answer as an event."""
        choice = {"index": place, "logprobs": None, "finish_reason": None, **fields}
        return event(self._part([choice], ".chunk"))

    def _part(self, choices: list[Json], kind: str) -> Json:
        """Return what goes around choices."""
        name = f"chat.completion{kind}" if self.is_chat else "text_completion"
        return {
            "id": self.name,
            "object": name,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


def event(fields: Mapping[str, Any]) -> str:
    """Return JSON as a server-sent event."""
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n"


def usage(answers: Sequence[WrittenAnswer], each: int) -> Json:
    """Return what answers took; the prompt of several answers counts once.

    Args:
        answers: All of them.
        each: How many there are to one prompt, one after another.
    """
    read = sum(one.prompt_tokens for one in answers[::each])
    said = sum(one.tokens for one in answers)
    return {
        "prompt_tokens": read,
        "completion_tokens": said,
        "total_tokens": read + said,
    }


async def whole(answer: Answer) -> WrittenAnswer:
    """Return an answer once it is over."""
    written = WrittenAnswer()
    async for line in answer:
        written.take(line)
    return written


def _call(call: ToolCall) -> Json:
    """Return a call of a tool."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _likely(told: ToldToken) -> Json:
    """Return a token with its log-probability, and those beside it."""
    others = [_token(text, log) for text, log in told.likeliest]
    return {**_token(told.text, told.log_prob), "top_logprobs": others}


def _token(text: str, log_prob: float) -> Json:
    """Return one token with its log-probability."""
    return {"token": text, "logprob": log_prob, "bytes": list(text.encode())}
