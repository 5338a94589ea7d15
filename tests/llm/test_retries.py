"""Retries over real HTTP: who repeats, how often, and how long it waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import BaseModel

from graphrag.errors import LLMError, RetriesExhaustedError
from graphrag.llm import ChatRequest, ChatResponse, aclose, make_chat_model
from graphrag.llm.retries import RetryingModel
from graphrag.llm.usage import UsageLog
from graphrag.patience import retry_after
from graphrag.settings import LLMSettings
from tests.openai_server import Fault, OpenAIServer

QUESTION = ChatRequest.of(None, "Hello", task="test")
SOON = {"retry-after-ms": "5"}


class Note(BaseModel):
    text: str


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


def ask(server: OpenAIServer, *requests: ChatRequest, usage: UsageLog | None = None, **settings) -> list:
    """Ask all at once; return the answers and the errors."""

    async def run() -> list:
        values = {"provider": "openai", "model": "m", "base_url": server.base_url, **settings}
        model = make_chat_model(LLMSettings(**values), usage=usage)
        try:
            return await asyncio.gather(
                *(model.complete(request) for request in requests), return_exceptions=True
            )
        finally:
            await aclose(model)

    return asyncio.run(run())


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_there_is_one_layer_of_retries(server: OpenAIServer, retries: int) -> None:
    server.answer = lambda body: Fault(503, SOON)
    (error,) = ask(server, QUESTION, max_retries=retries)
    assert len(server.requests) == 1 + retries
    assert isinstance(error, LLMError)
    assert error.retryable
    if retries:
        assert isinstance(error, RetriesExhaustedError)
        assert error.attempts == 1 + retries
        assert f"({1 + retries} attempts" in str(error)
        assert "answered 503" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_asking_again_cannot_help_is_not_repeated(server: OpenAIServer, status: int) -> None:
    server.answer = lambda body: Fault(status, SOON)
    (error,) = ask(server, QUESTION, max_retries=5)
    assert isinstance(error, LLMError)
    assert not error.retryable
    assert len(server.requests) == 1


def test_a_date_to_wait_for_is_honoured(server: OpenAIServer) -> None:
    until = datetime.now(UTC) + timedelta(seconds=2)  # dates have whole seconds
    server.faults = [Fault(429, {"retry-after": format_datetime(until, usegmt=True)})]
    (answer,) = ask(server, QUESTION, max_retries=1)
    assert answer.text == "An answer."
    assert datetime.now(UTC) >= until.replace(microsecond=0)


def test_how_long_to_wait_is_read_from_headers() -> None:
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


def test_one_call_told_to_wait_holds_back_the_others(server: OpenAIServer) -> None:
    server.faults = [Fault(429, {"retry-after": "1"})]
    started = time.monotonic()
    arrived: list[float] = []

    def answer(body: object) -> str:
        arrived.append(time.monotonic() - started)
        return "An answer."

    server.answer = answer
    answers = ask(server, *[QUESTION] * 4, max_retries=2, concurrency=1)
    assert all(isinstance(one, ChatResponse) for one in answers)
    assert min(arrived) >= 1.0
    assert len(server.requests) == 5


def test_an_empty_answer_is_asked_for_once_more_and_counted(server: OpenAIServer) -> None:
    server.answer = lambda body: ""
    usage = UsageLog()
    (error,) = ask(server, QUESTION, max_retries=6, usage=usage)
    assert isinstance(error, RetriesExhaustedError)
    assert error.attempts == 2
    assert len(server.requests) == 2
    assert usage.total().calls >= 1


def test_both_answers_that_did_not_validate_are_counted(server: OpenAIServer) -> None:
    server.answer = lambda body: "not what was asked"
    usage = UsageLog()
    ask(server, ChatRequest.of(None, "Hello", task="test", output=Note), max_retries=6, usage=usage)
    assert len(server.requests) == 2
    assert usage.total().calls == 2
    assert usage.total().completion_tokens == 8


def test_an_endpoint_that_hangs_is_given_up(server: OpenAIServer) -> None:
    server.answer = lambda body: time.sleep(0.5) or "late"
    started = time.monotonic()
    (error,) = ask(server, QUESTION, max_retries=1, timeout=0.1)
    assert isinstance(error, RetriesExhaustedError)
    assert "did not answer within 0.1 seconds" in str(error)
    assert time.monotonic() - started < 5


class Failing:
    """Fails ``failures`` times, then answers; counts the calls."""

    model_id = "failing"

    def __init__(self, failures: int, retry_after: float | None = None) -> None:
        self.left = failures
        self.retry_after = retry_after
        self.calls = 0

    async def complete(self, request: ChatRequest) -> ChatResponse:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise LLMError("broken.", retryable=True, retry_after=self.retry_after)
        return ChatResponse("fine")

    async def stream(self, request: ChatRequest):
        yield (await self.complete(request)).text
        if self.retry_after == 0.0:
            raise LLMError("broke off.", retryable=True)


def test_waiting_grows_and_is_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("graphrag.llm.retries.asyncio.sleep", note)
    for _ in range(20):
        asyncio.run(RetryingModel(Failing(9), 9).complete(QUESTION))
    for number in range(9):
        backoff = min(60.0, 0.5 * 2**number)
        drawn = waits[number::9]
        assert all(backoff / 2 <= wait <= backoff for wait in drawn)
        assert len(set(drawn)) > 10


def test_an_endpoint_that_asks_for_an_hour_is_not_waited_for() -> None:
    model = Failing(1, retry_after=3600)
    with pytest.raises(LLMError, match="broken"):
        asyncio.run(RetryingModel(model, 5).complete(QUESTION))
    assert model.calls == 1


def test_a_stream_is_repeated_only_before_its_first_piece() -> None:
    async def read(model: Failing) -> list[str]:
        return [piece async for piece in RetryingModel(model, 3).stream(QUESTION)]

    model = Failing(2)
    assert asyncio.run(read(model)) == ["fine"]
    assert model.calls == 3
    broken = Failing(0, retry_after=0.0)
    with pytest.raises(LLMError, match="broke off"):
        asyncio.run(read(broken))
    assert broken.calls == 1
