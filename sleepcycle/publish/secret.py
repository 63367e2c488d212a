"""A secret out of a file that the owner named, such as a server's API key."""

from pathlib import Path

from sleepcycle.errors import PublishError
from sleepcycle.files.plain_file import read_plain

MOST_BYTES = 4096


def read_secret(home: Path, name: str) -> str:
    """Return the one line of a file.

    Args:
        home: The folder that its path begins at, unless it is whole.
        name: The path.

    Raises:
        PublishError: There is no such file, or it holds no one line of plain letters.
    """
    file = home / Path(name).expanduser()
    try:
        text = read_plain(file, most_bytes=MOST_BYTES).strip()
    except OSError as error:
        raise PublishError(
            f"expected a secret in {file}, got: {error.strerror or error}"
        ) from error
    except UnicodeDecodeError:
        text = ""
    if not text.isascii() or not text.isprintable() or not text or " " in text:
        raise PublishError(f"expected one line without spaces in {file}, got none")
    return text
