"""Which process a number stands for, and whether that process is still there.

Only the standard library is used where `/proc` is, so `snapshot` can share it.
"""

from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")
START_FIELD = 19  # of /proc/PID/stat, counted after the name and its parentheses


def started(pid: int) -> str | None:
    """Return what tells a process from a later one with the same number.

    Returns:
        The machine's boot and the process's start in clock ticks after it, which no
        change of the clock moves; the time of its start where there is no `/proc`.
        None where no such process is alive.
    """
    if not BOOT.exists():
        return _create_time(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":  # dead, and only not yet waited for
        return None
    return f"{BOOT.read_text(encoding='ascii').strip()} {fields[START_FIELD]}"


def _create_time(pid: int) -> str | None:
    """Ask psutil, which costs a few hundredths of a second to load."""
    import psutil

    try:
        process = psutil.Process(pid)
        dead = process.status() == psutil.STATUS_ZOMBIE
        return None if dead else str(process.create_time())
    except psutil.Error:
        return None
