"""Retrievers over a real index."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import QueryError
from graphrag.retrieve.base import Retriever
from graphrag.retrieve.bm25 import BM25Retriever
from graphrag.retrieve.dense import DenseRetriever
from graphrag.retrieve.hybrid import HybridRetriever, reciprocal_rank_fusion
from graphrag.store.index import Index
from tests.query.small_index import build_index

RANKING = st.lists(st.sampled_from("abcdefgh"), unique=True).map(lambda ids: [(one, 1.0) for one in ids])


def retrievers(index: Index) -> list[Retriever]:
    lexical, dense = BM25Retriever(index), DenseRetriever(index, FakeEmbedder(256))
    return [lexical, dense, HybridRetriever((lexical, dense))]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_finds_the_passage_that_says_it_first(index: Index, which: int) -> None:
    retriever = retrievers(index)[which]
    assert isinstance(retriever, Retriever)
    found = retriever.search("Who commanded the steamer Halcyon until 1899?", 3)
    first = index.row("text_units", found[0][0])
    assert first is not None
    assert first["text"].startswith("Captain Ines Moor commanded")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_scores_fall_and_k_is_kept(index: Index, which: int) -> None:
    retriever = retrievers(index)[which]
    found = retriever.search("bread and flour in the bakery", 4)
    assert 0 < len(found) <= 4
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert len({row_id for row_id, _ in found}) == len(found)
    assert retriever.search("bread", 0) == []
    assert len(retriever.search("bread", 1000)) <= index.counts["text_units"]


def test_words_unknown_to_the_index_find_nothing_by_bm25(index: Index) -> None:
    assert BM25Retriever(index).search("xylophone quokka", 5) == []


def test_another_embedder_is_refused(index: Index) -> None:
    with pytest.raises(QueryError, match=r"fake-embedder-256.*fake-embedder-64.*graphrag index`"):
        DenseRetriever(index, FakeEmbedder(64))


def test_an_index_without_vectors_is_refused(tmp_path: Path) -> None:
    bare = build_index(tmp_path, None)
    with pytest.raises(QueryError, match="holds no vectors"):
        DenseRetriever(bare, FakeEmbedder(64))


def test_fusion_by_hand() -> None:
    fused = reciprocal_rank_fusion([[("a", 9.0), ("b", 1.0)], [("b", 0.2), ("c", 0.1)]], constant=60)
    assert [row_id for row_id, _ in fused] == ["b", "a", "c"]
    assert fused[0][1] == pytest.approx(1 / 62 + 1 / 61)


@given(st.lists(RANKING, max_size=4))
def test_fusion_does_not_depend_on_the_order_of_rankings(rankings: list[list[tuple[str, float]]]) -> None:
    fused = reciprocal_rank_fusion(rankings)
    other = reciprocal_rank_fusion(rankings[::-1])
    # Sums in another order differ in their last bits, which is no reason to rank otherwise.
    assert [row_id for row_id, _ in fused] == [row_id for row_id, _ in other]
    assert [score for _, score in fused] == pytest.approx(sorted(dict(fused).values(), reverse=True))
    assert dict(fused) == pytest.approx(dict(other))
    assert {row_id for row_id, _ in fused} == {row_id for ranking in rankings for row_id, _ in ranking}
