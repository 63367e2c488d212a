"""One exchange with servers that misbehave."""

import time

import pytest

from sleepcycle.errors import PublishError
from sleepcycle.publish.exchange import ServerReply, send

FAULTS = {
    "garbage": r"expected an answer to GET .*/v1/models, got: ",
    "huge": r"got: more than 1,048,576 bytes",
    "hang": r"within 0\.3 s, got none",
    "drip": r"within 0\.3 s, got none",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_misbehaves_is_one_sentence_in_time(vllm, fault):
    vllm.fault = fault
    began = time.monotonic()

    with pytest.raises(PublishError, match=FAULTS[fault]):
        send("GET", f"{vllm.url}/v1/models", timeout_s=0.3)

    assert time.monotonic() - began < 5.0


def test_a_server_that_is_down_is_one_sentence(vllm):
    vllm.kill()

    with pytest.raises(PublishError, match=r"refused; is the server up\?"):
        send("GET", f"{vllm.url}/v1/models", timeout_s=5.0)

    vllm.start()


def test_a_redirection_is_not_followed(vllm):
    vllm.fault = "redirect"

    reply = send("GET", f"{vllm.url}/v1/models", timeout_s=5.0)

    assert (reply.status, reply.is_good) == (307, False)
    assert vllm.paths_asked() == ["/v1/models"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "a\\nb"}}', "a b"),
        (b'{"success": false, "error_message": "no"}', "no"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"error": "Unauthorized"}', "Unauthorized"),
        (b"\x1b[31mred\xff", "[31mred�"),
        (b"[" * 100_000, f"{'[' * 299}…"),
        (b"", ""),
    ],
)
def test_what_a_server_says_is_one_short_line(body, words):
    assert ServerReply(500, body).words() == words
