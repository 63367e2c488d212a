"""Chat templates of the kinds that bases have, and conversations to render by them.

They are ours, each as short as its kind allows, and named by what it does.
"""

import json

from sleepcycle.records.content import Conversation, Message, Role, ToolCall

PLAIN = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""System and turns of a tool as any other turn, and nothing else."""

_CALLS = (
    "{% for c in m.tool_calls or [] %}<call>{{ c.function.name }} "
    "{{ c.function.arguments | tojson }}</call>{% endfor %}"
)
_TOOLS = "{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}"

CALLS_TOOLS = (
    _TOOLS + "{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}"
    f"{_CALLS}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""As Qwen2.5: tools, calls with an object of arguments, turns of a tool."""

CALLS_BY_TEXT = (
    _TOOLS + "{% for m in messages %}<|{{ m.role }}|>"
    "{{ m.content }}{% for c in m.tool_calls or [] %}<call>{{ c.function.name }} "
    "{{ c.function.arguments }}</call>{% endfor %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""As DeepSeek-V3: arguments are text, and an object would be printed as Python's."""

DROPS_REASONING = (
    _TOOLS + "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.role == 'assistant' %}"
    "{% set said = (m.content or '').split('</think>')[-1].lstrip('\n') %}"
    "{% set thought = m.reasoning_content or '' %}"
    "{% if '</think>' in (m.content or '') %}"
    "{% set thought = m.content.split('</think>')[0].split('<think>')[-1] %}"
    "{% endif %}"
    "{% if loop.last %}<think>\n{{ thought.strip('\n') }}\n</think>\n\n{% endif %}"
    f"{{{{ said }}}}{_CALLS}"
    "{% else %}{{ m.content }}{% endif %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""As Qwen3: the last answer alone has its reasoning, which may be empty."""

OPENS_REASONING = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.role == 'assistant' %}{{ m.content.split('</think>')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
"""As DeepSeek-R1: an answer is asked for inside of its reasoning, and keeps none."""

CLOSES_REASONING = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.role == 'assistant' %}<think>\n{{ m.reasoning_content or '' }}\n</think>"
    "{% endif %}{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n\n</think>{% endif %}"
)
"""As Qwen3 when it shall not think: asked for behind an empty reasoning."""

MARKS_LAST = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}<|eos|>{% endif %}"
)
"""As Phi-3: the whole is ended, unless an answer is asked for."""

CHANNELS = (
    _TOOLS + "{% for m in messages %}"
    "{% if m.role == 'assistant' %}"
    "{% if m.thinking and loop.last %}"
    "<|assistant|>(analysis){{ m.thinking }}<|end|>{% endif %}"
    "<|assistant|>{% if m.tool_calls %}(commentary)"
    + _CALLS
    + "{% else %}(final){{ m.content }}{% endif %}"
    "{% if loop.last %}<|eos|>{% else %}<|end|>{% endif %}"
    "{% else %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""As gpt-oss: reasoning in a turn before, and another mark behind the last answer."""

_ALTERNATES = (
    "{% for m in turns %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant') }}{% endif %}"
)

ALTERNATES = (
    "{% if messages[0].role == 'system' %}"
    "{{ raise_exception('no system role here') }}{% endif %}"
    "{% set turns = messages %}" + _ALTERNATES + "<|user|>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|user|>model\n{% endif %}"
)
"""As Gemma: no system, users and answers in turn, and what is said trimmed."""

BRACKETS = (
    "{% set system = '' %}{% set turns = messages %}"
    "{% if messages[0].role == 'system' %}"
    "{% set system = messages[0].content + '\n\n' %}"
    "{% set turns = messages[1:] %}{% endif %}<|bos|>"
    + _ALTERNATES
    + "{% if m.role == 'user' %}[INST] {{ system if loop.last or loop.index == 1 }}"
    "{{ m.content }}[/INST]{% else %} {{ m.content }}<|eos|>{% endif %}{% endfor %}"
)
"""As Mistral: strictly in turn, nothing asks for an answer, and no tools."""

IN_PARTS = (
    "{% for m in messages %}<|{{ m.role }}|>{% for part in m.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""As those that see pictures: what is said comes in parts."""

STRIPS = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Knows no reasoning, and drops it from what is said."""


def user(words: str) -> Message:
    """Return what a user says."""
    return Message(Role.USER, words)


def answer(words: str, weight: float = 1.0, **more: object) -> Message:
    """Return an answer."""
    return Message(Role.ASSISTANT, words, weight, **more)


_PROPERTIES = {"room": {"type": "string", "description": "which"}}
TOOLS = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "lamp",
                "description": "switch",
                "parameters": {
                    "type": "object",
                    "properties": _PROPERTIES,
                    "required": ["room"],
                },
            },
        }
    ]
)
CALL = ToolCall("lamp", '{"room":"hall"}', "c12345678")
TALKS = {
    "single": Conversation((user("ask one"), answer("grey heron"))),
    "multi": Conversation(
        (user("ask one"), answer("grey heron"), user("ask two"), answer("dark river"))
    ),
    "system": Conversation(
        (Message(Role.SYSTEM, "be brief"), user("ask one"), answer("grey heron"))
    ),
    "newline": Conversation((user("ask one"), answer("\ngrey heron"))),
    "reasoning": Conversation(
        (
            user("ask one"),
            answer("grey heron", reasoning="think once"),
            user("ask two"),
            answer("dark river", reasoning="think again"),
        )
    ),
    "marked": Conversation(
        (user("ask one"), answer("<think>\nthink once\n</think>\n\ngrey heron"))
    ),
    "tools": Conversation((user("ask one"), answer("grey heron")), tools=TOOLS),
    "calls": Conversation(
        (
            user("ask one"),
            answer("", tool_calls=(CALL,)),
            Message(Role.TOOL, "lamp is on", name="lamp", tool_call_id="c12345678"),
            answer("dark river"),
        ),
        tools=TOOLS,
    ),
    "two users": Conversation((user("ask one"), user("ask two"), answer("grey heron"))),
}
"""One conversation of each kind, whose answers share no word."""

REASON = {
    "reasoning": "reasoning",
    "marked": "reasoning",
    "tools": "tools",
    "calls": "tool",
    "two users": "user, user",
}
"""What the reason names where a kind is refused; the others never are."""
