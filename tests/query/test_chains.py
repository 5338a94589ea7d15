"""Sentences that follow from other sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphrag.embed.base import Embedder
from graphrag.embed.fake import FakeEmbedder
from graphrag.query.chains import ChainChoice, choose_in_chains
from graphrag.query.citations import CitationResolver
from graphrag.query.engine import QueryEngine
from graphrag.query.extractive import candidates_of_units
from graphrag.query.relevance import Relevance
from graphrag.retrieve.graph_view import GraphView
from graphrag.settings import Settings
from graphrag.store.index import Index
from tests.query.small_index import build_index

# The second sentence shares no telling word with the question: only Ines Moor leads to it.
QUESTION = "From whom did the captain of the Halcyon learn the coast?"
FIRST = "Captain Ines Moor commanded the Halcyon until 1899."
SECOND = "She had learned the coast from Jonas Brack."
BRIDGE = "Who was accused in court, the teacher of Captain Ines Moor?"


def choose(
    view: GraphView, question: str, units: list[int], embedder: Embedder | None, least: float = 0.1
) -> ChainChoice:
    resolver = CitationResolver(view)
    relevance = Relevance.of(view.index, question, embedder)
    candidates = candidates_of_units(resolver, units)
    return choose_in_chains(view, resolver, candidates, relevance, least=least)


def unit_with(index: Index, words: str) -> int:
    texts = index.table("text_units")["text"].to_pylist()
    return next(place for place, text in enumerate(texts) if words in text)


@pytest.mark.parametrize("with_vectors", [True, False])
def test_a_bridge_leads_to_a_text_unit_that_was_no_candidate(
    index: Index, view: GraphView, embedder: FakeEmbedder, tmp_path: Path, with_vectors: bool
) -> None:
    if not with_vectors:
        view = GraphView(build_index(tmp_path, None))
    units = [unit_with(view.index, "Ines Moor")]
    found = choose(view, BRIDGE, units, embedder if with_vectors else None)
    assert "Jonas Brack" in found.bridges
    assert "Ines Moor" not in found.bridges  # the question names her
    chosen = {one.candidate.text: one.candidate.unit for one in found.chosen}
    assert any("Jonas Brack was accused of sleeping" in text for text in chosen)
    assert set(chosen.values()) > set(units)


def test_chosen_sentences_are_few_verbatim_and_unlike(index: Index, embedder: FakeEmbedder) -> None:
    view = GraphView(index)
    found = choose(view, QUESTION, list(range(index.table("text_units").num_rows)), embedder)
    texts = [one.candidate.text for one in found.chosen]
    assert {FIRST, SECOND} <= set(texts)
    assert len(texts) == len(set(texts)) <= 6
    resolver = CitationResolver(view)
    assert [resolver.text_of(one.candidate.evidence) for one in found.chosen] == texts
    assert len(found.embedded) <= 180
    again = choose(GraphView(index), QUESTION, list(range(index.table("text_units").num_rows)), embedder)
    assert again == found


def test_nothing_near_enough_opens_no_bridge(view: GraphView, embedder: FakeEmbedder) -> None:
    found = choose(view, "Quokka xylophone zygote jazz?", [0, 1, 2], embedder, least=0.45)
    assert found.chosen == ()
    assert found.bridges == ()
    assert choose(view, QUESTION, [], embedder).chosen == ()


def test_text_units_found_by_bridges_join_the_context(index: Index) -> None:
    asking = QueryEngine(index, Settings(), None, FakeEmbedder(256))
    result = asking.query(BRIDGE, "local", max_context_tokens=256)
    read = {row["id"] for row in result.context["Sources"]}
    assert {citation.human_readable_id for citation in result.citations} <= read
    assert result.removed_citations == 0
    assert any(event["event"] == "bridges" for event in result.trace)
