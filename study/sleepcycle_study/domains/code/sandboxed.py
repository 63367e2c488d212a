"""What runs in the sandbox's own process: it shuts itself in, then evaluates.

Started as a script, isolated from the environment and from the package. There are three
walls, one behind the other: an expression is looked at before it is run (no names but a
few, no attributes but those of plain values), the system lets the process open nothing
and start no other, and a hook that cannot be taken off refuses what Python reports to
auditors.
"""

import ast
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

BUILTINS = {
    function.__name__: function
    for function in (
        *(abs, all, any, bool, chr, dict, divmod, enumerate, filter, float, int),
        *(isinstance, len, list, map, max, min, ord, pow, range, reversed, round),
        *(set, sorted, str, sum, tuple, zip),
    )
}
METHODS = {
    name
    for kind in (bool, dict, float, int, list, set, str, tuple)
    for name in dir(kind)
    if not name.startswith("_")
} - {"format", "format_map"}  # these look up attributes that stand in a text
NODES = (
    *(ast.expr, ast.operator, ast.boolop, ast.unaryop, ast.cmpop, ast.expr_context),
    *(ast.Expression, ast.comprehension, ast.arguments, ast.arg, ast.keyword),
)
BANNED = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
AUDITED = {"compile", "exec"}
"""What evaluating an expression reports, and nothing else."""

MAX_LETTERS = 4_000  # of one result, as JSON
NOBODY = 65_534


class Refused(Exception):  # noqa: N818 - stands alone: the package is out of reach
    """The expression has something in it that no answer needs."""


def check(expression: str) -> ast.Expression:
    """Parse an expression, and refuse what could reach out of it.

    Raises:
        Refused: It has a node, a name or an attribute that is not on the lists.
        SyntaxError: It is no expression.
    """
    tree = ast.parse(expression.strip(), mode="eval")
    for node in ast.walk(tree):
        if not isinstance(node, NODES) or isinstance(node, BANNED):
            raise Refused(type(node).__name__)
        word = _word(node)
        if word.startswith("__"):
            raise Refused(word)
        if isinstance(node, ast.Attribute) and word not in METHODS:
            raise Refused(word)
    return tree


def _word(node: ast.AST) -> str:
    """Return the name that a node has in it."""
    for field in ("id", "attr", "arg"):
        word = getattr(node, field, None)
        if isinstance(word, str):
            return word
    return ""


def limit(cpu_s: float, memory_bytes: int) -> None:
    """Give up all rights that can be given up, for good.

    A root that no process limit binds becomes nobody first, where the system lets it.
    """
    if os.geteuid() == 0:
        with suppress(OSError):
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
    most = {
        resource.RLIMIT_CPU: int(cpu_s) + 1,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 0,  # what is open stays so
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform != "darwin":  # which maps more than this before anything runs
        most[resource.RLIMIT_AS] = memory_bytes
    for what, bound in most.items():
        resource.setrlimit(what, (bound, bound))
    signal.setitimer(signal.ITIMER_PROF, cpu_s)  # ends the process, by the fraction


def watch() -> None:
    """Refuse from now on whatever Python reports to auditors."""

    def refuse(event: str, _: object) -> None:
        if event not in AUDITED:
            raise Refused(event)

    sys.addaudithook(refuse)


def evaluate(expression: str, cases: list[dict[str, Any]]) -> None:
    """Write a line for each case: its value as JSON, or why there is none."""
    try:
        code = compile(check(expression), "answer", "eval")
        for names in cases:
            _tell(f"value {_valued(code, names)}")
    except Refused as refusal:
        _tell(f"refused {refusal}")
    except Exception as error:  # noqa: BLE001 - whatever it raises is its own fault
        _tell(f"raised {type(error).__name__}")
    else:
        _tell("done")


def _valued(code: Any, names: Mapping[str, Any]) -> str:  # noqa: ANN401 - code has no type
    """Evaluate once, and write the value as JSON of bounded length."""
    value = eval(code, {"__builtins__": BUILTINS, **names})
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    if len(text) > MAX_LETTERS:
        raise OverflowError
    return text


def _tell(line: str) -> None:
    """Write one line to whoever started this process."""
    os.write(1, f"{line}\n".encode("ascii", "replace"))


def main() -> None:
    """Shut the process in, say so, and do what standard input asks for."""
    limit(float(sys.argv[1]), int(sys.argv[2]))
    watch()
    _tell("ready")
    order = json.loads(sys.stdin.buffer.read())
    evaluate(order["expression"], order["cases"])
    os._exit(0)


if __name__ == "__main__":
    main()
