"""What an endpoint can do wrong, drawn for each attempt at each prompt, whatever the order they come in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from graphrag.embed import FakeEmbedder
from tests.openai_server import Fault
from tests.reliability.corpus import answer

HUGE = 10 * 2**20


def _said(text: str, **kwargs: Any) -> Fault:
    return Fault(finish_reason="stop", body=text, **kwargs)


def _cut_text(body: dict[str, Any]) -> Fault:
    said = answer(body)
    text = said if isinstance(said, str) else json.dumps(said)
    return _said(text[: len(text) * 6 // 10] + "\n[[[")


def _with_controls(body: dict[str, Any]) -> Fault:
    """Answer with a NUL, an escape sequence and half a surrogate pair in every text."""
    said = answer(body)
    if isinstance(said, str):
        return _said(f"\x1b[2J\x00{said}\ud800")
    return _said(json.dumps(_spoilt(said)))


def _spoilt(value: Any) -> Any:
    if isinstance(value, dict):
        # the status of a claim is one of three words, and that is not what is tested here
        return {key: item if key == "status" else _spoilt(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_spoilt(item) for item in value]
    return f"\x00{value}\x1b[31m\ud800\x07" if isinstance(value, str) else value


CHAT: dict[str, Callable[[dict[str, Any]], Fault]] = {
    "500": lambda body: Fault(500),
    "429": lambda body: Fault(429, headers={"retry-after-ms": "50"}),
    "hang": lambda body: Fault(200, body="{}", delay=3.0),
    "connection cut": lambda body: Fault(
        200, body=json.dumps({"choices": [], "padding": "x" * 2000}), cut=True
    ),
    "body is not JSON": lambda body: Fault(200, body='{"id": "chatcmpl-1", "choices": [{"mess'),
    "no choices": lambda body: Fault(200, body='{"id": "1", "object": "chat.completion", "choices": []}'),
    "cut answer": _cut_text,
    "malformed answer": lambda body: _said('Sure! Here it is: {"entities": [{"name": "A" "type": }], }'),
    "wrong schema": lambda body: _said('{"entities": "many", "points": {"a": [1, null]}, "same": "none"}'),
    "empty answer": lambda body: _said(""),
    "10 MB answer": lambda body: _said(
        '{"entities": [' + '{"name": "A", "type": "b"},' * (HUGE // 27) + "]}"
    ),
    "10 MB of text": lambda body: _said("x" * HUGE),
    "control characters": _with_controls,
}
EMBEDDING: dict[str, Callable[[dict[str, Any]], Fault]] = {
    "500": lambda body: Fault(500),
    "429": lambda body: Fault(429, headers={"retry-after-ms": "50"}),
    "hang": lambda body: Fault(200, body="{}", delay=3.0),
    "connection cut": lambda body: Fault(200, body='{"data": [' + "1," * 2000 + "]}", cut=True),
    "body is not JSON": lambda body: Fault(200, body='{"object": "list", "data": [{"embedd'),
    "no vectors": lambda body: _vectors([]),
    "empty vectors": lambda body: _vectors([[] for _ in body["input"]]),
    "zeros for the first": lambda body: _but_the_first(body["input"], 0.0),
    "no number for the first": lambda body: _but_the_first(body["input"], float("nan")),
    "another size": lambda body: _vectors([[1.0] * 7 for _ in body["input"]]),
}


def _vectors(rows: list[list[float]]) -> Fault:
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    return Fault(200, body=json.dumps({"object": "list", "data": data, "usage": {"prompt_tokens": 1}}))


def _but_the_first(texts: list[str], number: float) -> Fault:
    rows = FakeEmbedder(32).embed(texts).tolist()
    return _vectors([[number] * 32, *rows[1:]])


class Draws:
    """Gives the fault of a request by its path and body: each name in ``rates`` that often.

    Equal prompts meet the same faults in the same order in every run. ``served`` counts them.
    """

    def __init__(
        self, chat: Mapping[str, float], embedding: Mapping[str, float] | None = None, *, seed: int = 0
    ) -> None:
        self.rates = {"chat": dict(chat), "embedding": dict(embedding or {})}
        self.seed = seed
        self.attempts: Counter[str] = Counter()
        self.served: Counter[str] = Counter()

    def __call__(self, path: str, body: dict[str, Any]) -> Fault | None:
        """Draw the fault of one request; None for an answer as it should be."""
        kind = "embedding" if path.endswith("/embeddings") else "chat"
        key = blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=8).hexdigest()
        self.attempts[key] += 1
        drawn = blake2b(f"{self.seed}/{key}/{self.attempts[key]}".encode(), digest_size=4).digest()
        at = int.from_bytes(drawn, "big") / 2**32
        for name, rate in self.rates[kind].items():
            if at < rate:
                self.served[f"{kind}: {name}"] += 1
                return (CHAT if kind == "chat" else EMBEDDING)[name](body)
            at -= rate
        return None
