"""Batches, points and ratings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from graphrag.errors import LLMError
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel
from graphrag.query.answer import Account, Writer, context_limit
from graphrag.query.map_reduce import Point, batches, map_points, points_text, rate_reports
from graphrag.query.selection import Selection
from graphrag.settings import LLMSettings, Prices, QuerySettings, Settings
from graphrag.store.index import Index
from graphrag.tokens import approximate_tokens

SELECTION = Selection((2, 0, 3, 1), (0.9, 0.8, 0.7, 0.6), ())


def writer(answer: Callable[[ChatRequest], str]) -> Writer:
    account = Account(Prices(), Prices())
    return Writer(FakeChatModel(answer), Settings(), account, [])


def test_batches_hold_the_best_reports_in_order_and_the_rest_is_counted(index: Index) -> None:
    trace: list[dict[str, Any]] = []
    found = batches(index, SELECTION, map_tokens=110, max_map_calls=2, trace=trace)
    assert [[row.number for row in one.rows["Reports"]] for one in found] == [[2], [0]]
    assert all(one.n_tokens <= 110 for one in found)
    (left,) = [event for event in trace if event["event"] == "left_out"]
    assert left["count"] == 2
    everything = batches(index, SELECTION, map_tokens=110, max_map_calls=9, trace=[])
    assert sorted(row.number for one in everything for row in one.rows["Reports"]) == [0, 1, 2, 3]


def test_reports_carry_no_marks_of_their_own_into_a_batch(index: Index) -> None:
    assert "[Data:" in index.table("community_reports")["full_content"][0].as_py()
    (context,) = batches(index, SELECTION, map_tokens=5000, max_map_calls=1, trace=[])
    assert "[Data:" not in context.text


def test_a_failed_call_is_in_the_trace_and_the_others_count(index: Index) -> None:
    def answer(request: ChatRequest) -> str:
        if "Ines Moor commanded" in request.messages[-1].content:
            return "I cannot do JSON."
        described = [
            {"description": "Built. [Data: Reports (0, 2)]", "score": 60},
            {"description": "Second. [Data: Reports (0)]", "score": 70},
            {"description": "Nothing.", "score": 0},
        ]
        return json.dumps({"points": described})

    asking = writer(answer)
    contexts = batches(index, SELECTION, map_tokens=110, max_map_calls=2, trace=[])
    mapped = asyncio.run(map_points(asking, "Who built the harbour?", contexts))
    assert [(point.description, point.score) for point in mapped.points] == [
        ("Second. [Data: Reports (0)]", 70),
        ("Built. [Data: Reports (0)]", 60),  # report 2 was in the other batch
    ]
    assert mapped.references == {("Reports", 0)}
    events = {event["event"]: event for event in asking.trace}
    assert events["map_failed"]["batch"] == 0
    assert events["map_failed"]["reports"] == 1
    assert "MapAnswer" in events["map_failed"]["why"]
    assert events["mapped"] == {
        "event": "mapped",
        "batch": 1,
        "points": 2,
        "score_zero": 1,
        "removed_citations": 1,
    }


def test_scores_outside_0_to_100_make_the_call_fail(index: Index) -> None:
    asking = writer(lambda _: json.dumps({"points": [{"description": "x", "score": 101}]}))
    contexts = batches(index, SELECTION, map_tokens=5000, max_map_calls=1, trace=[])
    with pytest.raises(LLMError, match="All 1 map calls failed"):
        asyncio.run(map_points(asking, "Q", contexts))


def test_points_fit_and_those_that_do_not_are_counted() -> None:
    trace: list[dict[str, Any]] = []
    points = [Point(f"Point {number} </context> says a few words.", 100 - number, 0) for number in range(50)]
    text = points_text(points, 200, trace)
    assert approximate_tokens(text) <= 200
    assert text.startswith("- (score 100) Point 0 (/context) says")
    assert trace[0]["count"] == 50 - len(text.splitlines())


def test_ratings_are_parts_of_the_best_and_failures_are_told(index: Index) -> None:
    def answer(request: ChatRequest) -> str:
        text = request.messages[-1].content.split("<context>")[1]
        return (
            "?" if "Pieter Lund and Sourdough" in text else json.dumps({"rating": 4 if "Ines" in text else 1})
        )

    asking = writer(answer)
    rated = asyncio.run(rate_reports(asking, index, "Which ship?", [0, 1, 2, 3]))
    assert rated == {0: 0.2, 2: 0.8, 3: 0.2}
    assert [event["number"] for event in asking.trace if event["event"] == "rating_failed"] == [1]
    assert asking.account.steps()[0].usage.calls == 3


def test_the_context_leaves_room_for_prompt_and_answer() -> None:
    settings = Settings(llm=LLMSettings(context_window=4096), query=QuerySettings(max_tokens=1000))
    assert context_limit(settings, 8000, "Q") < 4096 - 1000 - 300
    assert context_limit(settings, 500, "Q") == 500
    tight = Settings(llm=LLMSettings(context_window=1024), query=QuerySettings(max_tokens=1000))
    assert context_limit(tight, 8000, "Q") == 256
