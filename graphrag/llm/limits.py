"""Keep within an endpoint's limits: calls in flight, requests and tokens per minute."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

from graphrag.errors import LLMError, RunStoppedError
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, aclose, is_gone
from graphrag.llm.usage import prompt_tokens
from graphrag.patience import Rate, pause_for_all
from graphrag.tokens import approximate_tokens


class Ahead:
    """A piece of work made ready before there is a place for its calls; set :data:`AHEAD` in its task.

    Its first call begins only if ``may_begin`` still says so when its turn has come. What has begun goes on.
    """

    __slots__ = ("_begun", "_may_begin")

    def __init__(self, may_begin: Callable[[], bool]) -> None:
        self._may_begin = may_begin
        self._begun = False

    def begin(self) -> None:
        """Note that a call begins.

        Raises:
            NotBegunError: none had begun, and none is to begin any more.
        """
        if not self._begun and not self._may_begin():
            raise NotBegunError("The run was asked to stop before this call began.")
        self._begun = True


class NotBegunError(RunStoppedError):
    """A call's turn came after the run was asked to stop; it was not made."""


AHEAD: ContextVar[Ahead | None] = ContextVar("AHEAD", default=None)


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
                gates.tokens.charge(_now(), response.usage.completion_tokens)
            return response

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer's pieces when its turn has come."""
        async with self._turn(request) as gates:
            async for piece in self._model.stream(request):
                if gates.tokens:
                    gates.tokens.charge(_now(), approximate_tokens(piece))
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
                await _take(gates.requests)
            if gates.tokens:
                await _take(gates.tokens, prompt_tokens(request))
            while (left := gates.closed_until - loop.time()) > 0:
                await asyncio.sleep(left)
            if (work := AHEAD.get()) is not None:
                work.begin()
            try:
                yield gates
            except LLMError as error:
                if pause := pause_for_all(error):
                    gates.closed_until = max(gates.closed_until, loop.time() + pause)
                raise


async def _take(rate: Rate, amount: float = 1.0) -> None:
    """Wait until ``amount`` may be spent, and spend it; waiters go in the order they came."""
    now = _now()
    start = rate.start(now, amount)
    if start > now:
        await asyncio.sleep(start - now)


def _now() -> float:
    return asyncio.get_running_loop().time()
