"""Tokens with scopes: what lets other programs do some things and not all."""

import hashlib
import hmac
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from filelock import FileLock
from loguru import logger

from sleepcycle.errors import ConfigError, NotFoundError, ServiceError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.plain_file import read_plain
from sleepcycle.records.codec import from_json, to_json

PREFIX = "sc_"  # so that who finds one in a text knows what it is
RANDOM_BYTES = 32
ID_BYTES = 6
MOST_BYTES = 1_000_000  # of the file
LONGEST_NAME = 200  # characters
WRITERS = stat.S_IWGRP | stat.S_IWOTH
NAME = re.compile(r"[^\x00-\x1f\x7f]*")
SEE = "see: sleepcycle token list"


class TokenScope(StrEnum):
    """What a token lets its holder do."""

    FEED = "feed"
    """Give examples, corrections and ratings."""

    TALK = "talk"
    """Ask the model."""

    READ = "read"
    """Look at how things are."""

    ADMIN = "admin"
    """All of it, and what moves versions or begins runs."""


@dataclass(frozen=True, slots=True)
class ScopedToken:
    """A token as it is kept: without the token."""

    id: str
    name: str
    scopes: tuple[TokenScope, ...]
    sha256: str
    """Of the token, in hexadecimal; a random text of 32 bytes needs no salt."""

    made_at: datetime


@dataclass(frozen=True, slots=True)
class TokenFile:
    """What the file holds."""

    tokens: tuple[ScopedToken, ...] = ()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who knows a token."""

    id: str | None
    """The token's; None of the home's own, which is in the file `token`."""

    scopes: frozenset[TokenScope]

    def may(self, scopes: Iterable[TokenScope]) -> bool:
        """Return whether it has one of some scopes; admin is all."""
        return bool(self.scopes & {TokenScope.ADMIN, *scopes})


class KnownTokens:
    """The tokens that open a service, as the files have them at this moment."""

    def __init__(self, paths: HomePaths, own: str) -> None:
        """Begin with the home's own token.

        Args:
            paths: The home.
            own: What the file `token` held at the start; it is not read again.
        """
        self._path, self._own = paths.tokens, own.encode()
        self._stamp: object = None
        self._holders: dict[str, Holder] = {}

    def holder_of(self, token: str) -> Holder | None:
        """Return who shows a token, or None for one that opens nothing."""
        given = token.encode()
        if self._own and hmac.compare_digest(given, self._own):
            return Holder(None, frozenset({TokenScope.ADMIN}))
        self._refresh()
        return self._holders.get(hashlib.sha256(given).hexdigest())

    def _refresh(self) -> None:
        """Read the file again where it is not what it was.

        One that cannot be read opens nothing, and is logged once.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp, self._holders = stamp, {}
        try:
            kept = _read(self._path).tokens
        except ServiceError as error:
            logger.error("only the home's own token is let in: {why}", why=str(error))
            return
        self._holders = {
            each.sha256: Holder(each.id, frozenset(each.scopes)) for each in kept
        }


def scopes_of(text: str) -> tuple[TokenScope, ...]:
    """Return the scopes that a text names, divided by commas.

    Raises:
        ConfigError: A word of it is no scope, or there is none.
    """
    words = [word.strip() for word in text.split(",")]
    known = [str(scope) for scope in TokenScope]
    wrong = [word for word in words if word not in known]
    if wrong:
        raise ConfigError(
            f"expected scopes out of {', '.join(known)}, divided by commas, got "
            f"{wrong[0]!r}"
        )
    return tuple(scope for scope in TokenScope if scope in words)


def new_token(
    paths: HomePaths, scopes: tuple[TokenScope, ...], name: str = ""
) -> tuple[str, ScopedToken]:
    """Make a token, and return it with what is kept of it; it is shown only now.

    Raises:
        ConfigError: The name is too long, or would not stay on one line.
        ServiceError: The file of tokens cannot be read.
        DiskError: It could not be kept.
    """
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise ConfigError(
            f"expected a name of at most {LONGEST_NAME} characters on one line, got "
            f"{name[:LONGEST_NAME]!r}"
        )
    token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    digest = hashlib.sha256(token.encode()).hexdigest()
    made_at = datetime.now(UTC).replace(microsecond=0)
    kept = ScopedToken(secrets.token_hex(ID_BYTES), name, scopes, digest, made_at)
    with _held(paths):
        _write(paths.tokens, (*_read(paths.tokens).tokens, kept))
    return token, kept


def list_tokens(paths: HomePaths) -> tuple[ScopedToken, ...]:
    """Return what is kept of each token, the oldest first.

    Raises:
        ServiceError: The file of tokens cannot be read.
    """
    return _read(paths.tokens).tokens


def revoke_token(paths: HomePaths, id: str) -> ScopedToken:
    """Let a token open nothing any more, and return what was kept of it.

    Raises:
        NotFoundError: There is none of that id.
        ServiceError: The file of tokens cannot be read.
        DiskError: The disk could not keep it.
    """
    with _held(paths):
        kept = _read(paths.tokens).tokens
        revoked = [each for each in kept if each.id == id]
        if not revoked:
            raise NotFoundError(f"expected the id of a token, got {id!r}; {SEE}")
        _write(paths.tokens, tuple(each for each in kept if each.id != id))
    return revoked[0]


@contextmanager
def _held(paths: HomePaths) -> Iterator[None]:
    """Keep others from changing the tokens meanwhile, lest one comes back."""
    with FileLock(paths.tokens_lock, mode=0o600):
        yield


def _write(path: Path, tokens: tuple[ScopedToken, ...]) -> None:
    """Write the file, which only its owner can read."""
    disk.write(path, to_json(TokenFile(tokens)) + "\n")


def _read(path: Path) -> TokenFile:
    """Return what the file holds; nothing where there is none.

    Raises:
        ServiceError: It is no such file, or others can write it.
    """
    try:
        if path.stat().st_mode & WRITERS:
            raise _refusal(path, f"a file that others can write; chmod 600 {path}")
        return from_json(read_plain(path, most_bytes=MOST_BYTES), TokenFile)
    except FileNotFoundError:
        return TokenFile()
    except (OSError, ValueError, RecursionError) as error:
        found = error.strerror if isinstance(error, OSError) else None
        lines = str(error).splitlines() or [type(error).__name__]
        raise _refusal(
            path, f"{found or lines[0]}; delete it and make new tokens"
        ) from error


def _refusal(path: Path, found: str) -> ServiceError:
    """Return the error for a file that holds no tokens."""
    return ServiceError(
        f"expected {path.name} in {path.parent} to hold what `sleepcycle token new` "
        f"wrote, got: {found}"
    )


def _stamp(path: Path) -> object:
    """Return what changes when a file does; None where there is none."""
    try:
        info = path.stat()
    except OSError as error:
        return error.errno
    return (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_mode)
