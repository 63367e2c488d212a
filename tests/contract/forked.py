"""Processes forked from one that has loaded the heavy libraries, to spare their load.

    python forked.py serve SOCKET          fork for whoever asks
    python forked.py run SOCKET -m MODULE  ask, as `python -m MODULE` would run

Each command of a life, and each worker that a command starts, is a process of its own
as always; only the seconds in which modules load are spent once. Which of the project's
modules there are is not known here: a few commands are run, and load what they need.
"""

import gc
import json
import os
import signal
import socket
import sys

WARMING = (
    ("--help",),
    ("init",),
    ("ask", "Hello", "--max-new-tokens", "1"),
    ("status",),
    ("versions", "list"),
)
MOST_BYTES = 1 << 17
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(path):
    """Fork for whoever asks; return, in a process so made, what it shall run.

    Standard input is a pipe: when that closes the test run is gone, and so is this.
    """
    import select

    for words in WARMING:
        warm(words)
    gc.freeze()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.bind(path)
    door.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while door in select.select([door, sys.stdin], [], [])[0]:
        channel, _ = door.accept()
        if os.fork() == 0:
            door.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return follow(channel)
        channel.close()
    sys.exit()


def warm(words):
    """Run a command here, so that what it loads is there for all that follow."""
    import runpy

    sys.argv[1:] = words
    try:
        runpy.run_module("sleepcycle", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_DFL)


def follow(channel):
    """Fork once more, and tell who asked what became of it; pass on its signals."""
    import select

    text, files, _, _ = socket.recv_fds(channel, MOST_BYTES, 3)
    child = os.fork()
    if child == 0:
        channel.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return json.loads(text)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(child)
    while ended not in select.select([channel, ended], [], [])[0]:
        os.kill(child, int(channel.recv(16) or signal.SIGKILL))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        channel.send(str(code).encode())
    finally:
        os._exit(0)


def run(order):
    """Run a module in this process, as `python -m` does, and end.

    To take down all that was loaded ahead would take longer than most commands.
    """
    import runpy

    sys.modules["torch"].set_num_threads(1)  # two threads that first do so find no pool
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.executable = order["executable"]
    module, *sys.argv[1:] = order["words"]
    code = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        if (wrong := sys.exc_info())[0] is not None:
            sys.excepthook(*wrong)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ask(path, words, *, executable, files=(0, 1, 2), env=None, folder=None):
    """Let a module be run; return the channel that its exit code will come by."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.connect(path)
    order = {
        "words": list(words),
        "executable": executable,
        "env": dict(os.environ if env is None else env),
        "folder": folder or os.getcwd(),
    }
    socket.send_fds(channel, [json.dumps(order).encode()], files)
    return channel


def code_of(channel):
    """Wait for an exit code."""
    said = channel.recv(16)
    channel.close()
    return int(said or -signal.SIGKILL)


def stand_in(path, words):
    """Be the process that a parent has started, and watches."""
    channel = ask(path, words, executable=os.environ["CONTRACT_PYTHON"])
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: channel.send(str(number).encode()))
    sys.exit(code_of(channel))


if __name__ == "__main__":
    mode, path, *words = sys.argv[1:]
    if mode == "serve":
        run(serve(path))
    else:
        stand_in(path, words[1:])
