"""A limit for chat templates: one that never ends is refused with its base."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sleepcycle.errors import ModelError

LIMIT_S = 5.0  # the longest of real templates takes some milliseconds
END_S = 1.0  # for the thread to notice that it is to end
BROKEN = (ArithmeticError, RecursionError, MemoryError)
"""What no turn is to blame for, as 10**12 rounds are, or a macro that calls itself."""

Turns = list[dict[str, str]]
USER = {"role": "user", "content": "Hello"}
ASKED: Turns = [USER]
TALKED: Turns = [USER, {"role": "assistant", "content": "Hello"}, USER]


class _TimeIsUp(BaseException):
    """Ends the thread; no template and no library takes it for an error."""


def expect_end(tokenizer: Any, base: str) -> None:  # noqa: ANN401
    """Refuse a tokenizer whose chat template renders for ever, or runs out of room.

    Two short conversations are rendered in a thread of its own, which is ended when
    time is up. Not seen are a loop that other words begin, and a single operation of
    Python without end.

    Raises:
        ModelError: It does, or it fails whatever is said.
    """
    if not tokenizer.chat_template:
        return
    faults: list[Exception] = []

    def render() -> None:
        with suppress(_TimeIsUp):
            faults.extend(_faults(tokenizer))

    thread = threading.Thread(target=render, name="chat template", daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    if thread.is_alive():
        _end(thread)
        raise _refusal(base, f"no end of it within {LIMIT_S:g} s")
    if faults:
        raise _refusal(base, f"{type(faults[0]).__name__}: {faults[0]}")


def _faults(tokenizer: Any) -> Iterator[Exception]:  # noqa: ANN401
    """Render, and yield what goes wrong whatever is said."""
    for turns in (ASKED, TALKED):
        try:
            tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, tokenize=False
            )
        except BROKEN as error:
            yield error
        except Exception:  # noqa: BLE001 - told by who renders such turns
            continue


def _end(thread: threading.Thread) -> None:
    """Let a thread end before its next step in Python, if it comes to one."""
    number = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(_TimeIsUp))
    thread.join(END_S)


def _refusal(base: str, found: str) -> ModelError:
    """Return the error for a template that cannot be used."""
    return ModelError(
        f"expected the chat template of {base} to render two turns, got {found}; mend "
        'it, put another in its place with model.chat_template, or set model.chat = "'
        'never"'
    )
