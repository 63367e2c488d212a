"""What is counted of answers, by the names and meanings that vLLM has for it."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sleepcycle.serving.messages import Begun, Ended, Said
from sleepcycle.serving.process import Answer

FIRST_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
NEXT_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2.5)
WHOLE_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class AnswerMetrics:
    """Counts answers as they pass by; no text and no name is kept.

    Args:
        registry: Where the meters are registered, once each.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._running = Gauge(
            "sleepcycle_num_requests_running",
            "Answers that are being written.",
            registry=registry,
        )
        self._waiting = Gauge(
            "sleepcycle_num_requests_waiting",
            "Answers whose first token is waited for.",
            registry=registry,
        )
        self._prompt_tokens = Counter(
            "sleepcycle_prompt_tokens", "Tokens of prompts.", registry=registry
        )
        self._tokens = Counter(
            "sleepcycle_generation_tokens", "Tokens of answers.", registry=registry
        )
        self._ended = Counter(
            "sleepcycle_request_success",
            "Answers by how they ended: stop, length, error, or abort, where who "
            "asked has gone.",
            ["finished_reason"],
            registry=registry,
        )
        for reason in ("stop", "length", "error", "abort"):
            self._ended.labels(reason)  # there from the beginning, as 0
        self._first = Histogram(
            "sleepcycle_time_to_first_token_seconds",
            "From a question to the first token of its answer.",
            registry=registry,
            buckets=FIRST_S,
        )
        self._following = Histogram(
            "sleepcycle_inter_token_latency_seconds",
            "From one token of an answer to the next.",
            registry=registry,
            buckets=NEXT_S,
        )
        self._whole = Histogram(
            "sleepcycle_e2e_request_latency_seconds",
            "From a question to the end of its answer.",
            registry=registry,
            buckets=WHOLE_S,
        )

    async def counted(self, answer: Answer) -> Answer:
        """Yield an answer, and count it; who stops to read it closes it."""
        began, reason = time.monotonic(), "abort"
        first = last = None
        self._waiting.inc()
        try:
            async for line in answer:
                now = time.monotonic()
                if isinstance(line, Begun):
                    self._prompt_tokens.inc(line.prompt_tokens)
                elif first is None:
                    first = now
                    self._waiting.dec()
                    self._running.inc()
                    self._first.observe(now - began)
                elif isinstance(line, Said) and last is not None:
                    self._following.observe(now - last)
                if isinstance(line, Said):
                    self._tokens.inc(line.tokens)
                    last = now
                if isinstance(line, Ended):
                    reason = str(line.reason)
                yield line
        except Exception:
            reason = "error"
            raise
        finally:
            (self._waiting if first is None else self._running).dec()
            self._whole.observe(time.monotonic() - began)
            self._ended.labels(reason).inc()
            await answer.aclose()  # type: ignore[attr-defined]
