"""Make the directed, labelled multigraph: predicates and relationships from relation mentions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrag.extract.nlp_relations import pmi_weights
from graphrag.extract.predicates import canonicalise_predicates
from graphrag.graph.build import build_relationships
from graphrag.indexing.embedding_cache import StoredEmbedder
from graphrag.indexing.stage import Stage, StageContext
from graphrag.schema import RELATION_MENTIONS

CO_OCCURRENCE = "related to"  # what extraction without an LLM says of a pair that no verb connects
_LEAST_WEIGHT = 0.05  # a pair that a verb connects counts, however little its words attract each other

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
    mentions = store.table("relation_mentions")
    weights = None
    if settings.extraction.method == "nlp" and mentions.num_rows:
        weights, keep = _weigh_co_occurrence(context)
        mentions = mentions.filter(keep)
    embedder = StoredEmbedder(context) if settings.resolution.enabled else None
    vocabulary = canonicalise_predicates(
        store.sql(_RELATIONS, kept=mentions.cast(RELATION_MENTIONS.schema)),
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


def _weigh_co_occurrence(context: StageContext) -> tuple[dict[tuple[str, str], float], pa.Array]:
    """Return the weight of every pair of entities, and which relation mentions are kept.

    A pair weighs its number of text units times its normalised PMI. Mentions that no verb connects
    are dropped below ``extraction.min_pmi``.
    """
    pairs = context.store.sql(_PAIRS)
    ends = list(zip(pairs["low"].to_pylist(), pairs["high"].to_pylist(), strict=True))
    low, high, pmi, counts = pmi_weights(
        pairs["low"].to_pylist(), pairs["high"].to_pylist(), pairs["text_unit_id"].to_pylist()
    )
    names = list(zip(low.tolist(), high.tolist(), strict=True))
    value = np.maximum(pmi, _LEAST_WEIGHT) * counts
    weights = dict(zip(names, value.tolist(), strict=True))
    least = context.settings.extraction.min_pmi
    weak = {pair for pair, one in zip(names, pmi.tolist(), strict=True) if one < least}
    is_weak = pa.array([pair in weak for pair in ends], pa.bool_())
    is_bare = pc.equal(pairs["predicate"], CO_OCCURRENCE)
    return weights, pc.invert(pc.and_(is_weak, is_bare))


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
