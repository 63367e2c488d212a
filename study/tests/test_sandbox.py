"""The sandbox: what it evaluates, and what it keeps from ever happening."""

import runpy
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sleepcycle_study.domains.code import sandbox
from sleepcycle_study.domains.code.sandbox import (
    Ending,
    Limits,
    SandboxResult,
    evaluate,
)
from sleepcycle_study.domains.code.sandboxed import Refused, check
from sleepcycle_study.errors import StudyError

QUICK = Limits(cpu_s=0.2, wall_s=5.0)
XS = [{"xs": [3, 1, 2]}]
LINUX = pytest.mark.skipif(sys.platform == "darwin", reason="no bound on memory there")


class TestValues:
    @pytest.mark.parametrize(
        ("expression", "value"),
        [
            ("sum(xs)", "6"),
            ("  sum(xs)  # the sum", "6"),
            ("sorted(xs, key=lambda x: -x)", "[3, 2, 1]"),
            ("[x * 2 for x in xs if x > 1]", "[6, 4]"),
            ("max([x for x in xs if x > 9], default=0)", "0"),
            ("xs[::-1] == [2, 1, 3]", "true"),
            ("f'{xs[0]:>3}'", '"  3"'),
            ("'\u00e9'.upper()", r'"\u00c9"'),
            ("'-'.join(str(x) for x in xs)", '"3-1-2"'),
        ],
    )
    def test_an_expression_gives_its_value_as_json(self, expression, value):
        assert evaluate(expression, XS) == SandboxResult(Ending.DONE, (value,))

    def test_it_is_evaluated_for_each_case(self):
        cases = [{"s": "ab"}, {"s": ""}, {"s": "abc"}]

        assert evaluate("len(s)", cases).values == ("2", "0", "3")

    def test_values_before_a_failing_case_are_kept(self):
        outcome = evaluate("6 // n", [{"n": 2}, {"n": 0}, {"n": 1}])

        assert outcome == SandboxResult(Ending.RAISED, ("3",), "ZeroDivisionError")

    def test_one_case_cannot_change_the_next(self):
        cases = [{"xs": [1]}, {"xs": [1]}]

        assert evaluate("(xs.append(2), len(xs))[1]", cases).values == ("2", "2")


class TestFaults:
    @pytest.mark.parametrize(
        ("expression", "reason"),
        [
            ("", "SyntaxError"),
            ("xs +", "SyntaxError"),
            ("import os", "SyntaxError"),
            ("sum(xs)\nsum(xs)", "SyntaxError"),
            ("(" * 400, "SyntaxError"),
            ("\x00", "SyntaxError"),
            ("\ud800", "UnicodeEncodeError"),
            ("nothing", "NameError"),
            ("open('/etc/passwd')", "NameError"),
            ("open('here', 'w')", "NameError"),
            ("exec('import os')", "NameError"),
            ("getattr(xs, 'append')", "NameError"),
            ("{1, 2}", "TypeError"),
            ("lambda: 1", "TypeError"),
            ("2 ** 100_000", "ValueError"),
            ("(lambda f: f(f))(lambda f: f(f))", "RecursionError"),
            ("'a' * 100_000", "OverflowError"),
        ],
    )
    def test_what_is_no_value_is_said_by_its_error(self, expression, reason):
        assert evaluate(expression, XS) == SandboxResult(Ending.RAISED, (), reason)

    @pytest.mark.parametrize(
        ("expression", "reason"),
        [
            ("__import__('os').fork()", "fork"),
            ("open('/etc/passwd').read()", "read"),
            ("().__class__.__base__.__subclasses__()", "__subclasses__"),
            ("'x'.encode('idna')", "import"),
            ("x" * 501, "TooLong"),
        ],
    )
    def test_what_could_reach_out_is_refused(self, expression, reason):
        assert evaluate(expression, XS) == SandboxResult(Ending.REFUSED, (), reason)

    @pytest.mark.parametrize(
        ("expression", "reason"),
        [
            ("__import__('os')", "__import__"),
            ("__builtins__['len'](xs)", "__builtins__"),
            ("f'{xs.__class__}'", "__class__"),
            ("(x for x in xs).gi_frame", "gi_frame"),
            ("(lambda: 1).__globals__", "__globals__"),
            ("'{0.__class__}'.format(xs)", "format"),
            ("'{0.__class__}'.format_map(xs)", "format_map"),
            ("str.mro()", "mro"),
            ("(lambda __x: 1)(1)", "__x"),
            ("dict(__a=1)", "__a"),
            ("(y := 1)", "NamedExpr"),
            ("(yield 1)", "Yield"),
            ("(yield from xs)", "YieldFrom"),
            ("await xs", "Await"),
        ],
    )
    def test_the_look_at_it_refuses_each_way_out(self, expression, reason):
        with pytest.raises(Refused, match=f"^{reason}$"):
            check(expression)


