"""An update moves what has changed and nothing else."""

from __future__ import annotations

import random

import igraph
import numpy as np
import pyarrow as pa
import pytest

from graphrag.graph.communities import detect_communities
from graphrag.graph.seeds import Seeds, connected_labels, seeds_from
from graphrag.schema import RELATIONSHIPS
from graphrag.settings import CommunitySettings

Edge = tuple[str, str]


def table(edges: list[Edge]) -> pa.Table:
    rows = [
        {"id": f"{a}>{b}", "source_id": a, "predicate_id": "p", "target_id": b, "weight": 1.0, "frequency": 1}
        for a, b in sorted(set(edges))
    ]
    return RELATIONSHIPS.of(rows)


def blocks(count: int, size: int, seed: int = 0) -> list[Edge]:
    """Return a graph of dense blocks in a loose ring."""
    rng = random.Random(seed)
    names = [[f"n{block:02}{member:02}" for member in range(size)] for block in range(count)]
    edges = [(a, b) for block in names for i, a in enumerate(block) for b in block[:i] if rng.random() < 0.5]
    edges += [(rng.choice(names[i - 1]), rng.choice(names[i])) for i in range(count) for _ in range(3)]
    return edges


def ids_of(edges: list[Edge]) -> list[str]:
    return sorted({end for edge in edges for end in edge})


def detect(edges: list[Edge], seeds: Seeds | None = None, **settings: object) -> pa.Table:
    return detect_communities(ids_of(edges), table(edges), CommunitySettings(**settings), seeds)  # type: ignore[arg-type]


def seeds(before: list[Edge], now: list[Edge], found: pa.Table) -> Seeds:
    def around(edges: list[Edge], node: str) -> set[Edge]:
        return {edge for edge in edges if node in edge}

    ids = ids_of(now)
    return seeds_from(ids, found, [around(before, one) == around(now, one) for one in ids])


def members(found: pa.Table, level: int = 0) -> set[frozenset[str]]:
    return {frozenset(row["entity_ids"]) for row in found.to_pylist() if row["level"] == level}


@pytest.mark.parametrize("quality", ["modularity", "cpm"])
def test_without_a_change_the_partition_is_the_one_before(quality: str) -> None:
    edges = blocks(8, 14)
    settings = {"quality": quality, "resolution": 1.0 if quality == "modularity" else 0.05}
    found = detect(edges, **settings)
    assert max(found["level"].to_pylist()) >= 1
    assert detect(edges, seeds(edges, edges, found), **settings) == found


def test_a_new_entity_joins_its_neighbours_and_all_others_stay() -> None:
    before = blocks(8, 14)
    found = detect(before)
    now = [*before, *((f"n02{n:02}", "new") for n in range(6))]
    updated = detect(now, seeds(before, now, found))
    stayed = members(found) & members(updated)
    assert len(stayed) == len(members(found)) - 1
    (grown,) = members(updated) - stayed
    assert grown - {"new"} in members(found)
    # Where nothing has changed the deeper levels are the same too.
    untouched = {one for one in members(found, 1) if not any(name.startswith("n02") for name in one)}
    assert untouched <= members(updated, 1)


def test_an_update_is_close_to_a_fresh_partition() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    before = blocks(10, 14, seed=1)
    rng = random.Random(2)
    names = ids_of(before)
    now = [*before, *((f"new{n}", rng.choice(names)) for n in range(12) for _ in range(3))]
    seeded, fresh = detect(now, seeds(before, now, detect(before))), detect(now)

    def labels(found: pa.Table) -> list[int]:
        number = {one: n for n, group in enumerate(sorted(map(sorted, members(found)))) for one in group}
        return [number[one] for one in ids_of(now)]

    assert metrics.adjusted_mutual_info_score(labels(seeded), labels(fresh)) > 0.8
    graph = igraph.Graph.TupleList(sorted(set(now)), directed=False)
    place = {vertex["name"]: vertex.index for vertex in graph.vs}

    def modularity(found: pa.Table) -> float:
        membership = [0] * len(place)
        for name, label in zip(ids_of(now), labels(found), strict=True):
            membership[place[name]] = label
        return float(graph.modularity(membership))

    assert modularity(seeded) > 0.95 * modularity(fresh)


def test_a_community_that_loses_its_middle_falls_apart() -> None:
    left, right = ["a1", "a2", "a3"], ["b1", "b2", "b3"]
    before = [
        *((x, y) for group in (left, right) for x in group for y in group if x < y),
        *((one, "middle") for one in (*left, *right)),
    ]
    found = detect(before, resolution=0.1)
    assert members(found) == {frozenset({*left, *right, "middle"})}
    now = [edge for edge in before if "middle" not in edge]
    fixed = seeds_from(ids_of(now), found, [True] * 6)
    assert members(detect(now, fixed, resolution=0.1)) == {frozenset(left), frozenset(right)}


def test_labels_are_split_into_connected_parts() -> None:
    pairs = np.array([[0, 1], [2, 3], [1, 4]])
    labels = connected_labels(pairs, np.array([7, 7, 7, 7, 8]))
    assert labels[0] == labels[1] != labels[2] == labels[3]
    assert len(set(labels.tolist())) == 3
