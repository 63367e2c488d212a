"""The command line: words in, records out as tables or JSON."""

import signal
import sys

from sleepcycle.cli.app import app
from sleepcycle.cli.extensions import add_extensions, installed
from sleepcycle.errors import DISK_FAILED, SleepcycleError
from sleepcycle.files.disk import is_failed
from sleepcycle.store.interrupt import stop

# isort: off
# They add their commands, which `--help` lists in this order.
from sleepcycle.cli import batch_commands  # noqa: F401
from sleepcycle.cli import run_commands  # noqa: F401
from sleepcycle.cli import database_commands  # noqa: F401
from sleepcycle.cli import doctor_commands  # noqa: F401
from sleepcycle.cli import day_commands  # noqa: F401
from sleepcycle.cli import evaluate_commands  # noqa: F401
from sleepcycle.cli import service_commands  # noqa: F401
from sleepcycle.cli import version_commands  # noqa: F401
from sleepcycle.cli import backup_commands  # noqa: F401

# isort: on

add_extensions(app, installed())


def main() -> None:
    """Run one command; a foreseen error is one line, and exit code 1 or 74."""
    _handle_stop_signals()
    try:
        app()
    except (SleepcycleError, OSError) as error:
        print(f"sleepcycle: {error}", file=sys.stderr)
        sys.exit(DISK_FAILED if is_failed(error) else 1)


def _handle_stop_signals() -> None:
    """Treat a request to end as Ctrl-C, so that a run is undone before we go.

    What is ignored stays so: a script's shell lets `sleepcycle ... &` ignore Ctrl-C.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
