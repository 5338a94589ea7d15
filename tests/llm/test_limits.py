from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from graphrag.llm import ChatRequest, ChatResponse, Usage
from graphrag.llm.limits import LimitedModel


class SlowModel:
    model_id = "slow"

    def __init__(self, completion_tokens: int = 0) -> None:
        self.running = 0
        self.most = 0
        self.starts: list[float] = []
        self.completion_tokens = completion_tokens

    async def complete(self, request: ChatRequest) -> ChatResponse:
        self.running += 1
        self.most = max(self.most, self.running)
        self.starts.append(time.monotonic())
        await asyncio.sleep(0.01)
        self.running -= 1
        return ChatResponse("x", usage=Usage(1, 0, 1, self.completion_tokens))

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        response = await self.complete(request)
        yield response.text


async def ask_many(model: LimitedModel, count: int, text: str = "q") -> None:
    await asyncio.gather(*[model.complete(ChatRequest.of(None, text, task="t")) for _ in range(count)])


def test_no_more_than_so_many_at_once_in_every_event_loop() -> None:
    backend = SlowModel()
    model = LimitedModel(backend, 3)
    asyncio.run(ask_many(model, 12))
    asyncio.run(ask_many(model, 12))
    assert backend.most == 3
    assert len(backend.starts) == 24


def test_requests_per_minute_spread_the_starts() -> None:
    backend = SlowModel()
    asyncio.run(ask_many(LimitedModel(backend, 100, rpm=1200), 30))  # 20 a second, the first 20 at once
    assert 0.4 <= backend.starts[-1] - backend.starts[0] <= 1.5


def test_tokens_of_prompt_and_answer_count() -> None:
    backend = SlowModel(completion_tokens=100)
    model = LimitedModel(backend, 1, tpm=12_000)  # 200 a second

    async def run() -> float:
        started = time.monotonic()
        await ask_many(model, 4)  # 4 x (100 + 5): 200 at once, then half a second each
        return time.monotonic() - started

    assert 0.4 <= asyncio.run(run()) <= 2.5


def test_waiting_does_not_block_the_loop() -> None:
    """While calls wait for seconds, other work in the loop is never late by more than a fraction of it."""

    async def run() -> tuple[float, list[float]]:
        model = LimitedModel(SlowModel(completion_tokens=50), 4, rpm=600, tpm=6000)
        started = time.monotonic()
        waiting = asyncio.create_task(ask_many(model, 6))
        lags = []
        while not waiting.done():
            before = time.monotonic()
            await asyncio.sleep(0.005)
            lags.append(time.monotonic() - before - 0.005)
        return time.monotonic() - started, lags

    waited, lags = asyncio.run(run())
    assert waited > 1.0
    assert max(lags) < waited / 4
    assert sorted(lags)[len(lags) * 95 // 100] < 0.1


def test_a_stream_holds_its_place_until_it_is_closed() -> None:
    async def run() -> bool:
        model = LimitedModel(SlowModel(), 1)
        stream = model.stream(ChatRequest.of(None, "q", task="t"))
        await anext(stream)
        second = asyncio.create_task(ask_many(model, 1))
        await asyncio.sleep(0.05)
        blocked = not second.done()
        await stream.aclose()
        await second
        return blocked

    assert asyncio.run(run())
