"""Vectors by an endpoint that speaks the OpenAI protocol: one call at a time."""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrag.connection import (
    BlockingConnection,
    CallError,
    Connection,
    StatusError,
    TimedOutError,
    TooLongError,
    UnreachableError,
    api_key,
)
from graphrag.embed.base import Vectors
from graphrag.errors import EmbeddingError
from graphrag.patience import can_be_repeated, retry_after
from graphrag.settings import EmbeddingSettings

Usable = npt.NDArray[np.bool_]
_OF_THE_TEXTS = (400, 413, 422)  # what an endpoint says of texts that it does not take
_BYTES_EACH = 1 << 18  # of one vector as JSON; 4,096 numbers take a third of it


class OpenAICompatibleEmbedder:
    """Embeds by ``/embeddings``; one :meth:`call` is one call.

    Nothing is repeated here: :func:`graphrag.embed.make_embedder` puts
    :class:`~graphrag.embed.remote.RemoteEmbedder` around it. Vectors are brought to unit length. Blank
    texts, which endpoints refuse, are sent as one full stop. Thread-safe.
    """

    def __init__(self, settings: EmbeddingSettings) -> None:
        self._settings = settings
        self._connection: BlockingConnection | None = None
        self._lock = threading.Lock()
        self._dimension: int | None = None
        self.prompt_tokens = 0  # as the endpoint counts them
        self.model_id = f"{settings.model}@{settings.base_url or 'openai'}"

    @property
    def dimension(self) -> int | None:
        """Length of a vector, None as long as it is not known."""
        return self._dimension

    def expect(self, dimension: int) -> None:
        """Refuse vectors of another length from now on."""
        self._dimension = dimension

    def call(self, texts: Sequence[str]) -> tuple[Vectors, Usable]:
        """Return one unit-length row per text, in order, and which rows are of use: zeros and NaN are not.

        Raises:
            EmbeddingError: there was no answer, or one of which nothing can be used (``answered``).
        """
        body = {
            "model": self._settings.model,
            "input": [text if text.strip() else "." for text in texts],
            "encoding_format": "base64",
        }
        try:
            answer = self._opened().post("/embeddings", body)
        except CallError as error:
            raise _explained(error, self._settings) from error
        counted = answer.get("usage") if isinstance(answer, dict) else None
        if isinstance(counted, dict) and isinstance(counted.get("prompt_tokens"), int):
            with self._lock:
                self.prompt_tokens += counted["prompt_tokens"]
        return self._checked(answer, len(texts))

    def is_gone(self) -> bool:
        """Ask once for the list of models: any reply of the server itself means that it is there."""
        return self._opened().is_gone()

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _checked(self, answer: Any, expected: int) -> tuple[Vectors, Usable]:
        try:
            items = sorted(answer["data"], key=lambda item: int(item["index"]))
            rows = np.asarray([_vector(item["embedding"]) for item in items], dtype=np.float32)
        except (TypeError, ValueError, KeyError) as error:
            raise _of_no_use(f"The endpoint's vectors cannot be read: {error}.") from error
        if rows.ndim != 2 or len(rows) != expected or not rows.shape[1]:
            raise _of_no_use(f"The endpoint answered {expected} texts with vectors of shape {rows.shape}.")
        with self._lock:
            if self._dimension is None:
                self._dimension = int(rows.shape[1])
        if rows.shape[1] != self._dimension:
            raise _of_no_use(
                f"The endpoint gave vectors of {rows.shape[1]} numbers; those before had {self._dimension}.",
                hint="Is another model served under the same name? Give it its own name in embedding.model.",
            )
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        usable: Usable = (np.isfinite(norms) & (norms > 0))[:, 0]
        unit: Vectors = (rows / np.where(usable[:, None], norms, 1.0)).astype(np.float32)
        return unit, usable

    def _opened(self) -> BlockingConnection:
        with self._lock:
            if self._connection is None:
                self._connection = BlockingConnection(_new_connection(self._settings))
            return self._connection


def _vector(encoded: str | Sequence[float]) -> npt.NDArray[np.float32] | Sequence[float]:
    """Decode one vector; servers that do not know base64 answer with numbers."""
    if isinstance(encoded, str):
        return np.frombuffer(base64.b64decode(encoded, validate=True), dtype="<f4")
    return encoded


def _new_connection(settings: EmbeddingSettings) -> Connection:
    key = api_key(settings.api_key, settings.base_url)
    if not (key or settings.base_url):
        raise EmbeddingError(
            "The OpenAI API cannot be used without a key.",
            hint="Set embedding.api_key (or GRAPHRAG_EMBEDDING__API_KEY).",
        )
    longest = _BYTES_EACH * (settings.batch_size + 1)
    return Connection(settings.base_url, key, timeout=settings.timeout, longest=longest)


def _of_no_use(message: str, *, hint: str | None = None) -> EmbeddingError:
    return EmbeddingError(message, hint=hint, retryable=True, answered=True)


def _explained(error: CallError, settings: EmbeddingSettings) -> EmbeddingError:
    where = settings.base_url or "The OpenAI API"
    if isinstance(error, TimedOutError):
        return EmbeddingError(
            f"{where} did not answer within {settings.timeout:g} seconds.",
            hint="Raise embedding.timeout, or lower embedding.concurrency or embedding.batch_size.",
            retryable=True,
        )
    if isinstance(error, UnreachableError):
        return EmbeddingError(
            f"{where} did not answer: {error}.",
            hint="Is the server running? Check embedding.base_url.",
            retryable=True,
        )
    if isinstance(error, TooLongError):
        return _of_no_use(f"{where} sent more than {error.limit:,} bytes for one batch of texts.")
    if not isinstance(error, StatusError):
        return EmbeddingError(f"{where} gave an answer that cannot be read: {error}.", retryable=True)
    status = error.status
    quota = error.code == "insufficient_quota"
    hints = {
        401: "Check embedding.api_key.",
        403: "Check embedding.api_key and what it may use.",
        404: f"Check embedding.model ({settings.model!r}) and embedding.base_url.",
        429: "The account has no quota left."
        if quota
        else "Lower embedding.concurrency, or set embedding.requests_per_minute.",
    }
    return EmbeddingError(
        f"{where} answered {status}: {str(error).rstrip('.')}.",
        hint=hints.get(status),
        retryable=can_be_repeated(status, quota=quota),
        retry_after=retry_after(error.headers),
        refused=status in _OF_THE_TEXTS,
    )
