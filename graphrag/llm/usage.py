"""What was asked and what it cost: tokens per task and model."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator

from graphrag.errors import LLMError, StructuredOutputError
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, Usage, aclose, forget
from graphrag.tokens import approximate_tokens


def prompt_tokens(request: ChatRequest) -> int:
    """Estimate the tokens that a request has the model read, four more per message for the turn's marks."""
    conversations = [reading.messages for reading in request.readings] or [request.messages]
    return sum(approximate_tokens(message.content) + 4 for one in conversations for message in one)


class UsageLog:
    """Adds up usage by task and model; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str], Usage] = {}

    def add(self, task: str, model_id: str, usage: Usage) -> None:
        """Count ``usage`` for ``task`` and the model."""
        with self._lock:
            key = (task, model_id)
            self._rows[key] = self._rows.get(key, Usage()) + usage

    def by_task(self) -> dict[tuple[str, str], Usage]:
        """Return usage by (task, model id), sorted by both."""
        with self._lock:
            return dict(sorted(self._rows.items()))

    def total(self) -> Usage:
        """Return the usage of everything."""
        total = Usage()
        for usage in self.by_task().values():
            total += usage
        return total


class MeteredModel:
    """Writes the usage of every call into a :class:`UsageLog`.

    A stream is counted by estimate, and so is an answer of no use where its count was lost.
    """

    def __init__(self, model: ChatModel, log: UsageLog) -> None:
        self._model = model
        self._log = log

    @property
    def model_id(self) -> str:
        """Name of model and weights."""
        return self._model.model_id

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request and count it."""
        try:
            response = await self._model.complete(request)
        except StructuredOutputError as error:
            if isinstance(error.usage, Usage):
                self._log.add(request.task, self.model_id, error.usage)
            else:
                self._estimate(request, error.text)
            raise
        except LLMError as error:
            if error.answered:
                self._estimate(request, "")
            raise
        self._log.add(request.task, self.model_id, response.usage)
        return response

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer's pieces; it is counted when it ends or is abandoned."""
        pieces: list[str] = []
        try:
            async for piece in self._model.stream(request):
                pieces.append(piece)
                yield piece
        finally:
            if pieces:
                self._estimate(request, "".join(pieces))

    async def forget(self, request: ChatRequest) -> None:
        """Drop the answer that the model behind has stored."""
        await forget(self._model, request)

    async def aclose(self) -> None:
        """Close the model behind."""
        await aclose(self._model)

    def _estimate(self, request: ChatRequest, text: str) -> None:
        usage = Usage(
            calls=1, prompt_tokens=prompt_tokens(request), completion_tokens=approximate_tokens(text)
        )
        self._log.add(request.task, self.model_id, usage)
