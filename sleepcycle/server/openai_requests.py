"""Requests in OpenAI's shape: what of them we read, and what we refuse."""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from sleepcycle.errors import FeedError
from sleepcycle.feed.keys import Fields
from sleepcycle.feed.tool_calls import tools_of
from sleepcycle.feed.turns import read_turns
from sleepcycle.records.captured import checked_metadata
from sleepcycle.records.content import Conversation, Role, canonical_json
from sleepcycle.serving.messages import MOST_TOLD, Ask

MOST_ANSWERS = 16  # to one request
MOST_MESSAGES = 10_000
MOST_STOPS = 16

Count = Annotated[int, Field(ge=1)]


class StreamOptions(BaseModel):
    """How an answer is streamed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    include_usage: bool = False


class Sampled(BaseModel):
    """What both kinds of requests have; a key that is not known changes nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str = "live"
    """`live`, another alias, or a version such as `v3`."""

    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] | None = None
    max_tokens: Count | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[str, float] | None = None

    @model_validator(mode="after")
    def _expect_able(self) -> Self:
        """Refuse what would be another answer if it were left out.

        Raises:
            ValueError: There is some.
        """
        for name in ("frequency_penalty", "presence_penalty", "logit_bias"):
            if getattr(self, name):
                raise ValueError(f"{name} is not supported; leave it out")
        if len(self.stops) > MOST_STOPS:
            raise ValueError(f"expected at most {MOST_STOPS} stop strings")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """Strings before which an answer ends."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(stop for stop in given if stop)

    @property
    def has_usage(self) -> bool:
        """Whether a stream ends with what it took."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def asks(self, version: str, folder: str | None, content: str) -> list[Ask]:
        """Return what the serving process is asked, once for each answer."""
        chance = secrets.randbelow(2**31) if self.seed is None else self.seed % 2**63
        one = 1.0
        return [
            Ask(
                id=0,
                version=version,
                folder=folder,
                content=content,
                is_chat=isinstance(self, ChatRequest),
                most=self.most,
                temperature=one if self.temperature is None else self.temperature,
                top_p=self.top_p or one,
                seed=(chance + place) % 2**63,
                stops=self.stops,
                told=self.told,
            )
            for place in range(self.n or 1)
        ]

    @property
    def most(self) -> int | None:
        """New tokens at most."""
        return self.max_tokens

    @property
    def told(self) -> int | None:
        """Likeliest tokens to be told of; None for none."""
        raise NotImplementedError


class ChatRequest(Sampled):
    """A request for a chat completion."""

    messages: Annotated[
        list[dict[str, Any]], Field(min_length=1, max_length=MOST_MESSAGES)
    ]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_TOLD)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    response_format: Mapping[str, Any] | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None

    @model_validator(mode="after")
    def _expect_text(self) -> Self:
        """Refuse a form of answer that nothing holds to.

        Raises:
            ValueError: It is not text.
        """
        if self.metadata is not None:
            checked_metadata(self.metadata)
        form = (self.response_format or {}).get("type", "text")
        if form != "text":
            raise ValueError(f"response_format {form!r} is not supported, only text")
        if self.tool_choice not in (None, "auto", "none"):
            raise ValueError('tool_choice is not supported but "auto" and "none"')
        return self

    @property
    def most(self) -> int | None:
        """New tokens at most."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def told(self) -> int | None:
        """Likeliest tokens to be told of; None for none."""
        return (self.top_logprobs or 0) if self.logprobs else None

    @property
    def offered(self) -> frozenset[str]:
        """Names of the tools that may be called."""
        if self.tool_choice == "none":
            return frozenset()
        functions = (tool.get("function", tool) for tool in self.tools or ())
        return frozenset(str(one.get("name")) for one in functions)

    def conversation(self) -> Conversation:
        """Return what was said.

        Raises:
            FeedError: A message is of no known form, such as a picture; or none is
                left to answer.
        """
        turns = read_turns(self.messages)
        if not turns or turns[-1].role is Role.ASSISTANT:
            raise FeedError("expected the last message to be a user's, or a tool's")
        tools = (
            tools_of(Fields({"tools": self.tools}, frozenset())) if self.offered else ""
        )
        return Conversation(tuple(turns), tools)

    def content(self) -> str:
        """Return the conversation as the serving process reads it."""
        return canonical_json(self.conversation())


class TextRequest(Sampled):
    """A request to go on from a text."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=64)]
    logprobs: Annotated[int, Strict(), Field(ge=0, le=MOST_TOLD)] | None = None
    echo: Annotated[bool, Strict()] | None = None
    suffix: str | None = None

    @model_validator(mode="after")
    def _expect_no_more(self) -> Self:
        """Refuse what would be another answer if it were left out.

        Raises:
            ValueError: There is some.
        """
        if self.echo or self.suffix:
            raise ValueError("echo and suffix are not supported; leave them out")
        return self

    @property
    def told(self) -> int | None:
        """Likeliest tokens to be told of; None for none."""
        return self.logprobs

    @property
    def prompts(self) -> list[str]:
        """The texts."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt
