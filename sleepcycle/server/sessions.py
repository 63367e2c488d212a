"""Sessions of browsers: each is signed in by a link that works once."""

import hashlib
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sleepcycle.errors import NotFoundError, SleepcycleError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.scoped_tokens import (
    ScopedToken,
    TokenScope,
    list_tokens,
    new_token,
    revoke_token,
)

LINK_S = 600.0  # for which a link waits to be opened
SESSION = timedelta(days=30)
NAME = "browser"  # of its token, in `sleepcycle token list`
MOST_LINKS = 100


@dataclass(frozen=True)
class BrowserSessions:
    """Who is signed in at the dashboard.

    A session is a token with the scope admin, which is listed and revoked as others.
    The links are known to this process alone.
    """

    paths: HomePaths
    links: dict[str, float] = field(default_factory=dict)
    """Until when each code works that was not used, by the monotonic clock."""

    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cookie(self) -> str:
        """Name of the home's cookie: a browser has one for all ports of a machine."""
        home = hashlib.sha256(str(self.paths.root.resolve()).encode()).hexdigest()
        return f"sleepcycle_{home[:12]}"

    def link(self) -> str:
        """Return a new code, which signs in once."""
        code = secrets.token_urlsafe(24)
        with self.lock:
            self._forget_old()
            while len(self.links) >= MOST_LINKS:
                del self.links[next(iter(self.links))]
            self.links[code] = time.monotonic() + LINK_S
        return code

    def sign_in(self, code: str) -> str:
        """Return the token of a new session, for a code that was not used yet.

        Raises:
            NotFoundError: It was used, or is too old.
            ServiceError: The file of tokens cannot be read.
        """
        with self.lock:
            self._forget_old()
            known = self.links.pop(code, None)
        if known is None:
            raise NotFoundError(
                "expected a link that was not used yet, and is at most ten minutes "
                "old; make a new one: sleepcycle open"
            )
        try:
            self._end_old()
            token, _ = new_token(self.paths, (TokenScope.ADMIN,), NAME)
        except SleepcycleError:
            self.links[code] = known  # it may be tried again
            raise
        return token

    def sign_out(self, token: str) -> None:
        """End a session; one that is over already stays so."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        for kept in list_tokens(self.paths):
            if kept.name == NAME and kept.sha256 == digest:
                self._revoke(kept)

    def _end_old(self) -> None:
        """Revoke the tokens of sessions whose cookies have ended."""
        oldest = datetime.now(UTC) - SESSION
        for kept in list_tokens(self.paths):
            if kept.name == NAME and kept.made_at < oldest:
                self._revoke(kept)

    def _revoke(self, kept: ScopedToken) -> None:
        """Revoke the token of a session, if nobody else was faster."""
        with suppress(NotFoundError):
            revoke_token(self.paths, kept.id)

    def _forget_old(self) -> None:
        """Drop codes that work no more."""
        now = time.monotonic()
        for code in [code for code, until in self.links.items() if until < now]:
            del self.links[code]
