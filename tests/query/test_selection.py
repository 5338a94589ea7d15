"""Which reports a global question reads."""

from __future__ import annotations

import asyncio

import pytest

from graphrag.errors import QueryError
from graphrag.query.relevance import Relevance
from graphrag.query.selection import (
    ReportTree,
    Selection,
    is_about_everything,
    reports_of_level,
    select_dynamically,
)
from graphrag.store.index import Index

EVERYTHING = "What are the main themes?"


def titles(index: Index, selection: Selection) -> list[str]:
    names = index.table("community_reports")["title"].to_pylist()
    return [names[place] for place in selection.places]


def select(index: Index, embedder: object, question: str) -> Selection:
    relevance = Relevance.of(index, question, embedder)  # type: ignore[arg-type]
    return asyncio.run(select_dynamically(ReportTree(index), relevance))


def test_the_tree_follows_the_communities(index: Index) -> None:
    tree = ReportTree(index)
    assert tree.roots == [0, 1]
    assert tree.children == [[2, 3], [], [], []]
    assert tree.at_level(0) == [0, 1]
    assert tree.at_level(1) == [1, 2, 3]  # nothing refines report 1
    with pytest.raises(QueryError, match="levels 0, 1"):
        tree.at_level(2)


def test_a_question_about_a_detail_goes_down_and_one_about_everything_stays_up(
    index: Index, embedder: object
) -> None:
    assert (
        titles(index, select(index, embedder, "Who commanded the Halcyon until 1899?"))[0]
        == "Halcyon and Ines Moor"
    )
    everything = select(index, embedder, EVERYTHING)
    assert titles(index, everything) == ["Ostrel and Halcyon", "Pieter Lund and Sourdough"]
    assert everything.trace[0]["count"] == 2


def test_a_parent_and_what_replaces_it_are_never_both_read(index: Index, embedder: object) -> None:
    for question in ("Who built the harbour of Ostrel?", "Which bread keeps?", "Did ships carry salt?"):
        places = set(select(index, embedder, question).places)
        assert places
        assert not (0 in places and places & {2, 3})


def test_all_reports_of_a_level_best_first(index: Index, embedder: object) -> None:
    relevance = Relevance.of(index, "How is sourdough fed with flour?", embedder)  # type: ignore[arg-type]
    selection = reports_of_level(ReportTree(index), relevance, 1)
    assert sorted(selection.places) == [1, 2, 3]
    assert selection.places[0] == 1
    assert list(selection.scores) == sorted(selection.scores, reverse=True)


def test_ratings_by_calls_stop_at_the_limit(index: Index, embedder: object) -> None:
    asked: list[int] = []

    async def rate(places: list[int]) -> dict[int, float]:
        asked.extend(places)
        return dict.fromkeys(places, 1.0)

    relevance = Relevance.of(index, "Who commanded the Halcyon?", embedder)  # type: ignore[arg-type]
    selection = asyncio.run(select_dynamically(ReportTree(index), relevance, rate, 3))
    assert len(asked) == 3
    assert asked[0] == 0
    assert sum(event.get("count", 0) for event in selection.trace if event["event"] == "left_out") == 1
    assert set(selection.places) == {1, 2}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (EVERYTHING, True),
        ("Summarize the whole collection of documents", True),
        ("What is this about?", True),
        ("What are the main themes of Nansen's life?", False),
        ("Who built the harbour?", False),
        ("주요 주제는 무엇인가?", False),
    ],
)
def test_questions_about_everything(question: str, expected: bool) -> None:
    assert is_about_everything(question) is expected
