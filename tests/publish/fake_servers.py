"""A fake vLLM and a fake SGLang, which speak what was read in the real ones.

Of vLLM 0.33.0 (the wheel on PyPI): `vllm/entrypoints/serve/lora/protocol.py` (the
fields), `vllm/entrypoints/openai/models/serving.py` (what is refused, with which words
and status, and what is listed) and `vllm/exceptions.py`. Of SGLang 0.5.23:
`sglang/srt/managers/tokenizer_control_mixin.py`, `sglang/srt/lora/lora_manager.py` and
`sglang/srt/entrypoints/http_server.py`. Both list a base first, without a parent.
"""

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = "acme/base"
HUGE = 2 << 20


class FakeServer:
    """A server that can be killed and started again at the same port, and misbehave."""

    def __init__(self):
        self.asked = []
        self.headers = []
        self.fault = None
        """What it does instead of answering: the name of a method of the handler."""

        self.token = None
        self.http = None
        self.port = 0
        self.adapters = {}
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        """Start with no adapters, as a server that was restarted."""
        self.adapters = {}
        self.killed = threading.Event()
        fake = self

        class Handler(_Handler):
            server_fake = fake

        self.http = _QuietServer(("127.0.0.1", self.port), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(
            target=self.http.serve_forever, args=(0.005,), daemon=True
        ).start()

    def kill(self):
        self.killed.set()
        self.http.shutdown()
        self.http.server_close()

    def paths_asked(self):
        return [path for _, path, _ in self.asked]

    def bodies(self, path):
        return [body for _, at, body in self.asked if at == path]

    def models(self):
        cards = [
            {"id": name, "object": "model", "root": root, "parent": BASE}
            for name, root in self.adapters.items()
        ]
        base = {"id": BASE, "object": "model", "root": "/models/base", "parent": None}
        return {"object": "list", "data": [base, *cards]}

    def answer(self, method, path, body):
        """Return status and body of an answer."""
        if (method, path) == ("GET", "/v1/models"):
            return 200, self.models()
        act = self.acts().get((method, path))
        return act(body) if act else (404, {"detail": "Not Found"})


class FakeVllm(FakeServer):
    """vLLM, as far as adapters go."""

    version = "0.33.0"

    def acts(self):
        return {
            ("GET", "/version"): lambda _: (200, {"version": self.version}),
            ("POST", "/v1/load_lora_adapter"): self.load,
            ("POST", "/v1/unload_lora_adapter"): self.unload,
            ("POST", "/v1/completions"): self.complete,
        }

    def load(self, body):
        name, path = body["lora_name"], body["lora_path"]
        if name == BASE:
            return self.refuse(
                400,
                "InvalidUserInput",
                f"The lora adapter '{name}' conflicts with a served base model.",
            )
        if not body.get("load_inplace", False) and name in self.adapters:
            return self.refuse(
                400,
                "InvalidUserInput",
                f"The lora adapter '{name}' has already been loaded. If you want to "
                "load the adapter in place, set 'load_inplace' to True.",
            )
        if not (Path(path) / "adapter_config.json").is_file():
            return self.refuse(
                404,
                "NotFoundError",
                f"Loading lora {name} failed: No adapter found for {path}",
            )
        if self.fault != "lie":
            self.adapters[name] = path
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, body):
        name = body["lora_name"]
        if name not in self.adapters:
            return self.refuse(
                404, "NotFoundError", f"The lora adapter '{name}' cannot be found."
            )
        del self.adapters[name]
        return 200, f"Success: LoRA adapter '{name}' removed successfully."

    def complete(self, body):
        name = body["model"]
        if name not in self.adapters or self.fault == "mute":
            return self.refuse(
                404, "NotFoundError", f"The model `{name}` does not exist."
            )
        text = f" {self.adapters[name]}"
        return 200, {"model": name, "choices": [{"index": 0, "text": text}]}

    def refuse(self, status, kind, message):
        error = {"message": message, "type": kind, "param": None, "code": status}
        return status, {"error": error}


class FakeSglang(FakeServer):
    """SGLang, as far as adapters go."""

    def acts(self):
        return {
            ("POST", "/load_lora_adapter"): self.load,
            ("POST", "/unload_lora_adapter"): self.unload,
            ("POST", "/v1/completions"): self.complete,
        }

    def load(self, body):
        name, path = body["lora_name"], body["lora_path"]
        if name in self.adapters:
            return self.told(
                f"Failed to load LoRA adapter {name} because it is already loaded"
            )
        if not (Path(path) / "adapter_config.json").is_file():
            return self.told(f"[Errno 2] No such file or directory: '{path}'")
        if self.fault != "lie":
            self.adapters[name] = path
        return self.told(None)

    def unload(self, body):
        name = body["lora_name"]
        if name not in self.adapters:
            keys = list(self.adapters)
            return self.told(f"LoRA with name {name} does not exist. Loaded: {keys}")
        del self.adapters[name]
        return self.told(None)

    def complete(self, body):
        base, _, name = body["model"].partition(":")
        if base != BASE or name not in self.adapters:
            message = f"Got LoRA adapter that has never been loaded: {name}"
            return 400, {"object": "error", "message": message, "code": 400}
        return 200, {"model": body["model"], "choices": [{"index": 0, "text": " a"}]}

    def told(self, error):
        fields = {"error_message": error, "loaded_adapters": dict(self.adapters)}
        return (400 if error else 200), {"success": error is None, **fields}


class _QuietServer(ThreadingHTTPServer):
    """Prints nothing where the other side has gone."""

    def handle_error(self, request, client_address):
        """Leave it at that."""


class _Handler(BaseHTTPRequestHandler):
    """Answers for a fake server, or does what its fault is called."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.handle_one("GET")

    def do_POST(self):
        self.handle_one("POST")

    def handle_one(self, method):
        fake = self.server_fake
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        fake.asked.append((method, self.path, body))
        fake.headers.append(dict(self.headers))
        if fake.token and self.headers.get("Authorization") != f"Bearer {fake.token}":
            return self.reply(401, {"error": "Unauthorized"})
        misbehave = getattr(self, fake.fault or "", None)
        if misbehave is not None:
            return misbehave()
        return self.reply(*fake.answer(method, self.path, body))

    def reply(self, status, told):
        body = (told if isinstance(told, str) else json.dumps(told)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def failing(self):
        self.reply(500, {"error": {"message": "EngineCore died", "code": 500}})

    def garbage(self):
        self.wfile.write(b"\x00\x01 no http \xff\n\n")
        self.close_connection = True

    def no_json(self):
        self.reply(200, "<html>a login page</html>")

    def huge(self):
        self.reply(200, "x" * HUGE)

    def redirect(self):
        self.send_response(307)
        self.send_header("Location", f"{self.server_fake.url}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def hang(self):
        self.server_fake.killed.wait(30.0)
        self.close_connection = True

    def drip(self):
        """Send a byte of the head now and then, so that no single read is late."""
        waited = threading.Event()
        with suppress(OSError):
            for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 500:
                self.connection.send(bytes([letter]), socket.MSG_NOSIGNAL)
                waited.wait(0.02)
        self.close_connection = True

    def log_message(self, *_):
        """Print nothing."""