class TestLimits:
    @pytest.mark.parametrize(
        "expression",
        [
            "sum(0 for x in range(10 ** 12))",
            "10 ** 10 ** 10",
            "max(range(10 ** 11))",
        ],
    )
    def test_what_does_not_end_is_ended(self, expression):
        began = time.monotonic()

        outcome = evaluate(expression, XS, QUICK)

        assert outcome == SandboxResult(Ending.STOPPED)
        assert time.monotonic() - began < QUICK.wall_s

    def test_the_clock_on_the_wall_ends_it_too(self):
        outcome = evaluate("max(range(10 ** 11))", XS, Limits(cpu_s=60, wall_s=0.1))

        assert outcome == SandboxResult(Ending.STOPPED)

    @LINUX
    @pytest.mark.parametrize(
        "expression", ["'a' * 10 ** 10", "[0] * 10 ** 10", "[xs] * 10 ** 9"]
    )
    def test_memory_is_bounded(self, expression):
        outcome = evaluate(expression, XS, QUICK)

        assert outcome == SandboxResult(Ending.RAISED, (), "MemoryError")

    @LINUX
    def test_memory_taken_little_by_little_is_bounded(self):
        small = Limits(cpu_s=2.0, memory_bytes=64 << 20)

        outcome = evaluate("[[0] * 10 ** 6 for x in range(10 ** 6)]", XS, small)

        assert outcome.reason == "MemoryError"

    def test_no_more_is_read_than_the_bound(self):
        """
        Many cases, each with as long a value as may be, are cut off.
        """
        outcome = evaluate("'a' * 3_900", [{}] * 100)

        assert outcome.ending is Ending.STOPPED
        assert len(outcome.values) < 20

    def test_a_process_that_cannot_be_shut_in_is_no_wrong_answer(self):
        with pytest.raises(
            StudyError, match=r"to shut itself in, got b'' and exit code"
        ):
            evaluate("1", XS, Limits(cpu_s=-1.0))

    def test_nothing_is_left_behind(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
        before = psutil.Process().children()

        evaluate("max(range(10 ** 11))", XS, QUICK)

        assert list(tmp_path.iterdir()) == []
        assert psutil.Process().children() == before


WALLED = """
import os, resource, runpy, socket, subprocess, sys
sandboxed = runpy.run_path({script!r})
sandboxed[{wall!r}](*{arguments!r})
try:
    {act}
except BaseException as error:
    os.write(1, type(error).__name__.encode())
else:
    os.write(1, b"done")
os._exit(0)
"""
ACTS = {
    "fork": "os.fork() or os._exit(0)",
    "file": "open('made', 'w').write('x' * 9)",
    "read": "open('/etc/passwd').read()",
    "network": "socket.create_connection(('127.0.0.1', 9))",
    "socket": "socket.socket()",
    "program": "subprocess.run(['true'])",
    "pipe": "os.pipe()",
}


class TestWalls:
    """
    What stands behind the look at an expression, should that ever be fooled.
    """

    def act(self, wall, arguments, act, folder):
        """Do something behind one wall alone, and return what came of it."""
        script = str(Path(sandbox.__file__).with_name("sandboxed.py"))
        program = WALLED.format(
            script=script, wall=wall, arguments=arguments, act=ACTS[act]
        )
        words = [sys.executable, "-I", "-S", "-B", "-c", program]
        return subprocess.run(
            words, cwd=folder, env={}, capture_output=True, text=True, check=True
        ).stdout

    @pytest.mark.parametrize("act", sorted(set(ACTS) - {"pipe"}))
    def test_the_hook_refuses(self, act, tmp_path):
        assert self.act("watch", (), act, tmp_path) == "Refused"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("act", sorted(ACTS))
    def test_the_system_refuses(self, act, tmp_path):
        fault = self.act("limit", (1.0, 1 << 28), act, tmp_path)

        assert fault in {"OSError", "BlockingIOError", "PermissionError"}
        assert list(tmp_path.iterdir()) == []

    def test_a_script_that_is_only_read_does_nothing(self):
        """
        Its walls go up when it is started, not when it is looked at.
        """
        found = runpy.run_path(str(Path(sandbox.__file__).with_name("sandboxed.py")))

        assert {"check", "limit", "watch", "evaluate"} <= found.keys()
