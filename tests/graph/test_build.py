from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrag.errors import StageError
from graphrag.graph.build import build_relationships, degrees, fold_edges
from graphrag.hashing import content_hash
from graphrag.schema import MENTION_ENTITIES, RELATION_MENTIONS, RELATION_RELATIONSHIPS, RELATIONSHIPS

PREDICATES = {"works for": "p:work", "is employed by": "p:work", "hates": "p:hate"}


def mentions(*facts: tuple[str, str, str, float | None]) -> pa.Table:
    """Relation mentions m0, m1, …; an end "a1" is a mention of the entity "A"."""
    return RELATION_MENTIONS.of(
        [
            {
                "id": f"m{number:03}",
                "head_id": head,
                "predicate": phrase,
                "tail_id": tail,
                "strength": strength,
            }
            for number, (head, phrase, tail, strength) in enumerate(facts)
        ]
    )


def entities_of(*names: str) -> pa.Table:
    return MENTION_ENTITIES.of([{"mention_id": name, "entity_id": name[0].upper()} for name in names])


def weighing(pairs: dict[tuple[str, str], float]) -> pa.Table:
    low, high = ([pair[side] for pair in pairs] for side in (0, 1))
    return pa.table({"low": low, "high": high, "weight": list(pairs.values())})


ENDS = entities_of("a1", "a2", "b1", "b2", "c1")


def test_mentions_of_the_same_fact_become_one_relationship() -> None:
    table = mentions(("a1", "works for", "b1", 2.0), ("a2", "is employed by", "b2", 5.0))
    relationships, links, loops = build_relationships(table, ENDS, PREDICATES)
    assert relationships.schema == RELATIONSHIPS.schema
    assert links.schema == RELATION_RELATIONSHIPS.schema
    (row,) = relationships.to_pylist()
    assert row["id"] == content_hash("relationship", "A", "p:work", "B")
    assert (row["source_id"], row["predicate_id"], row["target_id"]) == ("A", "p:work", "B")
    assert (row["weight"], row["frequency"], loops) == (7.0, 2, 0)
    assert links.to_pylist() == [{"mention_id": f"m00{n}", "relationship_id": row["id"]} for n in (0, 1)]


def test_direction_and_parallel_relationships_are_kept() -> None:
    table = mentions(
        ("a1", "works for", "b1", 1.0), ("b1", "works for", "a1", 1.0), ("a1", "hates", "b1", 1.0)
    )
    relationships = build_relationships(table, ENDS, PREDICATES).relationships
    found = {(r["source_id"], r["predicate_id"], r["target_id"]) for r in relationships.to_pylist()}
    assert found == {("A", "p:work", "B"), ("B", "p:work", "A"), ("A", "p:hate", "B")}
    assert relationships["id"].to_pylist() == sorted(relationships["id"].to_pylist())


def test_self_loops_after_resolution_are_dropped_and_counted() -> None:
    table = mentions(("a1", "hates", "a2", 3.0), ("a1", "hates", "b1", 1.0))
    relationships, links, loops = build_relationships(table, ENDS, PREDICATES)
    assert loops == 1
    assert relationships["target_id"].to_pylist() == ["B"]
    assert links["mention_id"].to_pylist() == ["m001"]


def test_missing_strength_counts_as_one() -> None:
    built = build_relationships(mentions(("a1", "hates", "b1", None)), ENDS, PREDICATES)
    assert built.relationships["weight"].to_pylist() == [1.0]


def test_parallel_relationships_share_the_weight_of_their_pair() -> None:
    table = mentions(
        ("a1", "works for", "b1", 1.0),
        ("b1", "hates", "a1", 3.0),
        ("a1", "hates", "c1", 9.0),
    )
    relationships = build_relationships(table, ENDS, PREDICATES, weighing({("A", "B"): 2.0})).relationships
    by_ends = {(r["source_id"], r["target_id"]): r["weight"] for r in relationships.to_pylist()}
    assert by_ends == {("A", "B"): 0.5, ("B", "A"): 1.5, ("A", "C"): 9.0}
    folded = fold_edges(["A", "B", "C"], relationships)
    assert folded.weight.tolist() == [2.0, 9.0]


def test_pair_of_strength_zero_shares_evenly() -> None:
    table = mentions(("a1", "works for", "b1", 0.0), ("a1", "hates", "b1", 0.0))
    relationships = build_relationships(table, ENDS, PREDICATES, weighing({("A", "B"): 3.0})).relationships
    assert relationships["weight"].to_pylist() == [1.5, 1.5]


