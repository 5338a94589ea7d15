from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrag.graph.paths import Budget, PathGraph, PathTrie

NODES = 6
triples = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, 2), st.integers(0, NODES - 1)),
    min_size=1,
    max_size=20,
)


def graph_of(rows: list[tuple[int, int, int]], n_nodes: int = NODES) -> PathGraph:
    heads, relations, tails = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return PathGraph(heads, relations, tails, [f"n{i}" for i in range(n_nodes)], ["a", "b", "c"])


def walks_by_hand(
    rows: list[tuple[int, int, int]], start: int, path: tuple[int, ...]
) -> set[tuple[int, ...]]:
    """Return all walks (as edges with their nodes) along ``path`` that never come back to ``start``."""
    found = {((start,), ())}
    for step in path:
        backwards, relation = divmod(step, 3)
        found = {
            ((*nodes, there), (*edges, edge))
            for nodes, edges in found
            for edge, (head, label, tail) in enumerate(rows)
            for here, there in [(tail, head) if backwards else (head, tail)]
            if label == relation and here == nodes[-1] and there != start
        }
    return found


@settings(max_examples=60, deadline=None)
@given(triples, st.integers(0, NODES - 1), st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_grounding_gives_exactly_the_walks_of_the_relation_path(rows, start, path) -> None:
    trie = PathTrie(graph_of(rows), [start])
    expected = walks_by_hand(rows, start, tuple(path))
    found = trie.walks(tuple(path), per_end=1000)
    assert {(walk.nodes, walk.edges) for walk in found} == expected
    assert len(found) == len(expected)
    assert trie.ends(tuple(path)).tolist() == sorted({nodes[-1] for nodes, _ in expected})
    assert trie.exists(tuple(path)) == bool(expected)
    assert all(trie.graph.is_walk(walk, tuple(path)) for walk in found)


@settings(max_examples=40, deadline=None)
@given(triples, st.integers(0, NODES - 1))
def test_trie_holds_exactly_the_paths_that_exist(rows, start) -> None:
    trie = PathTrie(graph_of(rows), [start])
    by_hand = [
        path
        for hops in (1, 2, 3)
        for path in itertools.product(range(6), repeat=hops)
        if walks_by_hand(rows, start, path)
    ]
    assert list(trie.paths(3)) == by_hand


def test_reachable_nodes_are_those_of_networkx() -> None:
    rows = [(0, 0, 1), (1, 1, 2), (2, 0, 3), (1, 0, 3), (3, 2, 4), (5, 0, 4)]
    trie = PathTrie(graph_of(rows), [0])
    graph = nx.MultiGraph([(head, tail) for head, _, tail in rows])
    distance = nx.single_source_shortest_path_length(graph, 0, cutoff=3)
    reached = {int(end) for path in trie.paths(3) for end in trie.ends(path)}
    assert reached == set(distance) - {0}


def test_parallel_edges_and_both_directions_are_kept() -> None:
    graph = graph_of([(0, 0, 1), (0, 1, 1), (1, 0, 0)])
    assert [graph.path_names(path) for path in PathTrie(graph, [0]).paths(1)] == [("a",), ("b",), ("~a",)]
    assert graph.step("~b") == 4
    assert graph.step("z") is None
    assert graph.path(["a", "z"]) is None


def test_a_graph_without_edges_forgets_only_those() -> None:
    graph = graph_of([(0, 0, 1), (0, 1, 1), (1, 0, 2)])
    less = graph.without([1])
    assert [less.path_names(path) for path in PathTrie(less, [0]).paths(2)] == [("a",), ("a", "a")]
    assert len(list(PathTrie(graph, [0]).paths(2))) == 4
    assert list(PathTrie(less.without([0]), [0]).paths(2)) == []


def test_a_hub_is_cut_by_score_and_always_alike() -> None:
    n = 100_001
    heads = np.zeros(n - 1, dtype=np.int64)
    tails = np.arange(1, n, dtype=np.int64)
    graph = PathGraph(heads, np.zeros(n - 1, dtype=np.int64), tails, [str(i) for i in range(n)], ["has"])
    scores = np.zeros(n)
    scores[[77, 99_999]] = 1.0
    tries = [PathTrie(graph, [0], budget=Budget(max_nodes=3), scores=scores) for _ in range(2)]
    assert [trie.ends((0,)).tolist() for trie in tries] == [[1, 77, 99_999]] * 2
    assert tries[0].cuts == 1
    assert len(tries[0].walks((0,))) == 3
    assert list(tries[0].paths(9)) == [(0,)]  # longer than the diameter: nothing follows


def test_a_budget_of_edges_still_looks_at_one_node() -> None:
    graph = graph_of([(0, 0, tail) for tail in range(1, NODES)])
    assert PathTrie(graph, [0], budget=Budget(max_edges=2)).continuations(()) == {0: 5}


def test_cycles_end_at_the_number_of_hops() -> None:
    graph = graph_of([(0, 0, 1), (1, 0, 2), (2, 0, 1)])
    assert max(len(path) for path in PathTrie(graph, [0]).paths(5)) == 5


def test_most_supported_ends_come_first() -> None:
    graph = graph_of([(0, 0, 1), (0, 0, 2), (1, 1, 3), (2, 1, 4), (1, 1, 4)])
    assert PathTrie(graph, [0]).ranked_ends((0, 1)).tolist() == [4, 3]


@pytest.mark.parametrize("may_return", [False, True])
def test_the_start_is_no_answer_unless_allowed(may_return: bool) -> None:
    trie = PathTrie(graph_of([(0, 0, 1), (2, 0, 1)]), [0], may_return=may_return)
    assert trie.ends((0, 3)).tolist() == ([0, 2] if may_return else [2])
