"""Workers that are forked from a test's process, to spare them the load of torch.

They are processes of their own as always: with their pipes, their log, their group, and
their end. Only the seconds in which modules load are spent once.
"""

import importlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import traceback
import warnings
from contextlib import contextmanager
from unittest.mock import patch

import torch

MOST_FILES = 4096
OURS = {"sleepcycle", "benchmarks"}


class Forked(subprocess.Popen):
    """Starts `python -m` of ours and `python -c` as forks, all else as ever."""

    def __init__(self, command, **options):
        if _is_ours(command):
            env = options.get("env")
            _load(command)
            options["preexec_fn"] = lambda: _be(command, env)
            options["restore_signals"] = False  # a new Python ignores SIGPIPE, too
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads, which a test leaves alone
            super().__init__(command, **options)


@contextmanager
def forked_workers():
    """Fork what this process starts in a block, where that can be."""
    with patch.object(subprocess, "Popen", Forked if can_fork() else Forked.__base__):
        yield


def context():
    """Return how to start Python's own processes: as a fork, where that can be.

    From Python 3.12 on the fork of a process with threads warns, which fails a test.
    """
    forks = can_fork() and sys.version_info < (3, 12)
    return multiprocessing.get_context("fork" if forks else "spawn")


def can_fork():
    """Return whether a fork can compute: threads of OpenMP and a GPU outlive none.

    Elsewhere than on Linux the system's own libraries do not outlive it either.
    """
    return (
        sys.platform == "linux"
        and torch.get_num_threads() == 1
        and not torch.cuda.is_available()
    )


def _is_ours(command):
    """Return whether a command runs one of our modules, or code of a test."""
    if isinstance(command, str | bytes | os.PathLike) or len(command) < 3:
        return False
    python, option, what, *_ = map(str, command)
    ours = option == "-c" or (option == "-m" and what.partition(".")[0] in OURS)
    return python == sys.executable and ours


def _load(command):
    """Load here the module that a command runs, so that its fork has it."""
    _, option, what, *_ = map(str, command)
    if option == "-m":
        importlib.import_module(what)


def _be(command, env):
    """Be the process that was asked for; its standard files are in place already."""
    code = 1
    try:
        os.closerange(3, MOST_FILES)  # one of them tells the parent that it goes on
        torch.set_num_threads(1)  # two threads that first do so find no pool
        if env is not None:
            os.environ.clear()
            os.environ.update(env)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, closefd=False)  # noqa: SIM115 - to the end
            for number, mode in enumerate("rww")
        )
        _, option, what, *words = map(str, command)
        sys.argv = [what, *words]
        warnings.simplefilter("ignore")  # as loaded already
        if option == "-c":
            exec(what, {"__name__": "__main__"})
        else:
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - as Python says it of any
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)