def test_nothing_gives_empty_tables_of_the_right_form() -> None:
    relationships, links, loops = build_relationships(mentions(), ENDS, PREDICATES)
    assert (relationships.num_rows, links.num_rows, loops) == (0, 0, 0)
    assert relationships.schema == RELATIONSHIPS.schema
    assert degrees(relationships).num_rows == 0
    only_loops = build_relationships(mentions(("a1", "hates", "a2", 3.0)), ENDS, PREDICATES)
    assert (only_loops.relationships.num_rows, only_loops.self_loops) == (0, 1)


def test_a_mention_without_entity_is_an_error() -> None:
    with pytest.raises(StageError, match="m000"):
        build_relationships(mentions(("z1", "hates", "b1", 1.0)), ENDS, PREDICATES)


def test_an_unknown_phrase_is_an_error() -> None:
    with pytest.raises(StageError, match="adores"):
        build_relationships(mentions(("a1", "adores", "b1", 1.0)), ENDS, PREDICATES)


FACT = st.tuples(
    st.sampled_from(["a1", "a2", "b1", "b2", "c1"]),
    st.sampled_from(sorted(PREDICATES)),
    st.sampled_from(["a1", "a2", "b1", "b2", "c1"]),
    st.floats(0.001, 10.0),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(FACT, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_show(
    facts: list[tuple[str, str, str, float]], random_: random.Random
) -> None:
    table = mentions(*facts)
    order = list(range(len(facts)))
    random_.shuffle(order)
    pairs = weighing({("A", "B"): 0.3})
    one = build_relationships(table, ENDS, PREDICATES, pairs)
    other = build_relationships(
        table.take(pa.array(order, pa.int64())), ENDS.take([4, 2, 0, 1, 3]), PREDICATES, pairs
    )
    assert one.relationships.equals(other.relationships)
    assert one.links.equals(other.links)
    assert one.self_loops == other.self_loops
    assert one.self_loops + one.links.num_rows == len(facts)
    assert degrees(one.relationships).equals(degrees(other.relationships.sort_by("weight")))


def test_degrees_count_every_relationship_at_an_entity() -> None:
    table = mentions(("a1", "works for", "b1", 1.0), ("b1", "hates", "a1", 1.0), ("a1", "hates", "c1", 1.0))
    counted = degrees(build_relationships(table, ENDS, PREDICATES).relationships)
    assert counted.to_pylist() == [
        {"entity_id": "A", "degree": 3},
        {"entity_id": "B", "degree": 2},
        {"entity_id": "C", "degree": 1},
    ]


def test_the_folded_graph_is_simple_weighted_and_holds_isolated_entities() -> None:
    table = mentions(("c1", "works for", "b1", 1.0), ("b1", "hates", "c1", 2.5), ("a1", "hates", "c1", 1.0))
    edges = fold_edges(["D", "C", "A", "B"], build_relationships(table, ENDS, PREDICATES).relationships)
    assert edges.ids == ["A", "B", "C", "D"]
    assert edges.low.tolist() == [0, 1]
    assert edges.high.tolist() == [2, 2]
    assert edges.weight.tolist() == [1.0, 3.5]


def test_an_end_outside_of_the_graph_and_a_negative_weight_are_errors() -> None:
    relationships = build_relationships(mentions(("a1", "hates", "b1", 1.0)), ENDS, PREDICATES).relationships
    with pytest.raises(ValueError, match="'B'"):
        fold_edges(["A"], relationships)
    negative = relationships.set_column(4, "weight", pa.array([-1.0]))
    with pytest.raises(ValueError, match="negative"):
        fold_edges(["A", "B"], negative)


def test_sums_are_those_of_numpy() -> None:
    rng = np.random.default_rng(1)
    ends = rng.integers(0, 26, (500, 2))
    strength = rng.random(500)
    names = [chr(97 + n) for n in range(26)]
    table = mentions(*((names[a], "hates", names[b], s) for (a, b), s in zip(ends, strength, strict=True)))
    relationships = build_relationships(table, entities_of(*names), PREDICATES).relationships
    for row in relationships.slice(0, 50).to_pylist():
        here = (ends[:, 0] == ord(row["source_id"]) - 65) & (ends[:, 1] == ord(row["target_id"]) - 65)
        assert row["frequency"] == here.sum()
        assert row["weight"] == pytest.approx(strength[here].sum())
