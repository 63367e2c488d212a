"""Places where a test can end the process, as a power cut would.

`SLEEPCYCLE_FAILPOINT=name:N` in the environment kills the process the N-th time that it
passes the place of that name. Unset, a place costs one count and one comparison.
"""

import os
import signal
from collections import Counter

_name, _, _count = os.environ.get("SLEEPCYCLE_FAILPOINT", "").partition(":")
_left = int(_count or 1)
_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Pass a place; die there if the environment says so."""
    global _left
    _passed[name] += 1
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def passed() -> Counter[str]:
    """Return how often this process has passed each place so far."""
    return _passed.copy()
