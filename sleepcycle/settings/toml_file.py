"""Reading a TOML file that people wrote, whatever lies in its place."""

import stat
import tomllib
from pathlib import Path
from typing import Any

from sleepcycle.errors import ConfigError

MAX_BYTES = 1 << 20  # a thousandfold of what anyone writes by hand


def read_toml(file: Path) -> dict[str, Any]:
    """Return what a plain file of TOML holds.

    Raises:
        OSError: The system cannot read it.
        ConfigError: It is no plain file, larger than a megabyte, or not TOML.
    """
    found = file.stat()
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise ConfigError(
            f"expected a plain file in {file}, got {_kind(found.st_mode)}"
        )
    with file.open("rb") as opened:  # a folder is refused here, in the system's words
        data = opened.read(MAX_BYTES + 1)
    return parse_toml(data, file)


def parse_toml(data: bytes, file: Path) -> dict[str, Any]:
    """Return what the bytes of a file of TOML hold.

    Raises:
        ConfigError: They are more than a megabyte, or not TOML.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"expected at most {MAX_BYTES:,} bytes of TOML in {file}, got more; see "
            "what the file is"
        )
    try:
        return tomllib.loads(data.decode())
    except RecursionError as error:
        raise ConfigError(
            f"{file}: expected TOML, got: brackets that are nested too deep"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: expected TOML, got: {error}") from error
    except ValueError as error:
        raise ConfigError(
            f"{file}: expected TOML, got: a number of more digits than can be read"
        ) from error


def _kind(mode: int) -> str:
    """Return what a file is that is not a plain one."""
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
