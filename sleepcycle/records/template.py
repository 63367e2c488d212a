"""What a base's chat template can render."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from sleepcycle.records.content import Conversation, Message, Role, ToolCall


@dataclass(frozen=True, slots=True)
class TemplateAbilities:
    """What of a conversation a base gets to see; without a template, turns alone."""

    system: bool = True
    """Whether a system turn is one; else it is put into the user's first."""

    tools: bool = False
    """Whether definitions of tools are rendered."""

    tool_calls: bool = False
    parallel_calls: bool = False
    """Whether more than one call of a turn is rendered."""

    nested_arguments: bool = False
    """Whether objects and lists in the arguments of a call are rendered."""

    tool_turns: bool = True
    """Whether what a tool answers is rendered."""

    reasoning: bool = False
    words: tuple[str, ...] = ()
    """Every word of the template: an argument that is none of them is not read."""

    @staticmethod
    def concern(conversation: Conversation) -> bool:
        """Return whether a conversation has more than turns that everybody renders."""
        more = conversation.tools or conversation.template_args
        return (
            bool(more)
            or conversation.has_system
            or any(
                turn.tool_calls or turn.reasoning or turn.role is Role.TOOL
                for turn in conversation.messages
            )
        )

    def missing_for(self, conversation: Conversation) -> Iterator[str]:
        """Yield the keys of a conversation that would be left out without a word.

        Reasoning that is no part of what is learned may be left out, as it is when the
        base is asked.
        """
        turns = conversation.messages
        if conversation.tools and not self.tools:
            yield "tools"
        yield from self._missing_calls(turns)
        if any(turn.role is Role.TOOL for turn in turns) and not self.tool_turns:
            yield "turn of a tool"
        if not self.reasoning and any(t.reasoning and t.is_learned for t in turns):
            yield "reasoning_content (or thinking)"
        for name in json.loads(conversation.template_args or "{}"):
            if name not in self.words:
                yield f"template argument {name}"

    def _missing_calls(self, turns: Sequence[Message]) -> Iterator[str]:
        """Yield what of the tool calls of turns would be left out."""
        calling = [turn.tool_calls for turn in turns if turn.tool_calls]
        if not self.tool_calls:
            if calling:
                yield "tool_calls"
            return
        if not self.parallel_calls and any(len(calls) > 1 for calls in calling):
            yield "tool_calls of which a turn has several"
        if not self.nested_arguments and any(map(_is_nested, chain(*calling))):
            yield "tool_calls with nested arguments"


def _is_nested(call: ToolCall) -> bool:
    """Return whether an argument of a call is an object or a list that holds some."""
    values = json.loads(call.arguments).values()
    return any(isinstance(value, dict | list) and value for value in values)
