"""Times the service's answers beside `transformers serve`, both over HTTP.

    python -m benchmarks.serving --base FOLDER --clients 1 4 16

Each client asks the next question once it has its answer, streamed and greedy; a server
is started anew for each round, and the ways take turns. Tokens are counted in the text
that came. Ratios are to `transformers serve`. It needs transformers' extra `serving`
(the package `openai`) and a base that lies in a folder, as transformers would load it.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from benchmarks.generate import questions

OURS, PLAIN, BATCHED = "sleepcycle", "transformers serve", "transformers serve, batched"
HOST = "127.0.0.1"
START_S = 180.0  # until a server answers its first question
ANSWER_S = 300.0
WARM = 2  # questions that are asked before the clock runs


@dataclass(frozen=True)
class Reached:
    """Where a server answers."""

    port: int
    headers: dict[str, str]
    model: str


@dataclass(frozen=True)
class Told:
    """One answer, and when it came."""

    text: str
    first_s: float
    """From the question to the first text."""

    whole_s: float


@dataclass(frozen=True)
class Row:
    """What one way did under so many clients."""

    way: str
    clients: int
    round: int
    tokens_per_second: float
    first_ms: float
    """Half of all answers began within it."""

    first_p95_ms: float
    answers: int
    alike: float
    """The share that says word for word what the first way said."""


@contextmanager
def ours(base: Path, threads: int, dtype: str, device: str) -> Iterator[Reached]:
    """Yield the service over a new home."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        command = [sys.executable, "-m", "sleepcycle", "--home", str(home)]
        subprocess.run(
            [*command, "init", "--base", str(base)], check=True, capture_output=True
        )
        settings = {
            "MODEL__DTYPE": dtype,
            "ENGINE__DEVICE": device,
            "SERVE__REQUESTS_PER_MINUTE": "100000",
        }
        named = {f"SLEEPCYCLE__{key}": value for key, value in settings.items()}
        with _running([*command, "run"], threads, named) as process:
            address = home / "daemon.json"
            _until(address.exists, process)
            url = json.loads(address.read_text())["url"]
            token = (home / "token").read_text().strip()
            yield Reached(
                int(url.rsplit(":", 1)[1]), {"Authorization": f"Bearer {token}"}, "v0"
            )


