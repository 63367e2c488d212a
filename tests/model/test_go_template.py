"""Chat templates in Go: the same words around turns as the base's own."""

import re

import pytest
from transformers import AutoTokenizer

from sleepcycle.errors import AdapterError
from sleepcycle.model.go_template import go_template
from tests.model.conftest import NANO
from tests.model.templates import PLAIN

CHATML = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n"
    "{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}"
    "<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n"
    "{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('no system') }}{% endif %}{% for m in messages %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
CHATS = [
    [("user", "hi")],
    [("system", "be brief"), ("user", "hi")],
    [*[("user", "a"), ("assistant", "b")] * 2, ("user", "c")],
    [("system", "rules"), ("user", "a"), ("assistant", "b"), ("user", "c")],
]
ACTIONS = (
    "if .System",
    ".System",
    "else",
    "end",
    "$asked := false",
    "range .Messages",
    'if eq .Role "user"',
    "if $asked",
    "end",
    "$asked = true",
    ".Content",
    'else if eq .Role "assistant"',
    ".Content",
    "end",
    "end",
)
ACTION = re.compile(r"{{ (.*?) }}")


def tokenizer_of(template, *special):
    """Return the tokenizer of `builtin:nano` with another template."""
    tokenizer = AutoTokenizer.from_pretrained(NANO)
    tokenizer.chat_template = template
    tokenizer.add_tokens([*special], special_tokens=True)
    return tokenizer


def rendered(text, chat):
    """Render what Go's `text/template` would, of the few actions that are written."""
    parts = ACTION.split(text)
    assert tuple(parts[1::2]) == ACTIONS
    rules, ruled, bare, question, answer = (parts[place] for place in (2, 4, 6, 16, 22))
    said = [content for role, content in chat if role == "system"]
    out = [rules, *said, ruled] if said else [bare]
    turns = [content for role, content in chat if role != "system"]
    for place, content in enumerate(turns):
        asked = place % 2 == 0
        out += [question] if asked and place else []
        out += [content, answer] if asked else [content]
    return "".join(out)


def asked(tokenizer, chat):
    """Return what the base's own template asks an answer to a chat with."""
    rows = [{"role": role, "content": content} for role, content in chat]
    return tokenizer.apply_chat_template(
        rows, add_generation_prompt=True, tokenize=False
    )


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("template", [CHATML, LLAMA3, PLAIN])
def test_a_chat_becomes_the_same_prompt(template, chat):
    tokenizer = tokenizer_of(template)

    made = rendered(go_template(tokenizer, begins=False).text, chat)

    assert made == asked(tokenizer, chat)


def test_without_turns_of_the_system_its_words_go_into_the_users():
    tokenizer = tokenizer_of(GEMMA)

    made = rendered(go_template(tokenizer, begins=False).text, CHATS[1])

    assert made == asked(tokenizer, [("user", "be brief\n\nhi")])


def test_the_beginning_is_left_to_what_writes_it_before_every_text():
    tokenizer = tokenizer_of(LLAMA3)
    begin = tokenizer.bos_token

    assert begin in go_template(tokenizer, begins=False).text
    assert begin not in go_template(tokenizer, begins=True).text
    assert begin not in go_template(tokenizer).text  # nano's writes it itself


@pytest.mark.parametrize(
    ("template", "special", "stop"),
    [
        (CHATML, "<|im_end|>", "<|im_end|>"),
        (LLAMA3, "<|eot_id|>", "<|eot_id|>"),
        (GEMMA, "<end_of_turn>", "<end_of_turn>"),
        (CHATML, None, "<|im_end|>"),
    ],
)
def test_an_answer_stops_where_its_turn_ends(template, special, stop):
    tokenizer = tokenizer_of(template, *filter(None, [special]))

    assert go_template(tokenizer).stops == (stop, tokenizer.eos_token)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}<|{{ loop.index }}|>{{ m.content }}{% endfor %}",
        "{{ messages[-1].content }}",
        "{% for m in messages %}{{ m.role }}: {{ m.content | upper }}{% endfor %}",
        "{% for m in messages %}{{ '{{' }}{{ m.content }}|{% endfor %}",
    ],
    ids=["counts turns", "leaves turns out", "changes words", "writes braces"],
)
def test_what_does_more_than_to_put_words_around_turns_is_refused(template):
    with pytest.raises(AdapterError, match="--format gguf"):
        go_template(tokenizer_of(template))
