"""Ask again when an endpoint did not answer: the only place where calls are repeated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from graphrag.errors import LLMError, RetriesExhaustedError, StructuredOutputError
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, aclose, is_gone
from graphrag.patience import Patience


class RetryingModel:
    """Repeats calls of ``model`` that failed in a way that may pass.

    How often and after what time says :class:`~graphrag.patience.Patience`. A stream is repeated
    until its first piece came.
    """

    def __init__(self, model: ChatModel, max_retries: int) -> None:
        self._model = model
        self._patience = Patience(max_retries)

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
        seconds = (
            None if isinstance(error, StructuredOutputError) else self._patience.seconds(error, attempts)
        )
        if seconds is not None:
            return seconds
        if not error.retryable or isinstance(error, StructuredOutputError):
            raise error
        if not error.answered and await is_gone(self._model):
            error.retryable = False
        if attempts == 1:
            raise error
        raise RetriesExhaustedError(error, attempts, time.monotonic() - begun) from error
