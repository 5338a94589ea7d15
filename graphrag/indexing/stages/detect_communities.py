"""Partition the graph into a hierarchy of communities (Leiden)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from graphrag.graph.communities import detect_communities
from graphrag.graph.seeds import Seeds, seeds_from
from graphrag.indexing.stage import Stage, StageContext
from graphrag.schema import COMMUNITY_SEEDS

# Which relationships an entity has; their weights may shift everywhere when one text is added.
_ADJACENCY = """
SELECT e.id AS entity_id, CAST(coalesce(a.digest, 0) AS VARCHAR) AS adjacency,
       s.entity_id IS NOT NULL AND s.adjacency = CAST(coalesce(a.digest, 0) AS VARCHAR) AS unchanged,
       coalesce(s.drifted, true) AS drifted, coalesce(s.made_by, '') AS made_by
FROM entities e
LEFT JOIN (
    SELECT entity_id, bit_xor(hash(id)) AS digest FROM (
        SELECT id, source_id AS entity_id FROM relationships
        UNION ALL SELECT id, target_id FROM relationships
    ) GROUP BY entity_id
) a ON a.entity_id = e.id
LEFT JOIN community_seeds s ON s.entity_id = e.id
ORDER BY e.id
"""

# Not those of reports and vectors: the graph does not know of them.
_INCOMPLETE = """
SELECT 1 FROM ledger
WHERE status = 'failed' AND stage IN ('extract_graph', 'resolve_entities', 'build_graph') LIMIT 1
"""


async def run(context: StageContext) -> None:
    """Detect communities, starting from those of the run before while little has changed."""
    store = context.store
    entities = store.sql(_ADJACENCY)
    made_by = STAGE.row_fingerprint(context)
    drifted = pc.or_(pc.invert(entities["unchanged"]), entities["drifted"])
    seeds = _seeds(context, entities, drifted, made_by)
    if seeds is None:
        # The partition of a graph with holes is not one to keep: the next change makes it anew.
        incomplete = store.sql(_INCOMPLETE).num_rows > 0
        drifted = pa.array([incomplete] * entities.num_rows, pa.bool_())
    communities = detect_communities(
        entities["entity_id"], store.table("relationships"), context.settings.communities, seeds
    )
    kept = entities.select(["entity_id", "adjacency"]).append_column("drifted", drifted)
    kept = kept.append_column("made_by", pa.array([made_by] * kept.num_rows, pa.string()))
    with store.transaction():
        store.replace("communities", communities)
        store.replace("community_seeds", kept.cast(COMMUNITY_SEEDS.schema))


def _seeds(context: StageContext, entities: pa.Table, drifted: pa.ChunkedArray, made_by: str) -> Seeds | None:
    """Return the partition before, None when there is none to start from or too much has changed."""
    share = (pc.sum(drifted).as_py() or 0) / max(1, entities.num_rows)
    made = set(entities["made_by"].to_pylist()) - {""}
    if made != {made_by} or share > context.settings.communities.max_drift:
        return None
    ids = entities["entity_id"].to_pylist()
    return seeds_from(ids, context.store.table("communities"), entities["unchanged"].to_pylist())


STAGE = Stage(
    name="detect_communities",
    version="2",
    inputs=("entities", "relationships"),
    outputs=("communities",),
    settings=("communities",),
    run=run,
)
