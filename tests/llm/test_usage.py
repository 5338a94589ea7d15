from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel

from graphrag.errors import StructuredOutputError
from graphrag.llm import ChatRequest, FakeChatModel, Usage, UsageLog
from graphrag.llm.usage import MeteredModel


class Note(BaseModel):
    text: str


def test_counts_by_task_and_model_from_many_threads() -> None:
    log = UsageLog()
    with ThreadPoolExecutor(8) as pool:
        for number in range(800):
            pool.submit(log.add, f"task{number % 2}", "m", Usage(1, 0, 2, 3))
    assert log.by_task() == {
        ("task0", "m"): Usage(400, 0, 800, 1200),
        ("task1", "m"): Usage(400, 0, 800, 1200),
    }
    assert log.total() == Usage(800, 0, 1600, 2400)


def test_answers_failures_and_streams_are_counted() -> None:
    log = UsageLog()
    model = MeteredModel(FakeChatModel(["fine", "not json", "a b c d", "a b c d"]), log)

    async def run() -> None:
        await model.complete(ChatRequest.of(None, "q", task="answer"))
        with pytest.raises(StructuredOutputError):
            await model.complete(ChatRequest.of(None, "q", task="json", output=Note))
        assert [piece async for piece in model.stream(ChatRequest.of(None, "q", task="stream"))]
        abandoned = model.stream(ChatRequest.of(None, "q", task="half"))
        await anext(abandoned)
        await abandoned.aclose()

    asyncio.run(run())
    counted = {task: usage for (task, _), usage in log.by_task().items()}
    assert set(counted) == {"answer", "json", "stream", "half"}
    assert all(usage.calls == 1 and usage.completion_tokens > 0 for usage in counted.values())
    assert counted["half"].completion_tokens < counted["stream"].completion_tokens
