"""Sentences that show many sides of a theme."""

from __future__ import annotations

import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.query.citations import CitationResolver
from graphrag.query.engine import QueryEngine
from graphrag.query.relevance import Relevance
from graphrag.query.themes import GROUPS, LIMIT, NO_REPORT, Theme, choose_for_theme
from graphrag.retrieve.graph_view import GraphView
from graphrag.settings import Settings
from graphrag.store.index import Index

QUESTION = "Which part did ships, storms and sailors play for the harbour of Ostrel and its bread?"


def choose(view: GraphView, embedder: FakeEmbedder | None, reports: dict[int, float], least: float) -> Theme:
    relevance = Relevance.of(view.index, QUESTION, embedder)
    return choose_for_theme(view, CitationResolver(view), relevance, reports, [], least=least)


@pytest.mark.parametrize("with_vectors", [True, False])
def test_an_answer_draws_on_several_reports(
    index: Index, view: GraphView, embedder: FakeEmbedder, with_vectors: bool
) -> None:
    found = choose(view, embedder if with_vectors else None, {1: 0.9, 2: 0.8, 3: 0.7}, 0.05)
    groups = {one.candidate.group for one in found.chosen}
    assert 2 <= len(groups) <= GROUPS
    assert 4 <= len(found.chosen) <= LIMIT
    texts = [one.candidate.text for one in found.chosen]
    assert len(texts) == len(set(texts))
    resolver = CitationResolver(view)
    assert [resolver.text_of(one.candidate.evidence) for one in found.chosen] == texts
    assert (
        choose(GraphView(index), embedder if with_vectors else None, {1: 0.9, 2: 0.8, 3: 0.7}, 0.05) == found
    )


def test_near_text_units_are_read_though_no_report_holds_them(
    view: GraphView, embedder: FakeEmbedder
) -> None:
    found = choose(view, embedder, {}, 0.05)
    assert {one.candidate.group for one in found.chosen} == {NO_REPORT}
    assert choose(view, None, {}, 0.05).chosen == ()  # without vectors nothing is near


def test_nothing_near_enough_is_no_answer(view: GraphView, embedder: FakeEmbedder) -> None:
    assert choose(view, embedder, {0: 1.0}, 0.99).chosen == ()


def test_sentences_without_a_report_stand_last_without_a_heading(index: Index) -> None:
    result = QueryEngine(index, Settings(), None, FakeEmbedder(256)).query(
        "Who commanded the Halcyon and who built the harbour of Ostrel?", "global"
    )
    first, *_ = result.answer.split("\n")
    assert first.endswith(":")
    assert len(result.citations) >= 3
    assert result.removed_citations == 0
    assert all(row["id"] >= 0 for row in result.context["Reports"])
