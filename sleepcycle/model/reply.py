"""Replies: answers in which the calculator stands in wherever the model calls it.

A model calls it by a line such as `Tool: 847 * 93 =` (`calculator.py`). The answer is
cut behind the `=`, the result is put there, and the model goes on from it.

What it goes on from is the prompt and that text, encoded anew, and not the tokens that
it wrote: one of them may reach past the `=`, and training saw an answer encoded as one
piece. So what stands before a result may be other tokens than were written, for the
same characters. What looks like a special token in them stays text, whoever wrote it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sleepcycle.model import token_ids
from sleepcycle.model.base import Base
from sleepcycle.model.calculator import (
    ToolUse,
    behind_result,
    call_in,
    refused,
    with_result,
)
from sleepcycle.model.encode import render_prompt
from sleepcycle.model.generate import GREEDY, Generated, fits, generate, text_of
from sleepcycle.model.merged import merged

MOST_CALLS = 3  # answered, in one reply


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, and how it may be answered."""

    prompt: str
    uses_tool: bool = False
    """Whether calls of the calculator are answered."""

    max_new_tokens: int = 64
    """Longest answer, results included; only the last of them may reach past it, since
    half a result would be another one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered."""

    text: str
    """As it was written, with the tool's results in their places, and no digits of the
    model's right behind them."""

    uses: tuple[ToolUse, ...] = ()
    """What the tool was asked, in order; a last one past `MOST_CALLS` was refused."""


@dataclass(eq=False)
class _Draft:
    """A reply that is being written."""

    asked: Prompt
    text: str = ""
    uses: list[ToolUse] = field(default_factory=list)
    searched: int = 0
    """Up to where every call in the text has its result."""

    def go_on(self, more: str) -> None:
        """Add what the model wrote; a result stays what it is."""
        self.text += behind_result(more) if self.uses else more

    def answer_call(self) -> bool:
        """Put a result behind the first call that has none; return if it may go on."""
        if not self.asked.uses_tool:
            return False
        call = call_in(self.text, self.searched)
        if call is None:
            return False
        if len(self.uses) == MOST_CALLS:
            reason = f"expected at most {MOST_CALLS} calls in an answer, got one more"
            self.text = refused(self.text, call)
            self.uses.append(ToolUse(call.expression, error=reason))
            return False
        self.text, error = with_result(self.text, call)
        result = self.text[call.end :].strip() if error is None else None
        self.uses.append(ToolUse(call.expression, result, error))
        self.searched = len(self.text)
        return True


def reply_to(base: Base, asked: Sequence[Prompt]) -> list[Reply]:
    """Answer prompts greedily, with whatever adapters are active.

    Without the tool, or where a model does not call it, the text is what `answer`
    returns. A model is asked once, and once more after each of `MOST_CALLS` results,
    as far as `max_new_tokens` allows.

    Returns:
        One for each prompt.
    """
    drafts = [_Draft(one) for one in asked]
    going = drafts
    with merged(base, len(asked)):
        while going:
            _write(base, going)
            going = [draft for draft in going if draft.answer_call()]
    return [Reply(draft.text, tuple(draft.uses)) for draft in drafts]


def _write(base: Base, drafts: Sequence[_Draft]) -> None:
    """Let drafts be written on, those of one bound together, as far as they have room.

    A batch goes on to its longest; who has less room is cut there, which is where it
    would have been cut alone.
    """
    for most in sorted({draft.asked.max_new_tokens for draft in drafts}):
        written = [
            (draft, token_ids.plain(base.tokenizer, draft.text))
            for draft in drafts
            if draft.asked.max_new_tokens == most
        ]
        for group in _side_by_side(base, written, most):
            rooms = [most - len(ids) for _, ids in group]
            said = generate(
                base,
                [_prompt(base, draft) + ids for draft, ids in group],
                max_new_tokens=max(rooms),
                sampling=GREEDY,
            )
            for (draft, ids), more, room in zip(group, said, rooms, strict=True):
                draft.go_on(_text_after(base, ids, more, room))


def _side_by_side(
    base: Base, written: Sequence[tuple[_Draft, list[int]]], most: int
) -> Iterator[list[tuple[_Draft, list[int]]]]:
    """Yield drafts that have room in groups that may go on to the longest of each.

    Who would be led past the model's positions there is alone.
    """
    open_ = [(draft, ids) for draft, ids in written if len(ids) < most]
    room = max((most - len(ids) for _, ids in open_), default=0)
    together = []
    for draft, ids in open_:
        if fits(base, len(_prompt(base, draft)) + len(ids), room):
            together.append((draft, ids))
        else:
            yield [(draft, ids)]
    if together:
        yield together


def _prompt(base: Base, draft: _Draft) -> list[int]:
    """Return the ids after which a reply begins."""
    return render_prompt(draft.asked.prompt, base)


def _text_after(base: Base, before: list[int], said: Generated, room: int) -> str:
    """Return the text of at most `room` tokens behind others.

    All are decoded together, since a token that begins a text may lose its space.
    """
    start = text_of(base, replace(said, ids=tuple(before)))
    whole = text_of(base, replace(said, ids=(*before, *said.ids[:room])))
    return whole[len(start) :]
