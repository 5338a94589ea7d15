"""Vectors by an endpoint that speaks the OpenAI protocol: one call at a time."""

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
from graphrag.patience import GATEWAY, can_be_repeated, retry_after
from graphrag.settings import EmbeddingSettings

if TYPE_CHECKING:
    from openai import OpenAI

Usable = npt.NDArray[np.bool_]
_PROBE_SECONDS = 10.0
_OF_THE_TEXTS = (400, 413, 422)  # what an endpoint says of texts that it does not take
_BYTES_EACH = 1 << 18  # of one vector as JSON; 4,096 numbers take a third of it


class OpenAICompatibleEmbedder:
    """Embeds by ``/embeddings``; one :meth:`call` is one call.

    Nothing is repeated here, not by the SDK either: :func:`graphrag.embed.make_embedder` puts
    :class:`~graphrag.embed.remote.RemoteEmbedder` around it. Vectors are brought to unit length. Blank
    texts, which endpoints refuse, are sent as one full stop. Thread-safe.
    """

    def __init__(self, settings: EmbeddingSettings) -> None:
        self._settings = settings
        self._client: OpenAI | None = None
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
        except (openai.OpenAIError, ValueError, RecursionError) as error:  # a 200 whose body is not JSON
            raise _explained(error, self._settings) from error
        counted = answer.get("usage") if isinstance(answer, dict) else None
        if isinstance(counted, dict) and isinstance(counted.get("prompt_tokens"), int):
            with self._lock:
                self.prompt_tokens += counted["prompt_tokens"]
        return self._checked(answer, len(texts))

    def is_gone(self) -> bool:
        """Ask once for the list of models: any reply of the server itself means that it is there."""
        import openai

        seconds = min(_PROBE_SECONDS, self._settings.timeout)
        try:
            self._opened().with_options(timeout=seconds).models.list()
        except openai.APIStatusError as error:
            return error.status_code in GATEWAY
        except openai.APIConnectionError:
            return True
        except (openai.OpenAIError, EmbeddingError, ValueError):
            return False
        return False

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

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
            max_retries=0,  # RemoteEmbedder repeats: two layers would multiply
            timeout=settings.timeout,
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [check]}),
        )
    except openai.OpenAIError as error:
        raise EmbeddingError(
            f"The endpoint cannot be used: {error}.",
            hint="Set embedding.api_key (or GRAPHRAG_EMBEDDING__API_KEY).",
        ) from error


def _of_no_use(message: str, *, hint: str | None = None) -> EmbeddingError:
    return EmbeddingError(message, hint=hint, retryable=True, answered=True)


def _too_long(limit: int) -> EmbeddingError:
    return _of_no_use(f"The endpoint sent more than {limit:,} bytes for one batch of texts.")


def _explained(error: Exception, settings: EmbeddingSettings) -> EmbeddingError:
    import openai

    where = settings.base_url or "the OpenAI API"
    if isinstance(error.__cause__, EmbeddingError):
        return error.__cause__
    if isinstance(error, openai.APITimeoutError):
        return EmbeddingError(
            f"{where} did not answer within {settings.timeout:g} seconds.",
            hint="Raise embedding.timeout, or lower embedding.concurrency or embedding.batch_size.",
            retryable=True,
        )
    if isinstance(error, openai.APIConnectionError):
        return EmbeddingError(
            f"{where} did not answer: {error.__cause__ or error}.",
            hint="Is the server running? Check embedding.base_url.",
            retryable=True,
        )
    if not isinstance(error, openai.APIStatusError):
        return EmbeddingError(f"{where} gave an answer that cannot be read: {error}.", retryable=True)
    status = error.status_code
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
        f"{where} answered {status}: {str(error.message).rstrip('.')}.",
        hint=hints.get(status),
        retryable=can_be_repeated(status, quota=quota),
        retry_after=retry_after(error.response.headers),
        refused=status in _OF_THE_TEXTS,
    )
