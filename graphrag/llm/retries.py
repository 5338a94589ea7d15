"""Ask again when an endpoint did not answer: the only place where calls are repeated."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

from graphrag.errors import LLMError, RetriesExhaustedError, StructuredOutputError
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, aclose, is_gone

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 60.0
_PATIENCE_SECONDS = 600.0  # an endpoint that asks to wait longer is not waited for
_REPEATS_OF_ANSWERED = 1  # what was answered was paid for


class RetryingModel:
    """Repeats calls of ``model`` that failed in a way that may pass, up to ``max_retries`` times.

    Waits as long as the endpoint asks (``Retry-After``), otherwise half a second, doubled each time up
    to a minute, of which a random half is waited or not, so that calls that failed together do not come
    back together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015, "equal jitter").
    An answer of no use is asked for once more only. A stream is repeated until its first piece came.
    """

    def __init__(self, model: ChatModel, max_retries: int) -> None:
        self._model = model
        self._max_retries = max_retries
        self._random = random.Random()  # noqa: S311 - it spreads calls, it hides nothing

    @property
    def model_id(self) -> str:
        """Name of model and weights."""
        return self._model.model_id

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request; at most 1 + ``max_retries`` calls.

        Raises:
            RetriesExhaustedError: every attempt failed; the reason is that of the last. It is not
            ``retryable`` when nothing answers there any more: every other call would fail alike.
            LLMError: it failed in a way that asking again cannot help.
        """
        begun = time.monotonic()
        attempts = 0
        while True:
            attempts += 1
            try:
                return await self._model.complete(request)
            except LLMError as error:
                await asyncio.sleep(await self._wait(error, attempts, begun))

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer's pieces; what broke off after its first piece is not repeated."""
        begun = time.monotonic()
        attempts = 0
        started = False
        while True:
            attempts += 1
            try:
                async for piece in self._model.stream(request):
                    started = True
                    yield piece
                return
            except LLMError as error:
                if started:
                    raise
                await asyncio.sleep(await self._wait(error, attempts, begun))

    async def aclose(self) -> None:
        """Close the model behind."""
        await aclose(self._model)

    async def _wait(self, error: LLMError, attempts: int, begun: float) -> float:
        """Return the seconds to wait before the next attempt; raise when there is to be none."""
        if not error.retryable or isinstance(error, StructuredOutputError):
            raise error
        most = min(self._max_retries, _REPEATS_OF_ANSWERED) if error.answered else self._max_retries
        asked = error.retry_after or 0.0
        if attempts > most or asked > _PATIENCE_SECONDS:
            if not error.answered and await is_gone(self._model):
                error.retryable = False
            if attempts == 1:
                raise error
            raise RetriesExhaustedError(error, attempts, time.monotonic() - begun) from error
        backoff = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** (attempts - 1))
        if asked:
            return asked + self._random.uniform(0, min(1.0, asked / 10))
        return backoff / 2 + self._random.uniform(0, backoff / 2)
