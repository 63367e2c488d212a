"""What is counted of answers, by the names and meanings that vLLM has for it."""

import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sleepcycle.serving.messages import Begun, Ended, Said
from sleepcycle.serving.process import Answer

FIRST_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
NEXT_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2.5)
WHOLE_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@dataclass(frozen=True)
class _Meters:
    """One meter each, in the registry of one service."""

    running: Gauge
    waiting: Gauge
    prompt_tokens: Counter
    tokens: Counter
    ended: Counter
    first: Histogram
    following: Histogram
    whole: Histogram


class AnswerMetrics:
    """Counts answers as they pass by; no text and no name is kept.

    Args:
        registry: Where the meters are registered, once each.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"sleepcycle_{name}", text, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"sleepcycle_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(
                f"sleepcycle_{name}", text, registry=registry, buckets=buckets
            )

        self._meters = _Meters(
            gauge("num_requests_running", "Answers that are being written."),
            gauge("num_requests_waiting", "Answers whose first token is waited for."),
            counter("prompt_tokens", "Tokens of prompts."),
            counter("generation_tokens", "Tokens of answers."),
            counter(
                "request_success",
                "Answers by how they ended: stop, length, error, or abort, where who "
                "asked has gone.",
                "finished_reason",
            ),
            histogram(
                "time_to_first_token_seconds",
                "From a question to the first token of its answer.",
                FIRST_S,
            ),
            histogram(
                "inter_token_latency_seconds",
                "From one token of an answer to the next.",
                NEXT_S,
            ),
            histogram(
                "e2e_request_latency_seconds",
                "From a question to the end of its answer.",
                WHOLE_S,
            ),
        )
        for reason in ("stop", "length", "error", "abort"):
            self._meters.ended.labels(reason)  # there from the beginning, as 0

    async def counted(self, answer: Answer) -> Answer:
        """Yield an answer, and count it; who stops to read it closes it."""
        began, reason = time.monotonic(), "abort"
        first = last = None
        self._meters.waiting.inc()
        try:
            async for line in answer:
                now = time.monotonic()
                if isinstance(line, Begun):
                    self._meters.prompt_tokens.inc(line.prompt_tokens)
                elif first is None:
                    first = now
                    self._meters.waiting.dec()
                    self._meters.running.inc()
                    self._meters.first.observe(now - began)
                elif isinstance(line, Said) and last is not None:
                    self._meters.following.observe(now - last)
                if isinstance(line, Said):
                    self._meters.tokens.inc(line.tokens)
                    last = now
                if isinstance(line, Ended):
                    reason = str(line.reason)
                yield line
        except Exception:
            reason = "error"
            raise
        finally:
            (self._meters.waiting if first is None else self._meters.running).dec()
            self._meters.whole.observe(time.monotonic() - began)
            self._meters.ended.labels(reason).inc()
            await answer.aclose()  # type: ignore[attr-defined]
