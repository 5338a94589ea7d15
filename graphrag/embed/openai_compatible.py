"""Vectors by an endpoint that speaks the OpenAI protocol."""

from __future__ import annotations

import base64
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphrag.embed.base import Vectors
from graphrag.errors import EmbeddingError
from graphrag.settings import EmbeddingSettings

if TYPE_CHECKING:
    from openai import OpenAI

_BYTES_EACH = 1 << 18  # of one vector as JSON; 4,096 numbers take a third of it


class OpenAICompatibleEmbedder:
    """Embeds by ``/embeddings``, in batches, several in flight at once.

    Failed calls are repeated by the SDK alone (``max_retries``, Retry-After honoured). Vectors are
    brought to unit length. Blank texts, which endpoints refuse, are sent as one full stop.
    """

    def __init__(self, settings: EmbeddingSettings) -> None:
        self._settings = settings
        self._client: OpenAI | None = None
        self._lock = threading.Lock()
        self._dimension: int | None = None
        self.prompt_tokens = 0  # as the endpoint counts them
        self.model_id = f"{settings.model}@{settings.base_url or 'openai'}"

    @property
    def dimension(self) -> int:
        """Length of a vector; the first use embeds one word to learn it."""
        if self._dimension is None:
            self._embed_batch(["dimension"])
        assert self._dimension is not None
        return self._dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, in order; one call per ``batch_size`` texts."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        size = self._settings.batch_size
        batches = [list(texts[at : at + size]) for at in range(0, len(texts), size)]
        if len(batches) == 1:
            return self._embed_batch(batches[0])
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(self._settings.concurrency, len(batches))) as pool:
            futures = [pool.submit(self._embed_batch, batch) for batch in batches]
            try:
                return np.concatenate([future.result() for future in futures])
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _embed_batch(self, texts: list[str]) -> Vectors:
        import openai

        client = self._opened()
        try:
            answer: Any = client.post(
                "/embeddings",
                cast_to=object,  # plain data: the SDK's models would walk through every number
                body={
                    "model": self._settings.model,
                    "input": [text if text.strip() else "." for text in texts],
                    "encoding_format": "base64",
                },
                options={"security": {"bearer_auth": True}},
            )
        except (openai.OpenAIError, ValueError) as error:  # ValueError: a 200 whose body is not JSON
            raise _explained(error, self._settings) from error
        vectors = self._checked(answer, len(texts))
        counted = answer.get("usage")
        if isinstance(counted, dict) and isinstance(counted.get("prompt_tokens"), int):
            with self._lock:
                self.prompt_tokens += counted["prompt_tokens"]
        return vectors

    def _checked(self, answer: Any, expected: int) -> Vectors:
        try:
            items = sorted(answer["data"], key=lambda item: int(item["index"]))
            rows = np.asarray([_vector(item["embedding"]) for item in items], dtype=np.float32)
        except (TypeError, ValueError, KeyError) as error:
            raise EmbeddingError(f"The endpoint's vectors cannot be read: {error}.") from error
        if rows.ndim != 2 or len(rows) != expected or not rows.shape[1] or not np.isfinite(rows).all():
            raise EmbeddingError(
                f"The endpoint answered {expected} texts with vectors of shape {rows.shape}."
            )
        with self._lock:
            if self._dimension is None:
                self._dimension = int(rows.shape[1])
        if rows.shape[1] != self._dimension:
            raise EmbeddingError(
                f"The endpoint's vectors changed size from {self._dimension} to {rows.shape[1]}.",
                hint="Is another model served under the same name?",
            )
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not norms.all():
            raise EmbeddingError("The endpoint answered with a vector of length zero.")
        unit: Vectors = (rows / norms).astype(np.float32)
        return unit

    def _opened(self) -> OpenAI:
        with self._lock:
            if self._client is None:
                self._client = _new_client(self._settings)
                weakref.finalize(self, self._client.close)
            return self._client


def _vector(encoded: str | Sequence[float]) -> npt.NDArray[np.float32] | Sequence[float]:
    """Decode one vector; servers that do not know base64 answer with numbers."""
    if isinstance(encoded, str):
        return np.frombuffer(base64.b64decode(encoded, validate=True), dtype="<f4")
    return encoded


def _new_client(settings: EmbeddingSettings) -> OpenAI:
    import openai

    from graphrag.endpoint import bounds

    # Servers without keys ignore it, but the SDK refuses to start without one.
    key = settings.api_key or ("unused" if settings.base_url else None)
    check = bounds(_BYTES_EACH * (settings.batch_size + 1), settings.timeout, _too_long)
    try:
        return openai.OpenAI(
            api_key=key,
            base_url=settings.base_url,
            max_retries=settings.max_retries,
            timeout=settings.timeout,
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [check]}),
        )
    except openai.OpenAIError as error:
        raise _explained(error, settings) from error


def _too_long(limit: int) -> EmbeddingError:
    return EmbeddingError(f"The endpoint sent more than {limit:,} bytes for one batch of texts.")


def _explained(error: Exception, settings: EmbeddingSettings) -> EmbeddingError:
    import httpx2
    import openai

    where = settings.base_url or "the OpenAI API"
    if isinstance(error.__cause__, httpx2.DecodingError):
        return EmbeddingError(f"{where} gave an answer that cannot be read: {error.__cause__}.")
    if isinstance(error, openai.APITimeoutError):
        return EmbeddingError(
            f"{where} did not answer within {settings.timeout:g} seconds.",
            hint="Raise embedding.timeout, or lower embedding.concurrency or embedding.batch_size.",
        )
    if isinstance(error, openai.APIConnectionError):
        return EmbeddingError(
            f"{where} did not answer: {error.__cause__ or error}.",
            hint="Is the server running? Check embedding.base_url.",
        )
    if isinstance(error, openai.APIStatusError):
        hint = {
            401: "Check embedding.api_key.",
            403: "Check embedding.api_key and what it may use.",
            404: f"Check embedding.model ({settings.model!r}) and embedding.base_url.",
        }.get(error.status_code)
        return EmbeddingError(f"{where} answered {error.status_code}: {error.message}.", hint=hint)
    return EmbeddingError(
        f"{where}: {error}.", hint="Set embedding.api_key (or GRAPHRAG_EMBEDDING__API_KEY)."
    )
