from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

from graphrag.errors import ConfigError, LLMError, StructuredOutputError
from graphrag.llm import ChatModel, ChatRequest, aclose, make_chat_model
from graphrag.llm.openai_compatible import OpenAICompatible
from graphrag.settings import LLMSettings
from tests.openai_server import Fault, OpenAIServer

T = TypeVar("T")


class Person(BaseModel):
    name: str
    born: int | None = None


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


def use(server: OpenAIServer, work: Callable[[ChatModel], Awaitable[T]], **settings: Any) -> T:
    async def run() -> T:
        values = {"provider": "openai", "model": "m", "base_url": server.base_url, "max_retries": 0}
        model = make_chat_model(LLMSettings(**{**values, **settings}))
        try:
            return await work(model)
        finally:
            await aclose(model)

    return asyncio.run(run())


def ask(text: str = "Hello", **kwargs: Any) -> ChatRequest:
    return ChatRequest.of("Be brief.", text, task="test", **kwargs)


def test_sends_what_was_asked_and_reads_text_and_usage(server: OpenAIServer) -> None:
    request = ask("one two three", max_tokens=77, temperature=0.5, seed=3, stop=("END",))
    response = use(server, lambda model: model.complete(request), api_key="key")
    assert response.text == "An answer."
    assert response.finish_reason == "stop"
    assert (response.usage.calls, response.usage.prompt_tokens, response.usage.completion_tokens) == (1, 5, 2)
    sent = server.requests[0]
    assert sent.headers["authorization"] == "Bearer key"
    assert sent.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one two three"},
    ]
    assert sent.body["max_tokens"] == 77
    assert (sent.body["temperature"], sent.body["seed"], sent.body["stop"]) == (0.5, 3, ["END"])
    assert "response_format" not in sent.body


