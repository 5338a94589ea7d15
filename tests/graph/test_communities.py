from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import igraph
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrag.graph.build import fold_edges
from graphrag.graph.communities import detect_communities
from graphrag.hashing import content_hash
from graphrag.schema import COMMUNITIES, RELATIONSHIPS
from graphrag.settings import CommunitySettings


def modularity(names: list[str], table: pa.Table, label: dict[str, int]) -> float:
    """Weighted modularity of a partition by igraph, of the same folded graph."""
    edges = fold_edges(names, table)
    graph = igraph.Graph(n=len(edges.ids), edges=np.column_stack((edges.low, edges.high)).tolist())
    return float(graph.modularity([label[name] for name in edges.ids], weights=edges.weight.tolist()))


def relationships(edges: list[tuple[str, str, float]]) -> pa.Table:
    rows = [(f"r{n:05}", source, target, weight) for n, (source, target, weight) in enumerate(edges)]
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return pa.table(
        {
            "id": list(columns[0]),
            "source_id": list(columns[1]),
            "predicate_id": ["p"] * len(rows),
            "target_id": list(columns[2]),
            "weight": list(columns[3]),
            "frequency": [1] * len(rows),
        },
        schema=RELATIONSHIPS.schema,
    )


def check_hierarchy(table: pa.Table, entity_ids: list[str], max_size: int) -> list[dict[str, Any]]:
    """Assert everything that holds for every hierarchy; return the rows."""
    assert table.schema == COMMUNITIES.schema
    rows: list[dict[str, Any]] = table.to_pylist()
    assert [row["community"] for row in rows] == list(range(len(rows)))
    order = [(row["level"], -row["size"], row["entity_ids"][0]) for row in rows]
    assert order == sorted(order)
    by_level: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        assert row["entity_ids"] == sorted(row["entity_ids"])
        assert row["size"] == len(row["entity_ids"]) > 0
        assert row["id"] == content_hash("community", row["level"], row["entity_ids"])
        by_level[row["level"]] += row["entity_ids"]
        if row["level"] == 0:
            assert row["parent"] == -1
        else:
            parent = rows[row["parent"]]
            assert parent["level"] == row["level"] - 1
            assert row["community"] in parent["children"]
        if row["children"]:
            assert row["size"] > max_size
            assert len(row["children"]) > 1
            inside = [member for child in row["children"] for member in rows[child]["entity_ids"]]
            assert sorted(inside) == row["entity_ids"]
    assert sorted(by_level[0]) == sorted(set(entity_ids))
    for members in by_level.values():
        assert max(Counter(members).values()) == 1
    leaves = [member for row in rows if not row["children"] for member in row["entity_ids"]]
    assert sorted(leaves) == sorted(set(entity_ids))
    return rows


def karate() -> tuple[list[str], pa.Table]:
    import igraph

    graph = igraph.Graph.Famous("Zachary")
    names = [f"n{v:02}" for v in range(graph.vcount())]
    return names, relationships([(names[a], names[b], 1.0) for a, b in graph.get_edgelist()])


@pytest.mark.parametrize("max_size", [3, 5, 10, 40])
@pytest.mark.parametrize("quality", ["modularity", "cpm"])
def test_karate_club(max_size: int, quality: Any) -> None:
    names, table = karate()
    chosen = CommunitySettings(
        max_size=max_size, quality=quality, resolution=1.0 if quality == "modularity" else 0.1
    )
    rows = check_hierarchy(detect_communities(names, table, chosen), names, max_size)
    if max_size >= 5:
        assert all(row["size"] <= max_size for row in rows if not row["children"])
    if quality == "modularity":
        top = [row for row in rows if row["level"] == 0]
        label = {member: row["community"] for row in top for member in row["entity_ids"]}
        assert modularity(names, table, label) == pytest.approx(0.4198, abs=1e-3)


def test_planted_groups_are_found() -> None:
    rng = random.Random(3)
    groups = [[f"g{g}_{n:02}" for n in range(12)] for g in range(8)]
    edges = [
        (a, b, 1.0) for group in groups for i, a in enumerate(group) for b in group[:i] if rng.random() < 0.7
    ]
    everyone = [name for group in groups for name in group]
    edges += [(rng.choice(groups[g]), rng.choice(groups[(g + 1) % 8]), 1.0) for g in range(8)]
    rows = check_hierarchy(
        detect_communities(everyone, relationships(edges), CommunitySettings(max_size=12)), everyone, 12
    )
    assert sorted(row["entity_ids"] for row in rows if row["level"] == 0) == groups


def test_an_indivisible_community_stays_whole() -> None:
    names = [f"n{n:02}" for n in range(15)]
    clique = relationships([(a, b, 1.0) for i, a in enumerate(names) for b in names[:i]])
    star = relationships([("n00", leaf, 1.0) for leaf in names[1:]])
    for table, quality in ((clique, "modularity"), (star, "modularity"), (clique, "cpm")):
        chosen = CommunitySettings(max_size=10, quality=quality, resolution=0.5)
        rows = check_hierarchy(detect_communities(names, table, chosen), names, 10)
        assert [row["size"] for row in rows] == [15]


