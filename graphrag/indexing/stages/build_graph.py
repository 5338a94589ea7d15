"""Make the directed, labelled multigraph: predicates and relationships from relation mentions."""

from __future__ import annotations

import asyncio

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrag.extract.nlp_relations import pmi_weights
from graphrag.extract.predicates import canonicalise_predicates
from graphrag.graph.build import Integers, build_relationships
from graphrag.indexing.embedding_cache import StoredEmbedder, Tolerant
from graphrag.indexing.rows import fail
from graphrag.indexing.stage import Stage, StageContext

CO_OCCURRENCE = "related to"  # what extraction without an LLM says of a pair that no verb connects
_LEAST_WEIGHT = 0.05  # a pair that a verb connects counts, however little its words attract each other

_MENTIONS = "SELECT id, head_id, predicate, tail_id, strength FROM relation_mentions ORDER BY id"
_RELATIONS = """
SELECT m.predicate, h.title AS head, t.title AS tail, h.type AS head_type, t.type AS tail_type,
       count(*) AS frequency
FROM kept m
JOIN mention_entities hm ON hm.mention_id = m.head_id JOIN entities h ON h.id = hm.entity_id
JOIN mention_entities tm ON tm.mention_id = m.tail_id JOIN entities t ON t.id = tm.entity_id
GROUP BY ALL ORDER BY ALL
"""
_PAIRS = """
SELECT least(hm.entity_id, tm.entity_id) AS low, greatest(hm.entity_id, tm.entity_id) AS high,
       m.text_unit_id, m.predicate
FROM relation_mentions m
JOIN mention_entities hm ON hm.mention_id = m.head_id
JOIN mention_entities tm ON tm.mention_id = m.tail_id
ORDER BY m.id
"""


async def run(context: StageContext) -> None:
    """Build the graph anew; equal mentions and entities give an equal graph."""
    store, settings = context.store, context.settings
    mentions = store.sql(_MENTIONS)
    weights = None
    if settings.extraction.method == "nlp" and mentions.num_rows:
        weights, keep = _weigh_co_occurrence(context)
        mentions = mentions.filter(keep)
    embedder = Tolerant(StoredEmbedder(context)) if settings.resolution.enabled else None
    # In a thread of its own: an endpoint may take its time, and the loop has to hear that the run is to stop.
    vocabulary = await asyncio.to_thread(
        canonicalise_predicates,
        store.sql(_RELATIONS, kept=mentions),
        embedder=embedder,
        settings=settings.resolution,
    )
    predicates = dict(
        zip(
            vocabulary.surfaces["surface"].to_pylist(),
            vocabulary.surfaces["predicate_id"].to_pylist(),
            strict=True,
        )
    )
    built = build_relationships(mentions, store.table("mention_entities"), predicates, weights)
    with store.transaction():
        store.replace("predicates", vocabulary.predicates)
        store.replace("relationships", built.relationships)
        store.replace("relation_relationships", built.links)
        fail(context, STAGE.name, embedder.failures if embedder else {}, STAGE.row_fingerprint(context))


def _weigh_co_occurrence(context: StageContext) -> tuple[pa.Table, pa.Array]:
    """Return the weight of every pair of entities, and which relation mentions are kept.

    A pair weighs its number of text units times its normalised PMI. Mentions that no verb connects
    are dropped below ``extraction.min_pmi``.
    """
    pairs = context.store.sql(_PAIRS)
    names = pc.unique(pa.chunked_array([*pairs["low"].chunks, *pairs["high"].chunks]))
    names = pc.take(names, pc.sort_indices(names))
    low, high = (_numbers(pc.index_in(pairs[column], value_set=names)) for column in ("low", "high"))
    units = _numbers(pairs["text_unit_id"].combine_chunks().dictionary_encode().indices)
    first, second, pmi, counts = pmi_weights(low, high, units)
    weights = pa.table(
        {
            "low": pc.take(names, pa.array(first)),
            "high": pc.take(names, pa.array(second)),
            "weight": np.maximum(pmi, _LEAST_WEIGHT) * counts,
        }
    )
    keys = first * len(names) + second  # in order, as the pairs are
    at = np.searchsorted(keys, low * len(names) + high)
    is_pair = low != high  # both ends of a mention may have become one entity
    is_weak = is_pair & (np.append(pmi, np.inf)[at] < context.settings.extraction.min_pmi)
    is_bare = pc.equal(pairs["predicate"], CO_OCCURRENCE)
    return weights, pc.invert(pc.and_(pa.array(is_weak), is_bare))


def _numbers(column: pa.Array | pa.ChunkedArray) -> Integers:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)


STAGE = Stage(
    name="build_graph",
    version="1",
    inputs=("relation_mentions", "mention_entities", "entities"),
    outputs=("predicates", "relationships", "relation_relationships"),
    settings=lambda settings: (
        "extraction.method",
        *(("extraction.min_pmi",) if settings.extraction.method == "nlp" else ()),
        "resolution.enabled",
        *(("resolution.predicate_threshold",) if settings.resolution.enabled else ()),
    ),
    uses_embedder=lambda settings: settings.resolution.enabled,
    run=run,
)
