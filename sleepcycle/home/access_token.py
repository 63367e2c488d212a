"""The token: what one must know to tell the service what to do, as a file."""

import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path

from sleepcycle.errors import ServiceError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths

TOKEN_BYTES = 32
LEAST = 32  # characters; ours have 43
LEAST_DISTINCT = 10
MOST = 1024
FORM = re.compile(r"[A-Za-z0-9._~+/=-]*")  # RFC 6750
OTHERS = stat.S_IRWXG | stat.S_IRWXO
ANEW = "delete it and start the service again, which makes a new one"


def token_of(paths: HomePaths) -> str:
    """Return the home's token, closed to other users; it is made where there is none.

    Raises:
        ServiceError: What is there is no token that could be kept secret.
        DiskError: It could not be kept.
    """
    if not os.path.lexists(paths.token):
        disk.write(paths.token, secrets.token_urlsafe(TOKEN_BYTES))
    return _read(paths.token, close=True)


def read_token(paths: HomePaths) -> str:
    """Return the home's token, and leave the file as it is.

    Raises:
        ServiceError: There is none, or what is there is none.
    """
    return _read(paths.token, close=False)


def prove(token: str, challenge: str, place: str) -> str:
    """Return what only who knows the token can answer to a challenge.

    Args:
        token: The token.
        challenge: A text that was never used before.
        place: Host and port where the answer is given, so that it is of no use to
            who stands elsewhere and asks the service in secret.
    """
    text = f"sleepcycle service at {place}: {challenge}"
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()


def _read(path: Path, *, close: bool) -> str:
    """Return a token; a link is never followed, nor is its target's mode changed."""
    try:
        # Without waiting: a pipe would let us wait for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags), "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise _refusal(path, "no plain file")
            if close and info.st_mode & OTHERS:
                _close(path, file.fileno(), info)
            return _parse(path, file.read(MOST + 1))
    except ServiceError:
        raise
    except OSError as error:
        link = path.is_symlink()
        raise _refusal(path, "a link" if link else str(error.strerror)) from error


def _close(path: Path, handle: int, info: os.stat_result) -> None:
    """Let only the owner read an open file that has no name outside the home."""
    if info.st_nlink > 1:
        raise _refusal(path, "a file that others can read, and that has other names")
    os.fchmod(handle, 0o600)


def _parse(path: Path, raw: bytes) -> str:
    """Return the token that a file holds."""
    token = raw.decode("latin-1").strip()
    if len(raw) > MOST or not FORM.fullmatch(token):
        raise _refusal(path, "what is no such text")
    if len(token) < LEAST or len(set(token)) < LEAST_DISTINCT:
        raise _refusal(path, f"{len(token)} characters, which can be guessed")
    return token


def _refusal(path: Path, found: str) -> ServiceError:
    """Return the error for a file that holds no token."""
    return ServiceError(
        f"expected {path.name} in {path.parent} to hold the key to the service, a text "
        f"of {LEAST} or more letters and digits, got: {found}; {ANEW}"
    )
