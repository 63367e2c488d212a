"""Content as token ids, each with its weight in the loss.

Training, scoring and asking all go through here, so what was learned as a prompt is
what is asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor

from sleepcycle.errors import ModelError
from sleepcycle.model.base import Base
from sleepcycle.records.content import (
    Completion,
    Content,
    Conversation,
    Message,
    Role,
    Text,
)

SPOKEN = "words that no template holds"

Piece = tuple[list[int], float]
"""Token ids, and the weight that all of them have."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as the model sees it."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    """Of each token as a target of the loss; the first is never one."""

    @property
    def learned(self) -> int:
        """How many tokens count in the loss."""
        return sum(weight > 0 for weight in self.weights[1:])


@dataclass(frozen=True, eq=False)
class PaddedBatch:
    """Examples side by side, padded at the right."""

    ids: Tensor  # (batch, seq), int64
    mask: Tensor  # (batch, seq), 1 where there is a token
    weights: Tensor  # (batch, seq), float32

    def to(self, device: torch.device) -> "PaddedBatch":
        """Return the batch on a device."""
        return PaddedBatch(
            self.ids.to(device), self.mask.to(device), self.weights.to(device)
        )


def encode(content: Content, base: Base, *, prompt_weight: float) -> Encoded:
    """Turn content into token ids with weights, cut at the base's `max_length`.

    Text counts whole. In prompts and conversations what the model shall say counts,
    its end token included, and all else by `prompt_weight`.
    """
    pieces = list(_pieces(content, base, prompt_weight))
    ids = list(chain.from_iterable(ids for ids, _ in pieces))[: base.max_length]
    weights = list(chain.from_iterable([weight] * len(ids) for ids, weight in pieces))
    return Encoded(tuple(ids), tuple(weights[: len(ids)]))


def render_prompt(prompt: str, base: Base) -> list[int]:
    """Return the ids after which the model answers, as training saw them."""
    if base.chat:
        return _template(base, [Message(Role.USER, prompt)], answer_next=True)
    return _start(base) + tokens(base, prompt)


def dream_start(base: Base) -> list[int]:
    """Return the ids after which a model dreams: where a user's turn, or a text begins.

    Raises:
        ModelError: The chat template does not render a user's turn as it was said, or
            there is neither template nor a token that begins a text.
    """
    if not base.chat:
        start = _start(base) or _end(base)
        if not start:
            raise ModelError(
                f"{base.identity.id} has no token that begins or ends a text, so it "
                'cannot dream; leave "archive" and "last" out of sleep.rem.memory, and '
                "set sleep.rem.general_share and gate.probe_dreams to 0"
            )
        return start
    rendered: str = base.tokenizer.apply_chat_template(
        [{"role": str(Role.USER), "content": SPOKEN}],
        add_generation_prompt=True,
        tokenize=False,
    )
    before, spoken, _ = rendered.partition(SPOKEN)
    if not spoken:
        raise ModelError(
            f"the chat template of {base.identity.id} changes what a user says, so no "
            'turn can be dreamt; set model.chat = "never"'
        )
    return tokens(base, before)


def collate(examples: Sequence[Encoded], pad: int) -> PaddedBatch:
    """Put examples side by side; padding has no weight and is masked."""
    longest = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), longest), pad)
    mask = torch.zeros((len(examples), longest), dtype=torch.long)
    weights = torch.zeros((len(examples), longest))
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        mask[row, :length] = 1
        weights[row, :length] = torch.tensor(example.weights)
    return PaddedBatch(ids, mask, weights)


def pad_id(base: Base) -> int:
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


def _pieces(content: Content, base: Base, prompt_weight: float) -> Iterator[Piece]:
    """Yield the runs of tokens that weigh the same."""
    match content:
        case Text(text):
            yield _start(base), 0.0
            yield tokens(base, text) + _end(base), 1.0
        case Completion(prompt, completion) if base.chat:
            turns = (
                Message(Role.USER, prompt),
                Message(Role.ASSISTANT, completion),
            )
            yield from _turns(base, turns, prompt_weight)
        case Completion(prompt, completion):
            yield _start(base), 0.0
            yield tokens(base, prompt), prompt_weight
            yield tokens(base, completion) + _end(base), 1.0
        case Conversation(messages) if base.chat:
            yield from _turns(base, messages, prompt_weight)
        case Conversation(messages):
            yield _start(base), 0.0
            yield from _plain_turns(base, messages, prompt_weight)


def _turns(
    base: Base, messages: Sequence[Message], prompt_weight: float
) -> Iterator[Piece]:
    """Yield a conversation by the tokenizer's chat template.

    The template is rendered up to each point, and what a step adds belongs to it: up
    to where the assistant begins to speak, and up to the end of its turn.
    """
    so_far: list[int] = []
    for number, message in enumerate(messages):
        if message.role is not Role.ASSISTANT:
            continue
        for upto, answer_next, weight in (
            (number, True, prompt_weight),
            (number + 1, False, 1.0),
        ):
            if upto == 0:  # nothing to render: a first answer is learned whole
                continue
            ids = _template(base, messages[:upto], answer_next=answer_next)
            if ids[: len(so_far)] != so_far:
                raise ModelError(
                    f"the chat template of {base.identity.id} changes earlier turns "
                    'when later ones follow; set model.chat = "never"'
                )
            yield ids[len(so_far) :], weight
            so_far = ids


def _template(
    base: Base, messages: Sequence[Message], *, answer_next: bool
) -> list[int]:
    """Render messages by the tokenizer's chat template."""
    rows = [{"role": str(m.role), "content": m.content} for m in messages]
    try:
        ids = base.tokenizer.apply_chat_template(
            rows, add_generation_prompt=answer_next, return_dict=False
        )
    except TemplateError as error:
        raise ModelError(
            f"the chat template of {base.identity.id} refuses turns of "
            f"{', '.join(row['role'] for row in rows)}: {error}; exclude the batch "
            'that has them, or set model.chat = "never"'
        ) from error
    return list(ids)


def _plain_turns(
    base: Base, messages: Sequence[Message], prompt_weight: float
) -> Iterator[Piece]:
    """Yield a conversation for a base without a template, each turn with its role."""
    for message in messages:
        label = tokens(base, f"{message.role}: ")
        yield label, prompt_weight
        if message.role is Role.ASSISTANT:
            yield tokens(base, message.content) + _end(base), 1.0
        else:
            yield tokens(base, f"{message.content}\n"), prompt_weight


def tokens(base: Base, text: str) -> list[int]:
    """Tokenize text without any special token."""
    return list(base.tokenizer(text, add_special_tokens=False)["input_ids"])


def _start(base: Base) -> list[int]:
    """Return what the tokenizer itself puts before a text: one token, or none."""
    bos: Any = base.tokenizer.bos_token_id
    if bos is None:
        return []
    return [bos] if base.tokenizer("")["input_ids"][:1] == [bos] else []


def _end(base: Base) -> list[int]:
    """Return the token that ends a text, if the tokenizer has one."""
    eos = base.tokenizer.eos_token_id
    return [] if eos is None else [eos]
