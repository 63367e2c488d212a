"""What a base's chat template can render."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sleepcycle.records.content import Conversation, Role


@dataclass(frozen=True, slots=True)
class TemplateAbilities:
    """What of a conversation a base gets to see; without a template, turns alone."""

    system: bool = True
    """Whether a system turn is one; else it is put into the user's first."""

    tools: bool = False
    """Whether definitions of tools are rendered."""

    tool_calls: bool = False
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
        if any(turn.tool_calls for turn in turns) and not self.tool_calls:
            yield "tool_calls"
        if any(turn.role is Role.TOOL for turn in turns) and not self.tool_turns:
            yield "turn of a tool"
        if not self.reasoning and any(t.reasoning and t.is_learned for t in turns):
            yield "reasoning_content (or thinking)"
        for name in json.loads(conversation.template_args or "{}"):
            if name not in self.words:
                yield f"template argument {name}"
