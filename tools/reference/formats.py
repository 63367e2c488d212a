"""The page of formats: rows with each key are read, and what came of it is written."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import BAD, HARMLESS, KEPT_KEYS, RULES, TELLS_OF, KeyRule
from sleepcycle.feed.repeats import LONG_CHARS
from sleepcycle.feed.shapes import KEYS, Format, Reading, read_row
from sleepcycle.records.content import Conversation
from tests.feed.rows import ANSWERED, ASKED, WHOLE

HEAD = """\
# Formats

What becomes of each key of a row. The tables are made by reading such rows, so they are what the code does.
Nothing that changes what a row means is left out in silence: a key is honoured, or kept beside the example where it changes nothing, or the row is quarantined with a reason that names it.
How to feed is told in [feed your data](../how-to/feed-your-data.md) and [bring your chats](../how-to/bring-your-chats.md).

## Shapes

Where a row has the keys of several shapes, the first one counts. Keys may be written in capitals; `--map` names yours.

"""
WORDS = """
| word | what it means |
|---|---|
| turn | the text becomes a turn of the chat, and is part of what is stored |
| weight | it decides how much the answers count in the loss, and is part of what is stored |
| honoured | it is part of what is stored, and given to the base's chat template; a base whose template does not render it quarantines the row (`E_UNSUPPORTED_KEY`) |
| given | it is part of what is stored, and given to the base's chat template; it is rendered where the template reads it, and a base whose template does not is told nothing of it |
| rejected | the row says itself that it is not to be learned (`E_REJECTED`) |
| refused | the row is quarantined, and the reason names the key (`E_UNSUPPORTED_KEY`); `--ignore KEY` leaves it out |
| wrong | the row is quarantined for what it says (the code stands beside) |
| kept | it changes nothing; it is kept beside the example, see `batches show N --rendered` |
| same | as if it were not there |
"""
TOOL = {"type": "function", "function": {"name": "lamp"}}
ROW_KEYS: tuple[tuple[str, Any], ...] = (
    ("system", "Be brief."),
    ("system_prompt", "Be brief."),
    ("input", "about this"),
    ("context", "about this"),
    ("history", [["q0", "a0"]]),
    ("tools", [TOOL]),
    ("functions", [TOOL["function"]]),
    ("chat_template_kwargs", {"enable_thinking": False}),
    ("chat_template", "{{ messages }}"),
    ("weight", 0.5),
    ("weight", 0),
    ("weight", "heavy"),
    ("train", True),
    ("train", False),
    ("label", True),
    ("label", False),
    ("label", "sports"),
    ("chosen", "a"),
    ("rejected", "b"),
    ("loss_mask", [0, 1]),
    ("labels", [-100, 1]),
    ("skip", True),
    ("skip", False),
    ("reasoning", "hm"),
    ("thinking", "hm"),
    ("image", "x.png"),
    ("images", None),
    ("text", "something else"),
    ("id", 7),
    ("source", "a forum"),
)
TURN_KEYS: tuple[tuple[str, Any, str], ...] = (
    ("weight", 0.5, "assistant"),
    ("weight", 0, "assistant"),
    ("weight", 0, "user"),
    ("weight", 1, "user"),
    ("train", False, "assistant"),
    ("train_detail", [{"train": False}], "assistant"),
    ("loss_mask", 0, "assistant"),
    ("reasoning_content", "hm", "assistant"),
    ("thinking", "hm", "assistant"),
    ("reasoning", "hm", "assistant"),
    ("reasoning", "hm", "user"),
    ("tool_calls", [TOOL], "assistant"),
    ("function_call", TOOL["function"], "assistant"),
    ("name", "Tom", "user"),
    ("tool_call_id", "1", "user"),
    ("content", [{"type": "text", "text": "a"}], "assistant"),
    ("content", [{"type": "image_url"}], "user"),
    ("content", "<image>\nWhat is it?", "user"),
    ("content", 42, "assistant"),
    ("content", "", "assistant"),
    ("refusal", "I will not", "assistant"),
    ("image", "x.png", "user"),
    ("prefix", True, "assistant"),
    ("id", 7, "user"),
)


def formats_page() -> str:
    """Return what becomes of each key, by shape."""
    parts = [HEAD, *_shapes(), "\n## Keys of a row\n", WORDS, *_row_tables()]
    parts += ["\n## Keys of a turn\n\n", *_turns()]
    parts += ["\n## Other keys\n\n", *_rules()]
    return "".join(parts).rstrip() + "\n"


def _shapes() -> Iterator[str]:
    """Yield the table of shapes: their keys, and what is learned of a whole row."""
    yield "| shape | keys | as it is stored |\n|---|---|---|\n"
    for shape in Format:
        keys = ", ".join(f"`{key}`" for key in sorted(KEYS[shape]))
        yield f"| `{shape}` | {keys} | {_stored(shape)} |\n"


def _stored(shape: Format) -> str:
    """Return in words what a whole row of a shape becomes."""
    content = read_row(WHOLE[shape], shape).content
    if isinstance(content, Conversation):
        return "a chat; its answers are learned"
    kind = type(content).__name__.lower()
    return f"a {kind}; {'all of it' if kind == 'text' else 'the answer'} is learned"


def _row_tables() -> Iterator[str]:
    """Yield two tables of keys, since one would be too wide."""
    shapes = list(Format)
    for some in (shapes[:6], shapes[6:]):
        yield f"\n| key | {' | '.join(f'`{shape}`' for shape in some)} |\n"
        yield "|---" * (len(some) + 1) + "|\n"
        for key, value in ROW_KEYS:
            cells = [_of_row(shape, key, value) for shape in some]
            yield f"| `{key}: {_short(value)}` | {' | '.join(cells)} |\n"


def _of_row(shape: Format, key: str, value: object) -> str:
    """Return what becomes of a key of a row."""
    whole = copy.deepcopy(WHOLE[shape])
    if key in KEYS[shape]:
        return "read"
    whole.pop(key, None)
    return _outcome(whole, {**whole, key: value}, shape)


def _turns() -> Iterator[str]:
    """Yield the table of the keys of turns."""
    yield "The same in `messages`, `conversations`, and a `prompt` and `completion` of turns.\n"
    yield "\n| turn of the | key | what becomes of it |\n|---|---|---|\n"
    for key, value, role in TURN_KEYS:
        plain = {"messages": [ASKED, ANSWERED, ASKED, ANSWERED]}
        number = 0 if role == "user" else 1
        row = copy.deepcopy(plain)
        row["messages"][number][key] = value
        cell = _outcome(plain, row, Format.MESSAGES)
        yield f"| {role} | `{key}: {_short(value)}` | {cell} |\n"


def _outcome(plain: object, row: object, shape: Format) -> str:
    """Return in a word what a key more changes."""
    before = read_row(plain, shape)
    try:
        after = read_row(row, shape)
    except RowError as fault:
        words = {"E_REJECTED": "rejected", "E_UNSUPPORTED_KEY": "refused"}
        return words.get(fault.code, f"wrong (`{fault.code}`)")
    if after.content != before.content:
        return _difference(before, after)
    return "kept" if after.provenance != before.provenance else "same"


def _difference(before: Reading, after: Reading) -> str:
    """Return in a word how the contents of two rows differ."""
    old, new = before.content, after.content
    if not isinstance(old, Conversation) or not isinstance(new, Conversation):
        return "turn" if isinstance(new, Conversation) else "weight"
    weights = [[t.weight for t in one.messages] for one in (old, new)]
    if weights[0] != weights[1][-len(weights[0]) :]:
        return "weight"
    is_shown = any(t.reasoning or t.tool_calls for t in new.messages)
    if new.tools or new.template_args or is_shown:
        return "honoured"
    return "given" if any(t.name for t in new.messages) else "turn"


def _short(value: object) -> str:
    """Return a value as a table shows it."""
    return json.dumps(value).replace("|", "\\|")


def _rules() -> Iterator[str]:
    """Yield what is asked of keys that no shape reads."""
    yield (
        "Of a key that no shape reads its words decide, however they are joined: "
        "`loss_mask`, `lossMask` and `lossmask` have the words *loss* and *mask*. "
        "The first line that has one of them counts. A value that is empty (null, "
        "NaN, no text, no elements) does not count.\n\n"
        "| words | it says | the row is refused |\n|---|---|---|\n"
    )
    for rule in RULES:
        words = ", ".join(sorted(rule.words))
        if rule.whole:
            words += f"; as a whole key: {', '.join(sorted(rule.whole))}"
        yield f"| {words} | {rule.meaning} | {_when(rule)} |\n"
    last, harmless = (
        ", ".join(f"`{w}`" for w in sorted(s)) for s in (TELLS_OF, HARMLESS)
    )
    yield (
        f"\nA key whose last word is one of {last} tells of something, and is kept, "
        f"but for pictures, sound and files. These are kept too: {harmless}.\n\n"
        f"A word like *not* before a word turns it round: `do_not_learn`. A key that "
        f"says when the row was taken out counts (`deleted_at`). A text that is but "
        f"one of {', '.join(sorted(BAD))} is refused under any key but that of a "
        f"sentiment. Beside a prompt a text of over {LONG_CHARS} characters that is no "
        f"part of it is refused under any key. At most {KEPT_KEYS} keys are kept "
        f"beside an example.\n"
    )


def _when(rule: KeyRule) -> str:
    """Return in words for which values a rule refuses a row."""
    on, off = rule.counts(True), rule.counts(False)
    if not on and not off:
        return "where it is below 0"
    return "always" if on and off else "where it is on" if on else "where it is off"
