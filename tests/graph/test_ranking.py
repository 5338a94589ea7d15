from __future__ import annotations

import pyarrow as pa
import pytest

from graphrag.graph.build import degrees, to_igraph
from graphrag.graph.ranking import combined_degrees, personalized_pagerank, rank_by_degree
from graphrag.schema import RELATIONSHIPS


def relationships(*edges: tuple[str, str, float]) -> pa.Table:
    return RELATIONSHIPS.of(
        [
            {"id": f"r{n}", "source_id": a, "predicate_id": "p", "target_id": b, "weight": w, "frequency": 1}
            for n, (a, b, w) in enumerate(edges)
        ]
    )


CHAIN = relationships(("a", "b", 1.0), ("b", "c", 1.0), ("c", "d", 1.0))


def test_nearer_to_the_seed_scores_higher() -> None:
    graph = to_igraph(["a", "b", "c", "d", "e"], CHAIN)
    scores = personalized_pagerank(graph, {"a": 1.0})
    assert scores.sum() == pytest.approx(1.0)
    assert scores[0] > scores[2] > scores[3] > scores[4] == pytest.approx(0.0)


def test_edge_weights_and_seed_weights_count() -> None:
    graph = to_igraph(["a", "b", "c"], relationships(("a", "b", 9.0), ("a", "c", 1.0)))
    scores = personalized_pagerank(graph, {"a": 1.0})
    assert scores[1] == pytest.approx(9 * scores[2])
    pair = to_igraph(["a", "b"], relationships())
    assert personalized_pagerank(pair, {"a": 3.0, "b": 1.0}).tolist() == pytest.approx([0.75, 0.25])


def test_unusable_seeds_are_errors() -> None:
    graph = to_igraph(["a", "b", "c", "d"], CHAIN)
    with pytest.raises(KeyError, match="nobody"):
        personalized_pagerank(graph, {"nobody": 1.0})
    for seeds in ({}, {"a": 0.0}, {"a": 2.0, "b": -1.0}):
        with pytest.raises(ValueError, match="seeds"):
            personalized_pagerank(graph, seeds)


def test_degrees_combine_and_rank() -> None:
    counted = degrees(CHAIN)
    assert combined_degrees(CHAIN, counted).to_pylist() == [3, 4, 3]
    assert rank_by_degree(counted) == ["b", "c", "a", "d"]
    nothing = relationships()
    assert combined_degrees(nothing, degrees(nothing)).to_pylist() == []
    assert rank_by_degree(degrees(nothing)) == []
