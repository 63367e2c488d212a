"""A chat template in Go, as Ollama takes it, found by what the base's own renders.

Most templates put fixed words around turns: ChatML, Llama's and Gemma's do. Such words
are found by letting the template render marks; what is more than that has no Go form
here, and is refused.
"""

from dataclasses import dataclass
from typing import Any

from sleepcycle.errors import AdapterError
from sleepcycle.model.template_probe import REFUSALS

_MARKS = ("heron one", "heron two", "heron three", "heron four", "heron five")
_RULES = "heron rules"
_UNWRITABLE = ("{{", "}}", '"""')


@dataclass(frozen=True, slots=True)
class GoTemplate:
    """What a Modelfile says of how a chat becomes a prompt."""

    text: str
    """In the language of Go's `text/template`."""

    stops: tuple[str, ...]
    """What ends an answer."""


@dataclass(frozen=True, slots=True)
class _Words:
    """What a template writes around what turns say."""

    bare: str
    """Before the first question, where the system says nothing."""

    rules: str
    """Before what the system says."""

    ruled: str
    """Between that and the first question."""

    answer: str
    """Between a question and its answer."""

    question: str
    """Between an answer and the next question."""


def go_template(
    tokenizer: Any,  # noqa: ANN401
    begins: bool | None = None,
) -> GoTemplate:
    """Return a tokenizer's chat template in Go.

    Args:
        tokenizer: Transformers' tokenizer, which has a chat template.
        begins: Whether llama.cpp writes the mark of the beginning before every text,
            so that the template must not; None where the base does not say, and the
            tokenizer does as llama.cpp will.

    Raises:
        AdapterError: It does more than to put fixed words around turns.
    """
    words = _words(tokenizer)
    if words is None or any(sign in repr(words) for sign in _UNWRITABLE):
        raise AdapterError(
            "expected a chat template that puts fixed words around turns, as ChatML, "
            "Llama 3 and Gemma do, got one that does more, which cannot be written for "
            "Ollama; export the adapter alone: --format gguf, and write the Modelfile"
        )
    begin = (tokenizer.bos_token or "") if _begins(tokenizer, begins) else ""
    opening = (
        f"{{{{ if .System }}}}{words.rules.removeprefix(begin)}{{{{ .System }}}}"
        f"{words.ruled}{{{{ else }}}}{words.bare.removeprefix(begin)}{{{{ end }}}}"
    )
    text = (
        f"{opening}{{{{ $asked := false }}}}{{{{ range .Messages }}}}"
        f'{{{{ if eq .Role "user" }}}}{{{{ if $asked }}}}{words.question}{{{{ end }}}}'
        f"{{{{ $asked = true }}}}{{{{ .Content }}}}{words.answer}"
        '{{ else if eq .Role "assistant" }}{{ .Content }}{{ end }}{{ end }}'
    )
    return GoTemplate(text, _stops(tokenizer, words))


def _words(tokenizer: Any) -> _Words | None:  # noqa: ANN401
    """Return what a template writes around turns; None where that is not all."""
    first, said, second, *_ = _MARKS
    try:
        bare, answer, question, asked = _between(tokenizer, "", [first, said, second])
        long = _between(tokenizer, "", [*_MARKS])
    except (*REFUSALS, AdapterError):
        return None
    turns = [answer, question, answer, question, answer]
    if asked != answer or long != [bare, *turns]:
        return None
    try:
        rules, ruled, *behind = _between(tokenizer, _RULES, [*_MARKS])
    except (*REFUSALS, AdapterError):
        # it has no turn of the system: that goes into the user's, as it does here
        rules, ruled, behind = bare, "\n\n", turns
    words = _Words(bare, rules, ruled, answer, question)
    return words if behind == turns else None


def _between(tokenizer: Any, rules: str, said: list[str]) -> list[str]:  # noqa: ANN401
    """Return what a template writes before, between and behind what turns say.

    Raises:
        AdapterError: It leaves out what one says, or says it twice.
    """
    rows = [
        {"role": "assistant" if place % 2 else "user", "content": text}
        for place, text in enumerate(said)
    ]
    if rules:
        rows.insert(0, {"role": "system", "content": rules})
    rest = tokenizer.apply_chat_template(
        rows, add_generation_prompt=True, tokenize=False
    )
    found = []
    for row in rows:
        before, mark, rest = rest.partition(row["content"])
        if not mark or row["content"] in rest:
            raise AdapterError(f"the chat template changes what is said: {rows}")
        found.append(before)
    return [*found, rest]


def _begins(tokenizer: Any, said: bool | None) -> bool:  # noqa: ANN401
    """Return whether the mark of the beginning is written before every text."""
    if said is not None:
        return said
    first: list[int] = tokenizer("heron")["input_ids"][:1]
    return first == [tokenizer.bos_token_id]


def _stops(tokenizer: Any, words: _Words) -> tuple[str, ...]:  # noqa: ANN401
    """Return what ends an answer: the mark behind a turn, and that of the end."""
    behind = words.question.lstrip()
    controls = [
        str(token)
        for token in tokenizer.added_tokens_decoder.values()
        if token.special and behind.startswith(str(token))
    ]
    turn = max(controls, key=len, default=behind.partition("\n")[0])
    end = tokenizer.eos_token
    return tuple(dict.fromkeys(stop for stop in (turn, end) if stop))
