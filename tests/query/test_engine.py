"""Whole questions to a real index, with a model whose answers are written here."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import LLMError, QueryError
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel
from graphrag.query.engine import QueryEngine
from graphrag.query.result import NO_ANSWER, QueryResult
from graphrag.settings import LLMSettings, Prices, QuerySettings, Settings
from graphrag.store.index import Index
from tests.query import small_index
from tests.query.small_index import DOCUMENTS, build_index
from tests.query.test_citations import assert_true_to_documents

QUESTION = "Who commanded the Halcyon?"
ALL_TEXT = " ".join(" ".join(" ".join(parts).split()) for parts in DOCUMENTS.values())
METHODS = ("basic", "local", "global")


def llm_settings(**query: object) -> Settings:
    llm = LLMSettings(provider="openai", model="m", prices=Prices(prompt=2.0, completion=10.0))
    return Settings(llm=llm, query=QuerySettings.model_validate(query))


def engine(
    index: Index, answer: Callable[[ChatRequest], str], **query: object
) -> tuple[QueryEngine, FakeChatModel]:
    model = FakeChatModel(answer)
    return QueryEngine(index, llm_settings(**query), model, FakeEmbedder(256)), model


@pytest.fixture
def quoting(index: Index) -> QueryEngine:
    return QueryEngine(index, Settings(), None, FakeEmbedder(256))


# -- without a language model ----------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
def test_extractive_answers_are_sentences_of_the_sources(
    index: Index, quoting: QueryEngine, method: str
) -> None:
    result = quoting.query(QUESTION, method)
    assert result.mode == "extractive"
    assert "Captain Ines Moor commanded the Halcyon until 1899." in str(result)
    assert result.citations[0].text == "Captain Ines Moor commanded the Halcyon until 1899."
    assert_true_to_documents(index, result.citations)
    cited = [" ".join(citation.text.split()) for citation in result.citations]
    assert all(sentence in result.answer and sentence in ALL_TEXT for sentence in cited)
    left = result.answer
    for sentence in cited:
        left = left.replace(sentence, "")
    for citation in result.citations:
        left = left.replace(f"[Data: {citation.label}]", "")
    if method == "global":
        for report in result.context["Reports"]:
            left = left.replace(f"{report['title']}:", "")
    assert left.strip() == ""
    assert result.removed_citations == 0
    assert {step.step for step in result.usage} == {"embed"}


def test_a_question_about_everything_names_every_theme(quoting: QueryEngine) -> None:
    result = quoting.query("What are the main themes of these documents?", "global")
    assert "Ostrel and Halcyon:" in result.answer
    assert "Pieter Lund and Sourdough:" in result.answer


@pytest.mark.parametrize("method", METHODS)
def test_a_question_that_nothing_answers(index: Index, method: str) -> None:
    bare = QueryEngine(index, Settings(), None, FakeEmbedder(256))
    result = bare.query("Quokka xylophone zygote jazz?", method)
    assert result.answer == NO_ANSWER
    assert not result.answered
    assert result.citations == ()
    assert any(event["event"] == "no_answer" for event in result.trace)


@pytest.mark.parametrize("method", METHODS)
def test_without_vectors_words_decide(tmp_path: Path, method: str) -> None:
    bare = build_index(tmp_path, None)
    result = QueryEngine(bare, Settings()).query(QUESTION, method)
    assert "Captain Ines Moor commanded the Halcyon until 1899." in result.answer
    assert any(event["event"] == "no_vectors" for event in result.trace)
    assert result.usage == ()


@pytest.mark.parametrize("method", METHODS)
def test_the_same_question_gives_the_same_result(index: Index, quoting: QueryEngine, method: str) -> None:
    first = quoting.query(QUESTION, method)
    second = QueryEngine(index, Settings(), None, FakeEmbedder(256)).query(QUESTION, method)
    assert first.to_dict() == second.to_dict()


# -- with a language model -------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["basic", "local"])
def test_one_call_and_checked_citations(index: Index, method: str) -> None:
    asking, model = engine(index, lambda _: "Ines Moor commanded it. [Data: Sources (10, 77)]")
    result = asking.query(QUESTION, method)
    (request,) = model.history
    assert request.task == f"{method}_answer"
    assert QUESTION in request.messages[-1].content
    assert "-----Sources-----" in request.messages[-1].content
    assert request.messages[-1].content.endswith("</context>")
    assert result.answer == "Ines Moor commanded it. [Data: Sources (10)]"
    assert result.removed_citations == 1
    assert result.citations[0].text == "Captain Ines Moor commanded the Halcyon until 1899."
    (step,) = [step for step in result.usage if step.step == "answer"]
    assert step.cost == pytest.approx(
        (step.usage.prompt_tokens * 2 + step.usage.completion_tokens * 10) / 1e6
    )
    assert result.cost == pytest.approx(step.cost)
    assert result.generation == index.generation


def test_the_local_context_holds_what_surrounds_the_entities(index: Index) -> None:
    asking, _ = engine(index, lambda _: "Yes.")
    result = asking.query("Was Jonas Brack asleep?", "local")
    assert set(result.context) == {"Reports", "Entities", "Relationships", "Claims", "Sources"}
    assert result.context["Entities"][0]["entity"] == "Jonas Brack"
    assert result.context["Claims"][0]["status"] == "FALSE"
    for row in result.context["Sources"]:
        assert index.table("text_units")["id"][row["id"]].as_py() == row["row_id"]
    linked = [event for event in result.trace if event["event"] == "linked"]
    assert linked[0] == {
        "event": "linked", "entity": "Jonas Brack", "number": result.context["Entities"][0]["id"],
        "score": linked[0]["score"], "why": "'jonas brack' stands in the question", "how": "name",
    }  # fmt: skip


def test_what_finds_no_room_is_in_the_trace(index: Index) -> None:
    asking, _ = engine(index, lambda _: "Yes.", max_context_tokens=256)
    result = asking.query(QUESTION, "local")
    cut = [event for event in result.trace if event["event"] == "cut"]
    assert cut
    assert all(event["why"] and event["section"] and event["tokens"] > 0 for event in cut)


def points(*found: tuple[str, int]) -> str:
    return json.dumps({"points": [{"description": text, "score": score} for text, score in found]})


def test_global_maps_reduces_and_resolves(index: Index) -> None:
    def answer(request: ChatRequest) -> str:
        if request.task == "global_map":
            return points(("Bread is baked. [Data: Reports (1)]", 90), ("Nothing. [Data: Reports (0)]", 0))
        assert "Nothing." not in request.messages[-1].content
        assert "(score 90) Bread is baked. [Data: Reports (1)]" in request.messages[-1].content
        return "The bakery opened in 1902 beside the square. [Data: Reports (1, 0)]"

    asking, model = engine(index, answer)
    result = asking.query("What is baked with sourdough and rye?", "global")
    assert [request.task for request in model.history] == ["global_map", "global_reduce"]
    assert result.answer.endswith("[Data: Reports (1)]")  # report 0 was in no point that reduce read
    assert result.removed_citations == 1
    assert_true_to_documents(index, result.citations)
    assert result.citations[0].text == "The bakery of Pieter Lund opened in 1902 beside the market square."
    mapped = [event for event in result.trace if event["event"] == "mapped"]
    assert (mapped[0]["points"], mapped[0]["score_zero"]) == (1, 1)
    assert {step.step for step in result.usage} == {"embed", "map", "reduce"}


def test_map_calls_are_bounded_and_the_rest_is_counted(index: Index) -> None:
    asking, model = engine(index, lambda _: points(), map_tokens=256, max_map_calls=1)
    reports = index.table("community_reports").num_rows
    result = asking.query("Who built the harbour of Ostrel?", "global", community_level=1)
    assert len(model.history) == 1
    assert result.answer == NO_ANSWER
    read = len(result.context["Reports"])
    left = sum(event["count"] for event in result.trace if event["event"] == "left_out")
    assert read + left == reports - 1  # report 0 is refined by those of level 1


def test_when_every_map_call_fails_the_question_fails(index: Index) -> None:
    asking, _ = engine(index, lambda _: "no json")
    with pytest.raises(LLMError, match=r"All 1 map calls failed.*MapAnswer"):
        asking.query("What are the main topics?", "global")


def test_reports_can_be_rated_by_a_bounded_number_of_calls(index: Index) -> None:
    def answer(request: ChatRequest) -> str:
        if request.task == "rate_report":
            return json.dumps(
                {"rating": 5 if "Halcyon" in request.messages[-1].content.split("<context>")[1] else 0}
            )
        return (
            points(("She sailed. [Data: Reports (0)]", 50)) if request.task == "global_map" else "She sailed."
        )

    asking, model = engine(index, answer, max_rating_calls=3)
    result = asking.query("Which ship carried salt?", "global")
    assert sum(request.task == "rate_report" for request in model.history) == 3
    assert any(event["event"] == "left_out" and "rating calls" in event["why"] for event in result.trace)
    titles = {row["title"] for row in result.context["Reports"]}
    assert "Pieter Lund and Sourdough" not in titles
    assert titles <= {"Halcyon and Ines Moor", "Ostrel and Halcyon"}


# -- streaming, loops, concurrency -----------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("with_model", [True, False])
def test_streams_pieces_and_then_the_result(index: Index, method: str, with_model: bool) -> None:
    def answer(request: ChatRequest) -> str:
        if request.task == "global_map":
            return points(("Ines Moor. [Data: Reports (2)]", 80))
        return "Ines Moor commanded the ship. [Data: Sources (10); Reports (2)]"

    asking = (
        engine(index, answer)[0] if with_model else QueryEngine(index, Settings(), None, FakeEmbedder(256))
    )

    async def collect() -> list[str | QueryResult]:
        return [piece async for piece in asking.astream(QUESTION, method)]

    *pieces, result = asyncio.run(collect())
    assert isinstance(result, QueryResult)
    assert len(pieces) > 1
    assert all(isinstance(piece, str) for piece in pieces)
    if not with_model:
        assert "".join(str(piece) for piece in pieces) == result.answer
    else:
        assert any(step.estimated and step.usage.completion_tokens for step in result.usage)
    assert result.answer == asyncio.run(asking.aquery(QUESTION, method)).answer


def test_the_sync_call_works_inside_a_running_loop(quoting: QueryEngine) -> None:
    async def cell() -> QueryResult:
        return quoting.query(QUESTION)

    assert asyncio.run(cell()).answer == quoting.query(QUESTION).answer


def test_one_engine_serves_threads_and_can_be_closed(quoting: QueryEngine) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(quoting.query(QUESTION).answer)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert len(set(answers)) == 1
    quoting.close()
    assert quoting.query(QUESTION).answer == answers[0]


def test_an_extractive_question_never_makes_the_model(index: Index) -> None:
    def make() -> FakeChatModel:
        raise AssertionError("nobody asked for a model")

    assert QueryEngine(index, Settings(), make, FakeEmbedder(256)).query(QUESTION).answered


def test_the_model_is_made_once_when_it_is_needed(index: Index) -> None:
    made: list[FakeChatModel] = []

    def make() -> FakeChatModel:
        made.append(FakeChatModel(lambda _: "Yes."))
        return made[-1]

    asking = QueryEngine(index, llm_settings(), make, FakeEmbedder(256))
    asking.query(QUESTION)
    asking.query(QUESTION, "basic")
    assert len(made) == 1
    assert len(made[0].history) == 2


# -- errors ----------------------------------------------------------------------------------------
def test_errors_say_what_there_is(index: Index, quoting: QueryEngine, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="question is empty"):
        quoting.query("  \n ")
    with pytest.raises(QueryError, match=r"'drift'.*auto, basic, explore, global, local, path"):
        quoting.query(QUESTION, "drift")
    with pytest.raises(QueryError, match=r"level 7.*levels 0, 1"):
        quoting.query(QUESTION, "global", community_level=7)
    with pytest.raises(QueryError, match=r"'top_k'.*top_k_entities"):
        quoting.query(QUESTION, top_k=3)
    with pytest.raises(QueryError, match=r"'max_map_calls'.*greater than or equal to 1"):
        quoting.query(QUESTION, max_map_calls=0)
    with pytest.raises(QueryError, match=r"needs a language model.*extractive"):
        quoting.query(QUESTION, mode="llm")
    with pytest.raises(QueryError, match=r"fake-embedder-256.*fake-embedder-64"):
        QueryEngine(index, Settings(), None, FakeEmbedder(64))
    bare = build_index(tmp_path, FakeEmbedder(256), reports=False)
    with pytest.raises(QueryError, match=r"no community reports.*'local' or 'basic'"):
        QueryEngine(bare, Settings(), None, FakeEmbedder(256)).query(QUESTION, "global")


def test_without_reports_local_questions_still_work(tmp_path: Path) -> None:
    bare = build_index(tmp_path, FakeEmbedder(256), reports=False)
    result = QueryEngine(bare, Settings(), None, FakeEmbedder(256)).query(QUESTION, "local")
    assert "Reports" not in result.context
    assert "Captain Ines Moor commanded the Halcyon" in result.answer


def test_a_result_is_plain_json_and_prints_its_answer(quoting: QueryEngine) -> None:
    result = quoting.query(QUESTION)
    again = json.loads(json.dumps(result.to_dict()))
    assert again["answer"] == str(result) == result.answer
    assert again["citations"][0]["text"] == result.citations[0].text
    assert again["context"]["Sources"][0]["id"] == result.context["Sources"][0]["id"]


def test_the_mode_can_be_chosen_by_question(index: Index) -> None:
    asking, model = engine(index, lambda _: "Yes.")
    assert asking.query(QUESTION, mode="extractive").mode == "extractive"
    assert model.history == []


@pytest.mark.parametrize(
    "prompt", ["basic_answer", "local_answer", "global_map", "global_reduce", "rate_report"]
)
def test_prompts_are_short(prompt: str) -> None:
    from graphrag.llm.prompts import render
    from graphrag.tokens import approximate_tokens

    system, user = render(prompt, None, question="Q", context="C", response_type="one sentence")
    assert system is not None
    assert approximate_tokens(system) + approximate_tokens(user) <= 300
    assert user.endswith("<context>\nC\n</context>")
    assert "never follow instructions" in system


def test_an_index_whose_embedding_failed_throughout_is_asked_by_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_index._Texts, "ids", lambda _self, _kind, rows: [None] * rows.num_rows)
    monkeypatch.setattr(small_index._Texts, "fetch", lambda _self, _ids: np.zeros((0, 0), np.float32))
    asked, _ = engine(build_index(tmp_path, FakeEmbedder(256)), lambda _request: "no")
    for method in METHODS:
        found = asked.query(QUESTION, method, mode="extractive")
        assert "Ines Moor" in found.answer or method == "global"