def test_an_output_is_asked_for_as_a_strict_schema_and_parsed(server: OpenAIServer) -> None:
    server.answer = lambda body: {"name": "Nansen", "born": 1861}
    response = use(server, lambda model: model.complete(ask(output=Person)))
    assert response.parsed == Person(name="Nansen", born=1861)
    form = server.requests[0].body["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["additionalProperties"] is False
    assert form["schema"]["required"] == ["name", "born"]


def test_without_structured_output_the_schema_goes_into_the_prompt(server: OpenAIServer) -> None:
    server.answer = lambda body: 'Sure! ```json\n{"name": "Nansen", "born": null}\n```'
    response = use(server, lambda model: model.complete(ask(output=Person)), structured_output=False)
    assert response.parsed == Person(name="Nansen")
    body = server.requests[0].body
    assert "response_format" not in body
    assert '"additionalProperties":false' in body["messages"][-1]["content"]


def test_one_repair_turn_names_the_reason(server: OpenAIServer) -> None:
    answers = iter(['{"nom": "Nansen"}', '{"name": "Nansen", "born": 1861}'])
    server.answer = lambda body: next(answers)
    response = use(server, lambda model: model.complete(ask(output=Person)))
    assert response.parsed == Person(name="Nansen", born=1861)
    assert response.usage.calls == 2
    repair = server.requests[1].body["messages"]
    assert repair[-2] == {"role": "assistant", "content": '{"nom": "Nansen"}'}
    assert "name: Field required" in repair[-1]["content"]


def test_two_bad_answers_raise_with_the_text(server: OpenAIServer) -> None:
    server.answer = lambda body: "I would rather not."
    with pytest.raises(StructuredOutputError, match="no JSON object") as caught:
        use(server, lambda model: model.complete(ask(output=Person)))
    assert caught.value.text == "I would rather not."
    assert len(server.requests) == 2


def test_a_cut_answer_is_asked_for_once_more_with_twice_the_room(server: OpenAIServer) -> None:
    server.answer = lambda body: Fault(body='{"name": "Nan', finish_reason="length")
    with pytest.raises(StructuredOutputError, match="cut at 100 tokens"):
        use(server, lambda model: model.complete(ask(output=Person, max_tokens=50)))
    assert [request.body["max_tokens"] for request in server.requests] == [50, 100]
    assert len(server.requests[1].body["messages"]) == len(server.requests[0].body["messages"])
    server.answer = lambda body: Fault(body="half a sen", finish_reason="length")
    assert use(server, lambda model: model.complete(ask())).finish_reason == "length"


def test_streams(server: OpenAIServer) -> None:
    server.answer = lambda body: "Nansen crossed Greenland – 1888."

    async def collect(model: ChatModel) -> list[str]:
        return [piece async for piece in model.stream(ask())]

    pieces = use(server, collect)
    assert "".join(pieces) == "Nansen crossed Greenland – 1888."
    assert len(pieces) > 3


def test_retry_after_is_honoured(server: OpenAIServer) -> None:
    server.faults = [Fault(429, {"retry-after": "1"}), Fault(500, {"retry-after-ms": "10"})]
    started = time.monotonic()
    response = use(server, lambda model: model.complete(ask()), max_retries=2)
    assert response.text == "An answer."
    assert time.monotonic() - started >= 1.0
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "retryable", "words"),
    [
        (Fault(401, body='{"error": {"message": "bad key"}}'), False, "llm.api_key"),
        (
            Fault(404, body='{"error": {"message": "no such model"}}'),
            False,
            "llm.model ('m') and llm.base_url",
        ),
        (Fault(429), True, "requests_per_minute"),
        (Fault(429, body='{"error": {"message": "pay", "code": "insufficient_quota"}}'), False, "no quota"),
        (Fault(503), True, "answered 503"),
        (Fault(400, body='{"error": {"message": "response_format is unknown"}}'), False, "structured_output"),
        (Fault(200, body="<html>proxy</html>"), True, "cannot be read|without a choice"),
        (Fault(200, body="{}"), True, "without a choice"),
    ],
)
def test_errors_say_what_to_do(server: OpenAIServer, fault: Fault, retryable: bool, words: str) -> None:
    server.faults = [fault]
    with pytest.raises(LLMError) as caught:
        use(server, lambda model: model.complete(ask()))
    assert caught.value.retryable is retryable
    assert any(word in str(caught.value) for word in words.split("|"))


def test_a_refused_parameter_is_left_out_from_then_on(server: OpenAIServer) -> None:
    def answer(body: dict[str, Any]) -> Any:
        if "temperature" in body:
            return Fault(400, body='{"error": {"message": "unsupported", "param": "temperature"}}')
        return "fine"

    server.answer = answer

    async def twice(model: ChatModel) -> list[str]:
        return [(await model.complete(ask())).text, (await model.complete(ask())).text]

    assert use(server, twice) == ["fine", "fine"]
    assert ["temperature" in request.body for request in server.requests] == [True, False, False]


def test_no_server_is_said_plainly() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def run() -> None:
        model = OpenAICompatible(LLMSettings(base_url=f"http://127.0.0.1:{port}/v1", max_retries=0))
        try:
            await model.complete(ask())
        finally:
            await model.aclose()

    with pytest.raises(LLMError, match="Is the server running") as caught:
        asyncio.run(run())
    assert caught.value.retryable


def test_no_key_for_openai_is_a_setting_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    model = OpenAICompatible(LLMSettings(model="m"))
    with pytest.raises(ConfigError, match=r"llm\.api_key"):
        asyncio.run(model.complete(ask()))


def test_one_model_serves_several_event_loops(server: OpenAIServer) -> None:
    model = OpenAICompatible(LLMSettings(base_url=server.base_url, model="m", max_retries=0))

    async def once() -> str:
        try:
            return (await model.complete(ask())).text
        finally:
            await model.aclose()

    assert [asyncio.run(once()) for _ in range(3)] == ["An answer."] * 3
