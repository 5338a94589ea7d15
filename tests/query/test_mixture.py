"""Answers over several prompts, from a real index."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import numpy as np
import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import LLMError
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel
from graphrag.llm.openai_compatible import OpenAICompatible
from graphrag.query.engine import QueryEngine
from graphrag.settings import LLMSettings, QuerySettings, Settings
from graphrag.store.index import Index

QUESTION = "Who commanded the Halcyon?"


def numbers(request: ChatRequest) -> list[str]:
    """Return the number of the passage in each of a request's prompts."""
    prompts = [one.messages for one in request.readings] or [request.messages]
    return [re.search(r"\n(\d+)\|", prompt[-1].content)[1] for prompt in prompts]  # type: ignore[index]


def engine(index: Index, **query: object) -> tuple[QueryEngine, FakeChatModel]:
    settings = Settings(
        llm=LLMSettings(provider="local"),
        query=QuerySettings.model_validate({"top_k_text_units": 3, **query}),
    )
    model = FakeChatModel(lambda asked: f"Ines Moor. [Data: Sources ({numbers(asked)[-1]})]")
    return QueryEngine(index, settings, model, FakeEmbedder(256)), model


@pytest.mark.parametrize("combine", ["rag-sequence", "rag-token"])
def test_each_passage_has_a_prompt_of_its_own(index: Index, combine: str) -> None:
    asking, model = engine(index, combine=combine)
    result = asking.query(QUESTION, "basic")
    (request,) = model.history
    assert request.combine == combine
    assert len(request.readings) == 3 == len(result.context["Sources"])
    texts = [row["text"] for row in result.context["Sources"]]
    for one, own in zip(request.readings, texts, strict=True):
        prompt = one.messages[-1].content
        assert [text for text in texts if text[:40] in prompt] == [own]
        assert QUESTION in prompt
    assert np.exp([one.log_weight for one in request.readings]).sum() == pytest.approx(1.0)
    assert [str(row["id"]) for row in result.context["Sources"]] == numbers(request)
    assert (len(result.citations), result.removed_citations) == (1, 0)
    weights = [event["probability"] for event in result.trace if event["event"] == "passage_weight"]
    assert weights == pytest.approx([np.exp(one.log_weight) for one in request.readings], abs=1e-4)


def test_the_nearest_passage_weighs_most(index: Index) -> None:
    asking, model = engine(index, combine="rag-token", top_k_text_units=6)
    asking.query("Captain Ines Moor commanded the Halcyon until 1899.", "basic")
    readings = model.history[0].readings
    heaviest = max(readings, key=lambda one: one.log_weight)
    assert "Captain Ines Moor" in heaviest.messages[-1].content
    assert heaviest.log_weight > np.log(0.3)


def test_concat_is_one_prompt_with_everything(index: Index) -> None:
    asking, model = engine(index)
    asking.query(QUESTION, "basic")
    assert model.history[0].readings == ()


def test_quoting_has_nothing_to_combine_and_says_so(index: Index) -> None:
    settings = Settings(query=QuerySettings(combine="rag-token"))
    result = QueryEngine(index, settings, None, FakeEmbedder(256)).query(QUESTION, "basic")
    assert result.mode == "extractive"
    assert result.citations
    assert "not_combined" in [event["event"] for event in result.trace]


def test_an_endpoint_says_that_it_cannot(index: Index) -> None:
    asking, model = engine(index, combine="rag-sequence")
    asking.query(QUESTION, "basic")
    endpoint = OpenAICompatible(LLMSettings(provider="openai", base_url="http://localhost:1/v1"))
    with pytest.raises(LLMError, match=r"rag-sequence.*query\.combine"):
        asyncio.run(endpoint.complete(replace(model.history[0])))
