from __future__ import annotations

import numpy as np
import pytest

from graphrag.graph.paths import PathGraph
from graphrag.graph.pruning import flow_paths


def graph_of(rows: list[tuple[int, int]], n: int) -> PathGraph:
    heads, tails = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return PathGraph(heads, np.zeros(len(rows), dtype=np.int64), tails, [str(i) for i in range(n)], ["r"])


def test_flow_decays_and_divides() -> None:
    graph = graph_of([(0, 1), (1, 2)], 3)
    (only,) = flow_paths(graph, [2, 0])
    assert only.walk.nodes == (0, 1, 2)
    # 0 holds 1 and has one neighbour: 0.8 arrives; 1 has two: 0.8 * 0.8 / 2 arrives.
    assert only.score == pytest.approx((1 + 0.8 + 0.32) / 3)


def test_a_path_around_a_hub_is_stronger_than_one_through_it() -> None:
    hub = [(1, leaf) for leaf in range(4, 40)]
    graph = graph_of([(0, 1), (1, 3), (0, 2), (2, 3), *hub], 40)
    found = flow_paths(graph, [0, 3])
    assert found[0].walk.nodes == (0, 2, 3)
    assert found == flow_paths(graph, [3, 0, 3])
    assert flow_paths(graph, [0, 3], k=1) == found[:1]
    assert all(graph.is_walk(one.walk, one.path) for one in found)


def test_it_stays_bounded_among_hubs_and_cycles() -> None:
    dice = np.random.default_rng(0)
    rows = dice.integers(0, 300, size=(4000, 2)).tolist()
    found = flow_paths(graph_of([tuple(row) for row in rows], 300), [0, 1, 2], max_hops=4)
    assert len(found) <= 15
    assert all(len(set(one.walk.nodes)) == len(one.walk.nodes) for one in found)
    assert flow_paths(graph_of([(0, 1)], 3), [0, 2]) == []
