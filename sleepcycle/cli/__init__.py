"""The command line: words in, records out as tables or JSON."""

import signal
import sys
from contextlib import suppress

from sleepcycle.cli.app import app
from sleepcycle.cli.extensions import add_extensions, installed
from sleepcycle.cli.terminal import drop_output, safe_streams
from sleepcycle.errors import DISK_FAILED, OutputError, SleepcycleError
from sleepcycle.files.disk import is_failed, said
from sleepcycle.records.plain_text import one_line
from sleepcycle.store.interrupt import stop

# isort: off
# They add their commands, which `--help` lists in this order.
from sleepcycle.cli import batch_commands  # noqa: F401
from sleepcycle.cli import inbox_commands  # noqa: F401
from sleepcycle.cli import run_commands  # noqa: F401
from sleepcycle.cli import database_commands  # noqa: F401
from sleepcycle.cli import doctor_commands  # noqa: F401
from sleepcycle.cli import day_commands  # noqa: F401
from sleepcycle.cli import evaluate_commands  # noqa: F401
from sleepcycle.cli import service_commands  # noqa: F401
from sleepcycle.cli import dashboard_commands  # noqa: F401
from sleepcycle.cli import token_commands  # noqa: F401
from sleepcycle.cli import version_commands  # noqa: F401
from sleepcycle.cli import backup_commands  # noqa: F401

# isort: on

add_extensions(app, installed())


def main() -> None:
    """Run one command; a foreseen error is one line, and exit code 1 or 74."""
    _handle_stop_signals()
    with safe_streams():
        try:
            _run()
        except BrokenPipeError:  # whoever read the output has enough
            drop_output()
            sys.exit(1)
        except (SleepcycleError, OSError) as error:
            if isinstance(error, OutputError):
                drop_output()
            _tell(said(error))
            sys.exit(DISK_FAILED if is_failed(error) else 1)
        except UnicodeError as error:
            got = error.object if isinstance(error, UnicodeEncodeError) else str(error)
            _tell(f"expected names and texts in UTF-8, got {str(got)[:80]!r}")
            sys.exit(1)


def _run() -> None:
    """Run one command, to the last word that it writes."""
    try:
        app()
    finally:
        sys.stdout.flush()


def _tell(fault: str) -> None:
    """Write why a command failed on standard error, on one line, if that is open."""
    with suppress(OSError):
        print(one_line(f"sleepcycle: {fault}"), file=sys.stderr)


def _handle_stop_signals() -> None:
    """Treat a request to end as Ctrl-C, so that a run is undone before we go.

    What is ignored stays so: a script's shell lets `sleepcycle ... &` ignore Ctrl-C.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
