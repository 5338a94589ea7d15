"""Rows beside calls: made ready ahead, never more calls than places, none begun after a stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from graphrag.errors import LLMError
from graphrag.indexing.progress import NoProgress
from graphrag.indexing.rows import RowOutcome, work
from graphrag.indexing.stage import StageContext
from graphrag.llm.base import ChatRequest, ChatResponse, Usage
from graphrag.llm.limits import LimitedModel

PLACES = 3
REQUEST = ChatRequest.of(None, "x", task="test")


class Slow:
    """Answers after a moment, and notes what was going on."""

    model_id = "slow"

    def __init__(self, fails_at: int | None = None) -> None:
        self.running = self.most = self.begun = 0
        self._fails_at = fails_at

    async def complete(self, request: ChatRequest) -> ChatResponse:
        self.begun += 1
        number = self.begun
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.02)
        self.running -= 1
        if number == self._fails_at:
            raise LLMError("no key")
        return ChatResponse(text="x", usage=Usage())

    def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        raise NotImplementedError


class Context:
    """As much of a stage's context as rows need."""

    def __init__(self) -> None:
        self.progress = NoProgress()
        self.stopping = asyncio.Event()
        self.stop_reason: str | None = None

    def stop(self, reason: str) -> None:
        self.stop_reason = reason
        self.stopping.set()


async def outcomes(model: Slow, context: Context, rows: int, *, stop_after: int | None = None) -> list[str]:
    limited = LimitedModel(model, PLACES)

    async def do(row: dict[str, Any]) -> RowOutcome:
        await limited.complete(REQUEST)
        await limited.complete(REQUEST)  # a row that has begun goes on
        return RowOutcome(row["id"], "done")

    found = []
    given = ({"id": str(number)} for number in range(rows))
    async for outcome in work(cast(StageContext, context), given, do, concurrency=PLACES):
        found.append(outcome.row_id)
        if len(found) == stop_after:
            context.stop("enough")
    return found


def test_there_are_as_many_calls_as_places_and_no_more() -> None:
    model = Slow()
    found = asyncio.run(outcomes(model, Context(), 12))
    assert len(found) == 12
    assert model.most == PLACES
    assert model.begun == 24


def test_no_row_begins_after_a_stop_and_those_that_began_are_handed_on() -> None:
    model, context = Slow(), Context()
    found = asyncio.run(outcomes(model, context, 40, stop_after=1))
    assert model.begun == 2 * len(found)  # both calls of each row, and no others
    assert len(found) <= 2 * PLACES
    assert context.stop_reason == "enough"


def test_no_row_begins_after_one_failed_as_all_would() -> None:
    model = Slow(fails_at=1)
    with pytest.raises(LLMError, match="no key"):
        asyncio.run(outcomes(model, Context(), 40))
    assert model.begun <= 2 * PLACES


def test_a_place_is_taken_again_before_the_answer_is_read() -> None:
    model = Slow()
    limited = LimitedModel(model, 1)
    begun_when_read = []

    async def do(row: dict[str, Any]) -> RowOutcome:
        await limited.complete(REQUEST)
        await asyncio.sleep(0)  # as any answer that goes through the cache
        await asyncio.sleep(0)
        begun_when_read.append(model.begun)
        return RowOutcome(row["id"], "done")

    async def run() -> None:
        rows = ({"id": str(number)} for number in range(3))
        async for _ in work(cast(StageContext, Context()), rows, do, concurrency=1):
            pass

    asyncio.run(run())
    assert begun_when_read == [2, 3, 3]
