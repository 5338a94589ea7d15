"""Fusion, reranking and the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import ConfigError, QueryError
from graphrag.llm.base import ChatRequest
from graphrag.retrieve import (
    KINDS,
    Retriever,
    RetrieverSources,
    Scorer,
    default_retriever,
    make_retriever,
    register_retriever,
    retriever_names,
)
from graphrag.retrieve.hybrid import HybridRetriever, convex_fusion, reciprocal_rank_fusion
from graphrag.retrieve.registry import _MAKERS
from graphrag.retrieve.rerank import RerankRetriever
from graphrag.retrieve.scorers import CrossEncoderScorer, QueryLikelihoodScorer, SentenceScorer
from graphrag.settings import LLMSettings, RetrievalSettings
from graphrag.store.index import Index

QUESTION = "Who commanded the steamer Halcyon until 1899?"


def sources(index: Index, **settings: Any) -> RetrieverSources:
    return RetrieverSources(index, RetrievalSettings(**settings), FakeEmbedder(256))


@dataclass(frozen=True)
class Fixed:
    found: tuple[tuple[str, float], ...]

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        return list(self.found[:k])


@dataclass(frozen=True)
class Longest:
    """Scores a text by its length: a reranker whose order is known."""

    def score(self, query: str, texts: Sequence[str]) -> np.ndarray:
        return np.array([float(len(text)) for text in texts])


def test_convex_fusion_by_hand() -> None:
    fused = convex_fusion([[("a", 9.0), ("b", 5.0), ("c", 1.0)], [("b", 0.5), ("d", 0.5)]], weights=(1, 3))
    assert dict(fused) == pytest.approx({"b": 0.875, "d": 0.75, "a": 0.25, "c": 0.0})
    assert [row_id for row_id, _ in fused] == ["b", "d", "a", "c"]


def test_weights_of_rank_fusion_count_and_ties_go_by_id() -> None:
    fused = reciprocal_rank_fusion([[("b", 1.0)], [("a", 1.0)]])
    assert [row_id for row_id, _ in fused] == ["a", "b"]
    fused = reciprocal_rank_fusion([[("b", 1.0)], [("a", 1.0)]], weights=[2.0, 1.0])
    assert [row_id for row_id, _ in fused] == ["b", "a"]


@pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0)])
def test_weights_that_do_not_fit_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="one weight above zero for each"):
        HybridRetriever((Fixed(()), Fixed(())), weights=weights)


def test_rerank_ranks_the_union_by_its_scorer(index: Index) -> None:
    by_words, by_vectors = make_retriever("bm25", sources(index)), make_retriever("dense", sources(index))
    retriever = RerankRetriever(index, (by_words, by_vectors), Longest(), depth=4)
    union = {row_id for row_id, _ in retriever.candidates(QUESTION)}
    assert {row_id for one in (by_words, by_vectors) for row_id, _ in one.search(QUESTION, 4)} <= union
    assert len(union) == 8
    found = retriever.search(QUESTION, len(union))
    assert {row_id for row_id, _ in found} == union
    lengths = [len(index.row("text_units", row_id)["text"]) for row_id, _ in found]  # type: ignore[index]
    assert lengths == sorted(lengths, reverse=True)
    everything = retriever.search(QUESTION, 100)
    assert [row_id for row_id, _ in everything[: len(found)]] == [row_id for row_id, _ in found]
    assert len(everything) == index.counts["text_units"]  # the first stage's order behind the candidates
    assert [score for _, score in everything] == sorted((s for _, s in everything), reverse=True)


def test_candidates_that_both_find_make_room_for_the_next_best(index: Index) -> None:
    one = Fixed((("a", 9.0), ("b", 8.0), ("c", 7.0), ("d", 6.0)))
    other = Fixed((("b", 9.0), ("a", 8.0), ("e", 7.0), ("c", 6.0)))
    both = RerankRetriever(index, (one, other), Longest(), depth=2)
    assert [row_id for row_id, _ in both.candidates("q")] == ["a", "b", "c", "e"]
    apart = RerankRetriever(index, (one, Fixed((("x", 2.0), ("y", 1.0)))), Longest(), depth=2)
    assert {row_id for row_id, _ in apart.candidates("q")} == {"a", "b", "x", "y"}


def test_equal_texts_are_scored_once(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphrag.retrieve.rerank.row_texts", lambda *_: ["same", "same", "other text"])
    fixed = Fixed((("a", 3.0), ("b", 2.0), ("c", 1.0)))
    found = RerankRetriever(index, (fixed,), Longest(), depth=3).search("q", 2)
    assert [row_id for row_id, _ in found] == ["c", "a"]


def test_the_first_stage_can_keep_a_say(index: Index) -> None:
    by_words = make_retriever("bm25", sources(index))
    alone = RerankRetriever(index, (by_words,), Longest(), depth=6)
    deaf = RerankRetriever(index, (by_words,), Longest(), depth=6, first_stage=1000.0)
    assert [r for r, _ in deaf.search(QUESTION, 3)] == [r for r, _ in by_words.search(QUESTION, 3)]
    assert [r for r, _ in alone.search(QUESTION, 3)] != [r for r, _ in by_words.search(QUESTION, 3)]


def test_the_nearest_sentence_counts() -> None:
    scorer = SentenceScorer(FakeEmbedder(256))
    assert isinstance(scorer, Scorer)
    far = "The bakery opened early. Rye bread sold best. The market was loud."
    scores = scorer.score("the bell of Halcyon", [far, f"{far} The bell of Halcyon hangs there."])
    assert scores[1] > scores[0]
    assert scorer.score("q", []).shape == (0,)


def test_query_likelihood_asks_for_the_question_after_each_text() -> None:
    class Model:
        async def score(self, request: ChatRequest, continuations: Sequence[str]) -> list[float]:
            assert continuations == ["Who sank?"]
            return [-1.0 if "two ships sank" in request.messages[-1].content else -9.0]

    scores = QueryLikelihoodScorer(Model()).score("Who sank?", ["bread", "In 1893 two ships sank."])
    assert scores.tolist() == [-9.0, -1.0]


def test_a_reranker_that_is_not_there_is_named(index: Index) -> None:
    with pytest.raises(ConfigError, match="no folder '/nowhere/model'"):
        CrossEncoderScorer("/nowhere/model")
    remote = RetrieverSources(
        index, RetrievalSettings(reranker="lm"), FakeEmbedder(256), LLMSettings(provider="openai")
    )
    with pytest.raises(ConfigError, match="Likelihoods need a local language model"):
        make_retriever("rerank", remote)


@pytest.mark.parametrize("kind", KINDS)
def test_words_find_rows_of_every_kind(index: Index, kind: str) -> None:
    one = RetrieverSources(index, RetrievalSettings(), FakeEmbedder(256), kind=kind)
    found = make_retriever("bm25", one).search("Jonas Brack lighthouse bread flour", 3)
    assert found
    assert all(index.row(kind, row_id) is not None for row_id, _ in found)
    assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))


@pytest.mark.parametrize("kind", ["entities", "community_reports"])
def test_every_retriever_works_on_other_kinds(index: Index, kind: str) -> None:
    one = RetrieverSources(index, RetrievalSettings(), FakeEmbedder(256), kind=kind)
    for name in ("dense", "hybrid", "rerank"):
        assert len(make_retriever(name, one).search("the keeper of the lighthouse", 2)) == 2


def test_an_unknown_kind_is_refused(index: Index) -> None:
    with pytest.raises(QueryError, match="'documents' cannot be searched"):
        make_retriever("bm25", RetrieverSources(index, RetrievalSettings(), kind="documents"))


def test_retrievers_are_put_together_by_the_settings(index: Index) -> None:
    made = make_retriever("rerank", sources(index, rerank_of=["hybrid"], hybrid_of=["dense"]))
    assert isinstance(made, Retriever)
    assert isinstance(made, RerankRetriever)
    assert isinstance(made.retrievers[0], HybridRetriever)
    with pytest.raises(ConfigError, match="hybrid of rerank of hybrid"):
        make_retriever("hybrid", sources(index, rerank_of=["hybrid"], hybrid_of=["rerank"]))
    with pytest.raises(ConfigError, match=r"no retriever 'bm52'.*There are: bm25, dense"):
        make_retriever("bm52", sources(index))


def test_a_retriever_of_ones_own_has_a_name(index: Index) -> None:
    register_retriever("fixed", lambda _: Fixed((("x", 1.0),)))
    try:
        assert "fixed" in retriever_names()
        assert make_retriever("hybrid", sources(index, hybrid_of=["fixed"])).search("q", 5)[0][0] == "x"
    finally:
        del _MAKERS["fixed"]


def test_without_vectors_words_are_the_default(index: Index) -> None:
    bare = RetrieverSources(index, RetrievalSettings(retriever="dense"))
    words = default_retriever(bare).search(QUESTION, 3)
    assert words == make_retriever("bm25", bare).search(QUESTION, 3)
