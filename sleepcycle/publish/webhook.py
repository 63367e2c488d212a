"""Post versions to an address, signed as Standard Webhooks has it.

The headers are `webhook-id`, `webhook-timestamp` and `webhook-signature` of
https://www.standardwebhooks.com: the signature is over id, time and body.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sleepcycle.errors import PublishError
from sleepcycle.publish.driver import LastBrought, WantedVersion
from sleepcycle.publish.exchange import send
from sleepcycle.publish.secret import read_secret
from sleepcycle.settings.publishconfig import WebhookTarget

POST_S = 15.0
LONGEST_WAIT_S = 300.0
EVENT = "version.published"
PREFIX = "whsec_"  # before a secret in base64
LEAST_BYTES = 16  # of a secret


class WebhookDriver:
    """Knows one address.

    Args:
        target: The address, and the file with its secret.
        home: The folder of the home.
        home_id: Tells this home from others.
        last_brought: Reads what the address has taken last.
    """

    longest_wait_s = LONGEST_WAIT_S

    def __init__(
        self,
        target: WebhookTarget,
        home: Path,
        home_id: str,
        last_brought: Callable[[], LastBrought],
    ) -> None:
        self._target, self._home, self._home_id = target, home, home_id
        self._last_brought = last_brought
        self._taken: str | None = None  # but not in the journal yet

    def has(self, wanted: WantedVersion) -> str | None:
        """Return the version that the address was told last, and took."""
        return self._taken or self._last_brought().version

    def bring(self, wanted: WantedVersion) -> None:
        """Post a version; an answer of 2xx means that it is taken."""
        self._taken = None
        now = datetime.now(UTC)
        body = json.dumps(self._event(wanted, now)).encode()
        number, at = self.message_id(wanted), str(int(time.time()))
        secret = key_of(read_secret(self._home, self._target.secret_file))
        signature = sign(secret, number, at, body)
        headers = {
            "webhook-id": number,
            "webhook-timestamp": at,
            "webhook-signature": signature,
        }
        url = self._target.url
        reply = send("POST", url, body, headers=headers, timeout_s=POST_S)
        if not reply.is_good:
            raise PublishError(
                f"expected {url} to take {wanted.name} with a status of 2xx, got "
                f"{reply.status}: {reply.words()}"
            )
        self._taken = wanted.name

    def tidy(self, wanted: WantedVersion) -> None:
        """Rely on the journal from now on."""
        self._taken = None

    def message_id(self, wanted: WantedVersion) -> str:
        """Return what the receiver may tell a repeated message by.

        It is the same for each try, also after a restart, and another one where the
        same version is published again later.
        """
        of = [self._home_id, self._target.name, self._last_brought().entry, wanted.name]
        digest = hashlib.sha256(json.dumps(of).encode()).hexdigest()
        return f"msg_{digest[:32]}"

    def _event(self, wanted: WantedVersion, now: datetime) -> dict[str, object]:
        """Return what is posted."""
        return {
            "type": EVENT,
            "timestamp": now.isoformat(),
            "data": {
                "home": self._home_id,
                "target": self._target.name,
                "alias": self._target.alias,
                "version": wanted.name,
                "base": wanted.base,
                "sha256": wanted.weights_hash(),
                "path": str(wanted.folder.absolute()) if wanted.folder else None,
            },
        }


def sign(key: bytes, number: str, at: str, body: bytes) -> str:
    """Return the signature of a message: of its id, its time and its body."""
    signed = b".".join([number.encode(), at.encode(), body])
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def key_of(secret: str) -> bytes:
    """Return the key of a secret: in base64 behind `whsec_`, else its own letters.

    Raises:
        PublishError: It can be guessed, or is no base64.
    """
    try:
        whole = secret.startswith(PREFIX)
        key = (
            base64.b64decode(secret.removeprefix(PREFIX), validate=True)
            if whole
            else secret.encode()
        )
    except (binascii.Error, ValueError) as error:
        raise PublishError(
            f"expected base64 behind {PREFIX} in the secret of a webhook, got: {error}"
        ) from error
    if len(key) < LEAST_BYTES:
        raise PublishError(
            f"expected a secret of {LEAST_BYTES} bytes or more, got {len(key)}; make "
            "one with: openssl rand -base64 32"
        )
    return key