@contextmanager
def theirs(
    base: Path, threads: int, dtype: str, device: str, *, batched: bool
) -> Iterator[Reached]:
    """Yield `transformers serve`."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("transformers")),
        "serve",
        str(base),
        *("--host", HOST, "--port", str(port), "--dtype", dtype),
        *("--device", "cuda:0" if device == "cuda" else device),
        *(["--continuous-batching"] if batched else []),
        *(["--cb-max-memory-percent", "0.1"] if batched else []),
    ]
    server = Reached(port, {}, str(base))
    with _running(command, threads, {}) as process:
        _until(lambda: _answers(server), process)
        yield server


def ask(server: Reached, question: str, new: int) -> Told:
    """Ask one question, and return its answer.

    Raises:
        RuntimeError: The server refused.
    """
    body = {
        "model": server.model,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": new,
        "stream": True,
    }
    headers = {"Content-Type": "application/json", **server.headers}
    began, first, text = time.perf_counter(), None, ""
    link = HTTPConnection(HOST, server.port, timeout=ANSWER_S)
    try:
        link.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = link.getresponse()
        if answer.status != 200:
            raise RuntimeError(answer.read()[:500].decode())
        for piece in _pieces(answer):
            first = first or time.perf_counter()
            text += piece
    finally:
        link.close()
    ended = time.perf_counter()
    return Told(text, (first or ended) - began, ended - began)


def under_load(
    server: Reached, asked: Sequence[str], clients: int, new: int
) -> tuple[list[Told], float]:
    """Return all answers in the order of their questions, and the seconds of all."""
    todo, lock = iter(enumerate(asked)), threading.Lock()
    told: dict[int, Told] = {}
    failed: list[Exception] = []

    def client() -> None:
        while not failed:
            with lock:
                place, question = next(todo, (None, ""))
            if place is None:
                return
            try:
                told[place] = ask(server, question, new)
            except (OSError, HTTPException, RuntimeError) as error:
                failed.append(error)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return [told[place] for place in range(len(asked))], time.perf_counter() - began


def measured(
    way: str, server: Reached, options: argparse.Namespace, said: dict[str, str]
) -> Iterator[Row]:
    """Yield a row for each number of clients."""
    tokenizer = Tokenizer.from_file(str(options.base / "tokenizer.json"))
    asked = questions(options.questions + WARM)
    for question in asked[:WARM]:
        ask(server, question, options.new)
    for clients in options.clients:
        count = min(options.questions, clients * options.each)
        chosen = asked[WARM : WARM + count]
        told, seconds = under_load(server, chosen, clients, options.new)
        first = sorted(one.first_s * 1000 for one in told)
        texts = dict(zip(chosen, (one.text for one in told), strict=True))
        tokens = sum(
            len(tokenizer.encode(text, add_special_tokens=False).ids)
            for text in texts.values()
        )
        alike = [said.setdefault(ask, text) == text for ask, text in texts.items()]
        yield Row(
            way,
            clients,
            options.round,
            tokens / seconds,
            statistics.median(first),
            first[int(0.95 * (len(first) - 1))],
            len(told),
            statistics.mean(alike),
        )


def started(way: str, options: argparse.Namespace) -> Any:  # noqa: ANN401
    """Return a way's server, to be entered."""
    how = (options.base, options.threads, options.dtype, options.device)
    if way == OURS:
        return ours(*how)
    return theirs(*how, batched=way == BATCHED)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each way and number of clients: medians of the rounds."""
    yield f"{'way':30} clients   tokens/s  ratio  begun in       95 % alike"
    found: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        found.setdefault((row.way, row.clients), []).append(row)
    for (way, clients), some in found.items():
        speed = statistics.median(row.tokens_per_second for row in some)
        beside = found.get((PLAIN, clients), [])
        ratio = speed / statistics.median(
            [row.tokens_per_second for row in beside] or [float("nan")]
        )
        first = statistics.median(row.first_ms for row in some)
        late = statistics.median(row.first_p95_ms for row in some)
        alike = statistics.mean(row.alike for row in some)
        yield (
            f"{way:30} {clients:7} {speed:10.1f} {ratio:6.2f} {first:6.0f} ms "
            f"{late:7.0f} ms {alike:5.0%}"
        )


def main() -> None:
    """Measure, write each row as it comes, and print the table."""
    options = _options()
    rows = []
    for row in _rows(options):
        rows.append(row)
        print(json.dumps(asdict(row)), flush=True)
    print("\n".join(table(rows)))


def _rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield what each way does, round by round."""
    said: dict[str, str] = {}
    for number in range(options.rounds):
        options.round = number
        for way in options.ways:
            with started(way, options) as server:
                yield from measured(way, server, options, said)


def _options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="a folder")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--questions", type=int, default=64, help="at most, by a load")
    parser.add_argument("--each", type=int, default=6, help="questions of a client")
    parser.add_argument("--new", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--ways", nargs="+", default=[OURS, PLAIN, BATCHED])
    return parser.parse_args()


@contextmanager
def _running(
    command: list[str], threads: int, settings: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until it is left."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        **settings,
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-3000:].decode(errors="replace"))
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _until(there: Callable[[], bool], server: subprocess.Popen[bytes]) -> None:
    """Wait until something is there.

    Raises:
        RuntimeError: It did not come, or the server ended.
    """
    end = time.monotonic() + START_S
    while not there():
        if time.monotonic() > end or server.poll() is not None:
            raise RuntimeError("the server did not come up")
        time.sleep(0.1)


def _answers(server: Reached) -> bool:
    """Return whether a server takes connections."""
    try:
        socket.create_connection((HOST, server.port), timeout=1).close()
    except OSError:
        return False
    return True


def _pieces(lines: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the text of each event of a stream."""
    for line in lines:
        if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
            continue
        for choice in json.loads(line[6:]).get("choices", ()):
            if text := choice["delta"].get("content"):
                yield text


if __name__ == "__main__":
    main()