def test_isolated_entities_and_small_components_stay() -> None:
    names = ["a", "b", "c", "d", "lonely", "z"]
    rows = check_hierarchy(
        detect_communities(names, relationships([("a", "b", 1.0), ("c", "d", 2.0)]), CommunitySettings()),
        names,
        10,
    )
    assert [row["entity_ids"] for row in rows] == [["a", "b"], ["c", "d"], ["lonely"], ["z"]]
    assert [row["title"] for row in rows] == [f"Community {n}" for n in range(4)]


def test_without_relationships_everyone_is_alone_and_without_entities_there_is_nothing() -> None:
    rows = check_hierarchy(
        detect_communities(["b", "a"], relationships([]), CommunitySettings()), ["a", "b"], 10
    )
    assert [row["entity_ids"] for row in rows] == [["a"], ["b"]]
    empty = detect_communities([], relationships([]), CommunitySettings())
    assert (empty.num_rows, empty.schema) == (0, COMMUNITIES.schema)


def test_weights_of_zero_are_no_trouble() -> None:
    rows = check_hierarchy(
        detect_communities(["a", "b", "c"], relationships([("a", "b", 0.0)]), CommunitySettings()),
        ["a", "b", "c"],
        10,
    )
    assert [row["entity_ids"] for row in rows] == [["a", "b"], ["c"]]


def test_parallel_edges_and_directions_pull_together() -> None:
    # A ring of four, where opposite pairs are held by many parallel relationships.
    ring = [("a", "b", 1.0), ("b", "c", 1.0), ("c", "d", 1.0), ("d", "a", 1.0)]
    parallel = [("a", "b", 1.0), ("b", "a", 1.0)] * 4 + [("c", "d", 1.0), ("d", "c", 1.0)] * 4
    table = detect_communities(list("abcd"), relationships(ring + parallel), CommunitySettings())
    assert table["entity_ids"].to_pylist() == [["a", "b"], ["c", "d"]]
    folded = relationships([("a", "b", 9.0), ("c", "d", 9.0), ("b", "c", 1.0), ("a", "d", 1.0)])
    assert detect_communities(list("abcd"), folded, CommunitySettings()).equals(table)


EDGE = st.tuples(st.integers(0, 24), st.integers(0, 24), st.floats(0.01, 10.0))


@settings(deadline=None, max_examples=40)
@given(st.lists(EDGE, max_size=70), st.randoms(use_true_random=False), st.sampled_from(["modularity", "cpm"]))
def test_every_graph_has_a_sound_hierarchy_that_row_order_does_not_change(
    edges: list[tuple[int, int, float]], rng: random.Random, quality: Any
) -> None:
    names = [f"n{n:02}" for n in range(25)]
    table = relationships([(names[a], names[b], w) for a, b, w in edges])
    chosen = CommunitySettings(max_size=4, quality=quality)
    found = detect_communities(names, table, chosen)
    check_hierarchy(found, names, 4)
    order = list(range(len(edges)))
    rng.shuffle(order)
    rng.shuffle(names)
    assert detect_communities(names, table.take(pa.array(order, pa.int64())), chosen).equals(found)


_SCRIPT = """
import random
from graphrag.graph.communities import detect_communities
from graphrag.schema import RELATIONSHIPS
from graphrag.settings import CommunitySettings
rng = random.Random(5)
names = {f"n{n}" for n in range(80)}
ends = [rng.choices(sorted(names), k=2) for _ in range(200)]
rows = [dict(id=f"r{n}", source_id=a, target_id=b, weight=rng.random()) for n, (a, b) in enumerate(ends)]
found = detect_communities(names, RELATIONSHIPS.of(rows), CommunitySettings(max_size=5))
print(found["id"].to_pylist(), found["children"].to_pylist())
"""


def test_another_process_finds_the_same() -> None:
    root = Path(__file__).resolve().parents[2]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] != ""


def test_real_graph_is_covered_whole(shared: Path) -> None:
    import pyarrow.parquet as pq

    folder = shared / "data" / "msgraphrag_verbs"
    edges = pq.read_table(folder / "relationships.parquet", columns=["source", "target", "weight"])
    names = sorted(
        {*pq.read_table(folder / "entities.parquet")["title"].to_pylist()}
        | {*edges["source"].to_pylist(), *edges["target"].to_pylist()}
    )
    table = relationships([tuple(row.values()) for row in edges.to_pylist()])
    found = detect_communities(names, table, CommunitySettings())
    rows = check_hierarchy(found, names, 10)
    label = {member: row["community"] for row in rows if row["level"] == 0 for member in row["entity_ids"]}
    assert modularity(names, table, label) > 0.55
    assert max(row["level"] for row in rows) >= 2
