"""From resolved relation mentions to relationships, and from relationships to a graph.

Relationships are directed and labelled, and parallel ones stay apart. Only where an algorithm
needs a simple undirected graph are they folded, by summing weights.

Sums are taken in sorted order, because a float sum depends on it and the order of the rows must
not show in an index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrag.errors import StageError
from graphrag.hashing import content_hash
from graphrag.schema import RELATION_RELATIONSHIPS, RELATIONSHIPS

if TYPE_CHECKING:
    pass

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DEGREES = pa.schema([pa.field("entity_id", pa.string()), pa.field("degree", pa.int64())])


class BuiltRelationships(NamedTuple):
    """Relationships, which mention supports which, and how many mentions were self loops."""

    relationships: pa.Table  # schema.RELATIONSHIPS, sorted by id
    links: pa.Table  # schema.RELATION_RELATIONSHIPS, sorted by mention_id
    self_loops: int


@dataclass(frozen=True, slots=True)
class FoldedEdges:
    """A simple undirected weighted graph: vertex i is ``ids[i]``; ``low < high`` in every edge.

    ``ids`` are sorted and distinct; edges are sorted by (low, high).
    """

    ids: list[str]
    low: Integers
    high: Integers
    weight: Floats


def build_relationships(
    relation_mentions: pa.Table,
    mention_entities: pa.Table,
    predicates: Mapping[str, str],
    pair_weights: pa.Table | None = None,
) -> BuiltRelationships:
    """Group relation mentions by (source entity, predicate, target entity).

    ``predicates`` maps each surface phrase to a predicate id. A relationship's weight is the sum
    of its mentions' strengths (null counts as 1) and its frequency the number of mentions.
    Mentions whose two ends resolved to the same entity make no relationship; they are counted.

    ``pair_weights`` gives weights of entity pairs, for instance PMI (columns ``low``, ``high``: ids in
    ascending order, ``weight``). The relationships of such a pair share its weight in proportion to
    their summed strengths, so that the folded edge weighs what was given. A pair that is not in it keeps
    its strengths.

    The result does not depend on the order of any input's rows.

    Raises:
        StageError: a mention's end has no entity, or its phrase no predicate.
    """
    if relation_mentions.num_rows == 0:
        return BuiltRelationships(RELATIONSHIPS.of([]), RELATION_RELATIONSHIPS.of([]), 0)
    mention_ids = _strings(relation_mentions["id"])
    source = _entities_of(relation_mentions["head_id"], mention_ids, mention_entities)
    target = _entities_of(relation_mentions["tail_id"], mention_ids, mention_entities)
    predicate = _predicates_of(relation_mentions["predicate"], predicates)
    strength = _numbers(pc.fill_null(relation_mentions["strength"], 1.0))

    kept = _numbers(pc.not_equal(source, target)).astype(bool)
    self_loops = int(len(kept) - kept.sum())
    (source_codes, sources), (target_codes, targets) = _codes(source), _codes(target)
    predicate_codes, labels = _codes(predicate)
    key = (source_codes * len(labels) + predicate_codes) * len(targets) + target_codes

    rows = np.flatnonzero(kept)
    order = rows[np.lexsort((strength[rows], key[rows]))]
    first, counts = _runs(key[order])
    heads = order[first]
    weight = _sums(strength[order], first)
    ends = [
        pc.take(names, pa.array(codes[heads]))
        for names, codes in ((sources, source_codes), (labels, predicate_codes), (targets, target_codes))
    ]
    ids = pa.array(
        (
            content_hash("relationship", *triple)
            for triple in zip(*(part.to_pylist() for part in ends), strict=True)
        ),
        pa.string(),
        size=len(heads),
    )
    if pair_weights is not None:
        weight = _shared(weight, ends[0], ends[2], ids, pair_weights)

    relationships = pa.table(
        [ids, *ends, pa.array(weight, pa.float64()), pa.array(counts, pa.int64())],
        schema=RELATIONSHIPS.schema,
    ).sort_by("id")
    links = pa.table(
        [
            pc.take(mention_ids, pa.array(order)),
            pc.take(ids, pa.array(np.repeat(np.arange(len(counts)), counts))),
        ],
        schema=RELATION_RELATIONSHIPS.schema,
    ).sort_by("mention_id")
    return BuiltRelationships(relationships, links, self_loops)


def degrees(relationships: pa.Table) -> pa.Table:
    """Count the relationships at each entity (columns ``entity_id``, ``degree``), sorted by entity.

    Parallel relationships count each; an entity without any has no row.
    """
    ends = pa.chunked_array(
        [*relationships["source_id"].chunks, *relationships["target_id"].chunks], pa.string()
    )
    counted = pc.value_counts(ends)
    table = pa.table([counted.field("values"), counted.field("counts")], schema=DEGREES)
    return table.sort_by("entity_id")


def fold_edges(entity_ids: Sequence[str] | pa.ChunkedArray, relationships: pa.Table) -> FoldedEdges:
    """Fold relationships into a simple undirected weighted graph over ``entity_ids``.

    Directions and parallel relationships are folded by summing weights; self loops are left out.
    Independent of the order of both inputs.

    Raises:
        ValueError: a relationship leads to an entity that is not given, or has a weight that is
            negative or not finite.
    """
    given = entity_ids.to_pylist() if isinstance(entity_ids, pa.ChunkedArray) else entity_ids
    ids = sorted(set(given))
    vertices = pa.array(ids, pa.string())
    ends = [_positions(relationships[column], vertices) for column in ("source_id", "target_id")]
    low, high = np.minimum(*ends), np.maximum(*ends)
    weight = _numbers(relationships["weight"])
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError("Weights of relationships must be finite and not negative.")
    rows = np.flatnonzero(low < high)
    key = low * len(ids) + high
    order = rows[np.lexsort((weight[rows], key[rows]))]
    first, _ = _runs(key[order])
    heads = order[first]
    return FoldedEdges(ids, low[heads], high[heads], _sums(weight[order], first))


def _strings(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())


def _numbers(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = np.asarray(column.to_numpy(zero_copy_only=False))
    return values


def _codes(values: pa.Array) -> tuple[Integers, pa.Array]:
    encoded = values.dictionary_encode()
    return _numbers(encoded.indices).astype(np.int64), encoded.dictionary


def _runs(sorted_keys: Integers) -> tuple[Integers, Integers]:
    """Return where each run of equal keys begins, and its length."""
    begins = np.flatnonzero(np.diff(sorted_keys, prepend=sorted_keys[:1] - 1))
    return begins, np.diff(begins, append=len(sorted_keys))


def _sums(values: Floats, first: Integers) -> Floats:
    return np.add.reduceat(values, first) if len(first) else np.zeros(0)


def _entities_of(ends: pa.ChunkedArray, mention_ids: pa.Array, mention_entities: pa.Table) -> pa.Array:
    at = pc.index_in(_strings(ends), value_set=_strings(mention_entities["mention_id"]))
    if at.null_count:
        row = pc.index(pc.is_null(at), True).as_py()
        raise StageError(
            f"{at.null_count} relation mentions point to an entity mention without an entity, "
            f"the first is {mention_ids[row].as_py()}.",
            hint="Run the resolution again.",
        )
    return pc.take(_strings(mention_entities["entity_id"]), at)


def _predicates_of(phrases: pa.ChunkedArray, predicates: Mapping[str, str]) -> pa.Array:
    encoded = _strings(phrases).dictionary_encode()
    surface = encoded.dictionary.to_pylist()
    missing = sorted(phrase for phrase in surface if phrase not in predicates)
    if missing:
        raise StageError(
            f"{len(missing)} predicate phrases are not in the vocabulary, the first is {missing[0]!r}.",
            hint="Run the canonicalisation of predicates again.",
        )
    return pc.take(pa.array([predicates[phrase] for phrase in surface], pa.string()), encoded.indices)


def _shared(
    weight: Floats, sources: pa.Array, targets: pa.Array, ids: pa.Array, pair_weights: pa.Table
) -> Floats:
    """Divide each pair's given weight among its relationships."""
    vertices = pc.unique(pa.concat_arrays([sources, targets]))
    vertices = pc.take(vertices, pc.sort_indices(vertices))
    pair = _pair_keys(sources, targets, vertices)
    rank = np.empty(len(ids), dtype=np.int64)
    rank[_numbers(pc.sort_indices(ids)).astype(np.int64)] = np.arange(len(ids))
    order = np.lexsort((rank, pair))
    first, counts = _runs(pair[order])
    totals = np.zeros(len(weight))
    totals[order] = np.repeat(_sums(weight[order], first), counts)
    sharers = np.zeros(len(weight))
    sharers[order] = np.repeat(counts, counts)
    part = np.divide(weight, totals, out=1.0 / sharers, where=totals > 0)
    known = _pair_keys(pair_weights["low"], pair_weights["high"], vertices)
    values = _numbers(pair_weights["weight"])
    by_key = np.argsort(known, kind="stable")
    at = np.minimum(np.searchsorted(known[by_key], pair), max(len(known) - 1, 0))
    given = np.full(len(pair), np.nan)
    if len(known):
        given = np.where(known[by_key][at] == pair, values[by_key][at], np.nan)
    return np.where(np.isnan(given), weight, given * part)


def _pair_keys(one: pa.Array, other: pa.Array, vertices: pa.Array) -> Integers:
    """Return one number per pair of ids, whatever their order; -1 where an id is not in ``vertices``."""
    ends = [_numbers(pc.fill_null(pc.index_in(ids, value_set=vertices), -1)) for ids in (one, other)]
    low, high = np.minimum(*ends).astype(np.int64), np.maximum(*ends).astype(np.int64)
    return np.where(low < 0, -1, low * len(vertices) + high)


def _positions(column: pa.ChunkedArray, vertices: pa.Array) -> Integers:
    at = pc.index_in(_strings(column), value_set=vertices)
    if at.null_count:
        row = pc.index(pc.is_null(at), True).as_py()
        raise ValueError(
            f"{at.null_count} ends of relationships are not among the entities, "
            f"the first is {column[row].as_py()!r}."
        )
    return _numbers(at).astype(np.int64)
