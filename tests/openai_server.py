"""A real HTTP server that speaks the OpenAI protocol, for tests: chat, json_schema, streaming, embeddings.

    with OpenAIServer(answer=lambda body: "yes") as server:
        settings = LLMSettings(provider="openai", base_url=server.base_url, model="m")

``answer`` gets the body of a chat request and returns the text, a dict (sent as JSON text) or a
:class:`Fault`. ``faults`` are served first, one per request; ``fault_of`` may give one for any request
after them. ``requests`` logs what came in.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from graphrag.embed.fake import FakeEmbedder

Answer = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Fault:
    """An answer that is not the one hoped for; ``finish_reason`` makes it a chat answer that says ``body``.

    ``delay`` seconds pass before anything is sent; ``cut`` closes the connection halfway through.
    """

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"error": {"message": "broken", "type": "server_error", "param": null, "code": null}}'
    finish_reason: str | None = None
    delay: float = 0.0
    cut: bool = False


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class OpenAIServer:
    def __init__(
        self, answer: Answer | None = None, *, dimension: int = 16, api_key: str | None = None
    ) -> None:
        self.answer: Answer = answer or (lambda body: "An answer.")
        self.embedder = FakeEmbedder(dimension)
        self.embed_answer: Callable[[list[str]], list[list[float]]] = lambda texts: [
            [float(x) for x in row] for row in self.embedder.embed(texts)
        ]
        self.api_key = api_key
        self.faults: list[Fault] = []
        self.models: Fault | None = None  # what the list of models is answered with
        self.fault_of: Callable[[str, dict[str, Any]], Fault | None] = lambda path, body: None
        self.requests: list[Received] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answered(self, body: dict[str, Any]) -> None:
        """Called when the whole answer to a chat request has been written to the client."""

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hung up


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: OpenAIServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        fault = self.owner.models
        self._send(fault.status if fault else 200, fault.body if fault else '{"object": "list", "data": []}')

    def do_POST(self) -> None:
        owner = self.owner
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        with owner.lock:
            owner.requests.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            owner.in_flight += 1
            owner.most_in_flight = max(owner.most_in_flight, owner.in_flight)
            fault = owner.faults.pop(0) if owner.faults else owner.fault_of(self.path, body)
        try:
            if fault is not None and fault.delay:
                time.sleep(fault.delay)
            if owner.api_key and self.headers.get("authorization") != f"Bearer {owner.api_key}":
                fault = Fault(401, body='{"error": {"message": "Incorrect API key provided"}}')
            if fault is not None and fault.finish_reason is None:
                self._send(fault.status, fault.body, fault.headers, cut=fault.cut)
            elif self.path.endswith("/chat/completions"):
                self._chat(body, fault)
                owner.answered(body)
            elif self.path.endswith("/embeddings"):
                self._embeddings(body)
            else:
                self._send(404, '{"error": {"message": "no such path"}}')
        finally:
            with owner.lock:
                owner.in_flight -= 1

    def _chat(self, body: dict[str, Any], fault: Fault | None) -> None:
        answer = fault.body if fault else self.owner.answer(body)
        finish = (fault.finish_reason if fault else None) or "stop"
        if isinstance(answer, Fault):
            if answer.finish_reason is None:
                self._send(answer.status, answer.body, answer.headers)
                return
            answer, finish = answer.body, answer.finish_reason
        text = answer if isinstance(answer, str) else json.dumps(answer)
        prompt = sum(len(message["content"].split()) for message in body["messages"])
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": len(text.split()),
            "total_tokens": prompt + len(text.split()),
        }
        head = {"id": "chatcmpl-1", "created": 0, "model": body["model"]}
        if not body.get("stream"):
            choice = {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, "refusal": None},
            }
            self._send(
                200, json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
            )
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in [text[at : at + 4] for at in range(0, len(text), 4)]:
            self._event(head, {"index": 0, "delta": {"content": piece}, "finish_reason": None})
        self._event(head, {"index": 0, "delta": {}, "finish_reason": finish})
        self._chunk("data: [DONE]\n\n")
        self._chunk("")

    def _event(self, head: dict[str, Any], choice: dict[str, Any]) -> None:
        event = {**head, "object": "chat.completion.chunk", "choices": [choice]}
        self._chunk(f"data: {json.dumps(event)}\n\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _embeddings(self, body: dict[str, Any]) -> None:
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        if any(not text for text in texts):
            self._send(400, '{"error": {"message": "input cannot be an empty string"}}')
            return
        rows = self.owner.embed_answer(texts)
        data = [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        # Some gateways answer out of order: the index is what counts.
        self._send(
            200,
            json.dumps({"object": "list", "data": data[::-1], "model": body["model"], "usage": usage}),
        )

    def _send(
        self, status: int, body: str, headers: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut
