from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from graphrag.errors import LLMError, StructuredOutputError
from graphrag.llm import ChatModel, ChatRequest, FakeChatModel


class Note(BaseModel):
    text: str


def test_answers_by_function_and_keeps_history() -> None:
    model = FakeChatModel(lambda request: request.messages[-1].content.upper())
    assert isinstance(model, ChatModel)
    request = ChatRequest.of(None, "quiet", task="t")
    assert asyncio.run(model.complete(request)).text == "QUIET"
    assert model.history == [request]


def test_answers_from_a_list_until_it_is_used_up() -> None:
    model = FakeChatModel(['{"text": "a"}', "no"])
    request = ChatRequest.of(None, "x", task="t", output=Note)
    assert asyncio.run(model.complete(request)).parsed == Note(text="a")
    with pytest.raises(StructuredOutputError):
        asyncio.run(model.complete(request))
    with pytest.raises(LLMError, match="no answer left"):
        asyncio.run(model.complete(request))


def test_streams_the_same_text() -> None:
    async def run() -> list[str]:
        model = FakeChatModel(["one two  three"])
        return [piece async for piece in model.stream(ChatRequest.of(None, "x", task="t"))]

    pieces = asyncio.run(run())
    assert "".join(pieces) == "one two  three"
    assert len(pieces) > 1
