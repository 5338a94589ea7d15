from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from graphrag.embed import make_embedder
from graphrag.embed.remote import RemoteEmbedder
from graphrag.errors import EmbeddingError
from graphrag.settings import EmbeddingSettings
from tests.openai_server import Fault, OpenAIServer


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def embedder(server: OpenAIServer) -> Iterator[RemoteEmbedder]:
    made = made_of(settings(server.base_url))
    yield made
    made.close()


def settings(base_url: str, **values: Any) -> EmbeddingSettings:
    given: dict[str, Any] = {"provider": "openai", "model": "e", "base_url": base_url, "batch_size": 4}
    return EmbeddingSettings(**{**given, "max_retries": 0, **values})


def made_of(given: EmbeddingSettings) -> RemoteEmbedder:
    made = make_embedder(given)
    assert isinstance(made, RemoteEmbedder)
    return made


def test_batches_keep_their_order(server: OpenAIServer, embedder: RemoteEmbedder) -> None:
    texts = [f"text number {n}" for n in range(11)]
    assert np.allclose(embedder.embed(texts), server.embedder.embed(texts), atol=1e-6)
    assert sorted(len(request.body["input"]) for request in server.requests) == [3, 4, 4]
    assert {request.body["model"] for request in server.requests} == {"e"}


def test_vectors_are_brought_to_unit_length(server: OpenAIServer, embedder: RemoteEmbedder) -> None:
    server.embed_answer = lambda texts: [[3.0, 4.0] for _ in texts]
    assert np.allclose(embedder.embed(["x"]), [[0.6, 0.8]])
    assert embedder.dimension == 2


def test_a_change_of_size_is_refused(server: OpenAIServer, embedder: RemoteEmbedder) -> None:
    embedder.embed(["x"])
    server.embed_answer = lambda texts: [[1.0, 0.0] for _ in texts]
    with pytest.raises(EmbeddingError, match="vectors of 2 numbers; those before had 16"):
        embedder.embed(["x"])


@pytest.mark.parametrize(
    "rows", [[[1.0]], [[1.0], [1.0, 2.0]], [[], []], [[0.0], [1.0]], [[float("nan")], [1.0]]]
)
def test_unusable_vectors_are_refused(
    server: OpenAIServer, embedder: RemoteEmbedder, rows: list[list[float]]
) -> None:
    server.embed_answer = lambda texts: rows
    with pytest.raises(EmbeddingError):
        embedder.embed(["a", "b"])


def test_failed_batches_are_repeated(server: OpenAIServer) -> None:
    server.faults = [Fault(503, {"retry-after-ms": "10"}), Fault(429, {"retry-after-ms": "10"})]
    made = made_of(settings(server.base_url, max_retries=2))
    assert made.embed(["x"]).shape == (1, 16)
    made.close()
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "words"), [(401, "embedding.api_key"), (404, "embedding.model"), (500, "500")]
)
def test_errors_say_what_to_do(
    server: OpenAIServer, embedder: RemoteEmbedder, status: int, words: str
) -> None:
    server.faults = [Fault(status, body='{"error": {"message": "no"}}')]
    with pytest.raises(EmbeddingError) as caught:
        embedder.embed(["x"])
    assert words in str(caught.value)


def test_no_server_is_said_plainly() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = made_of(settings(f"http://127.0.0.1:{port}/v1"))
    with pytest.raises(EmbeddingError, match="Is the server running"):
        made.embed(["x"])
    made.close()
