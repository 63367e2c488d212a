"""Tell a fake receiver of versions."""

import base64
import hashlib
import hmac
import json

import pytest

from sleepcycle.errors import PublishError
from sleepcycle.publish.driver import LastBrought
from sleepcycle.publish.webhook import WebhookDriver, key_of, sign
from sleepcycle.settings.publishconfig import WebhookTarget
from tests.publish.fake_servers import FakeServer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(FakeServer):
    """Takes what is posted."""

    status = 204

    def acts(self):
        return {("POST", "/hook"): lambda _: (self.status, "")}


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.kill()


@pytest.fixture
def hook(home, receiver):
    """Returns a driver that finds a last version in the journal."""
    (home.paths.root / "hook.secret").write_text(SECRET)
    url = f"{receiver.url}/hook"
    target = WebhookTarget(
        kind="webhook", name="hook", url=url, secret_file="hook.secret"
    )

    def of(entry=0, version=None):
        last = LastBrought(entry, version)
        return WebhookDriver(target, home.paths.root, "ab12", lambda: last)

    return of


def test_a_version_is_posted_with_its_bytes_hash(hook, receiver, wanted):
    hook().bring(wanted("v4"))

    [body] = receiver.bodies("/hook")
    weights = (wanted("v4").folder / "adapter_model.safetensors").read_bytes()
    assert body["type"] == "version.published"
    assert body["data"] == {
        "home": "ab12",
        "target": "hook",
        "alias": "live",
        "version": "v4",
        "base": "acme/base",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "path": str(wanted("v4").folder),
    }


def test_the_signature_is_that_of_standard_webhooks(hook, receiver, wanted):
    hook().bring(wanted("v4"))

    said = {name.lower(): value for name, value in receiver.headers[0].items()}
    body = json.dumps(receiver.bodies("/hook")[0])  # byte for byte as it was written
    signed = f"{said['webhook-id']}.{said['webhook-timestamp']}.{body}"
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    assert said["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_the_signature_is_that_of_their_libraries():
    """
    The values are those of the tests of the libraries of Standard Webhooks.
    """
    number, at = "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"

    said = sign(key_of(SECRET), number, at, b'{"test": 2432232314}')

    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_was_taken_is_what_it_has(hook, wanted):
    box = hook()

    box.bring(wanted("v4"))

    assert box.has(wanted("v4")) == "v4"


@pytest.mark.parametrize("status", [301, 404, 410, 500])
def test_what_was_not_taken_is_told_again(hook, receiver, wanted, status):
    receiver.status, box = status, hook(3, "v2")

    with pytest.raises(PublishError, match=rf"to take v4 with .* 2xx, got {status}"):
        box.bring(wanted("v4"))

    assert box.has(wanted("v4")) == "v2"


def test_each_try_has_the_same_id_also_after_a_restart(hook, wanted):
    assert hook().message_id(wanted("v4")) == hook().message_id(wanted("v4"))


def test_a_version_that_comes_back_has_another_id(hook, wanted):
    first, later = hook(3, "v2"), hook(9, "v2")

    assert first.message_id(wanted("v4")) != later.message_id(wanted("v4"))


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ("short", r"a secret of 16 bytes or more, got 5; make one with"),
        ("whsec_!!", r"expected base64 behind whsec_"),
    ],
)
def test_a_secret_that_protects_nothing_is_refused(secret, message):
    with pytest.raises(PublishError, match=message):
        key_of(secret)
