"""Keep within an endpoint's limits: calls in flight, requests and tokens per minute."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from graphrag.errors import LLMError
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, aclose, is_gone
from graphrag.llm.usage import prompt_tokens
from graphrag.tokens import approximate_tokens

_BURST_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 600.0


class Rate:
    """A limit per minute, kept by giving every request the time at which it may start.

    The generic cell rate algorithm (ITU-T I.371): after a pause at most one second's worth may go at once, so
    no minute holds much more than the limit. Belongs to one event loop.
    """

    def __init__(self, per_minute: int) -> None:
        self._seconds_each = 60.0 / per_minute
        self._due = 0.0

    async def take(self, amount: float = 1.0) -> None:
        """Wait until ``amount`` may be spent, and spend it; waiters go in the order they came."""
        now = asyncio.get_running_loop().time()
        start = max(self._due, now - _BURST_SECONDS)
        self.charge(amount)
        if start > now:
            await asyncio.sleep(start - now)

    def charge(self, amount: float) -> None:
        """Spend without waiting: what a call turned out to cost beyond what it had taken."""
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now - _BURST_SECONDS) + amount * self._seconds_each


class _Gates:
    """Semaphore and rates of one event loop."""

    def __init__(self, concurrency: int, rpm: int | None, tpm: int | None) -> None:
        self.slots = asyncio.Semaphore(concurrency)
        self.requests = Rate(rpm) if rpm else None
        self.tokens = Rate(tpm) if tpm else None
        self.closed_until = 0.0  # the endpoint asked everybody to wait


class LimitedModel:
    """Lets ``concurrency`` calls run at once, ``rpm`` requests and ``tpm`` tokens start per minute.

    Waiting never blocks the event loop. Prompt tokens are estimated before the call; those of the answer
    are charged after it, and slow down the calls that follow. When the endpoint asks one call to wait
    (``Retry-After``), no other begins until then. Each event loop has its own counters.
    """

    def __init__(
        self, model: ChatModel, concurrency: int, rpm: int | None = None, tpm: int | None = None
    ) -> None:
        self._model = model
        self._limits = (concurrency, rpm, tpm)
        self._gates: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Gates] = (
            weakref.WeakKeyDictionary()
        )

    @property
    def model_id(self) -> str:
        """Name of model and weights."""
        return self._model.model_id

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request when its turn has come."""
        async with self._turn(request) as gates:
            response = await self._model.complete(request)
            if gates.tokens:
                gates.tokens.charge(response.usage.completion_tokens)
            return response

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer's pieces when its turn has come."""
        async with self._turn(request) as gates:
            async for piece in self._model.stream(request):
                if gates.tokens:
                    gates.tokens.charge(approximate_tokens(piece))
                yield piece

    async def is_gone(self) -> bool:
        """Tell whether nothing answers any more where the model behind is."""
        return await is_gone(self._model)

    async def aclose(self) -> None:
        """Close the model behind."""
        await aclose(self._model)

    @asynccontextmanager
    async def _turn(self, request: ChatRequest) -> AsyncIterator[_Gates]:
        loop = asyncio.get_running_loop()
        gates = self._gates.setdefault(loop, _Gates(*self._limits))
        async with gates.slots:
            if gates.requests:
                await gates.requests.take()
            if gates.tokens:
                await gates.tokens.take(prompt_tokens(request))
            while (left := gates.closed_until - loop.time()) > 0:
                await asyncio.sleep(left)
            try:
                yield gates
            except LLMError as error:
                if error.retry_after and error.retry_after <= _LONGEST_PAUSE_SECONDS:
                    gates.closed_until = max(gates.closed_until, loop.time() + error.retry_after)
                raise
