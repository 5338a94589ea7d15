"""Partition the graph into a hierarchy of communities (Leiden)."""

from __future__ import annotations

from graphrag.graph.communities import detect_communities
from graphrag.indexing.stage import Stage, StageContext


async def run(context: StageContext) -> None:
    """Detect communities; the same graph gives the same ones."""
    entities = context.store.sql("SELECT id FROM entities ORDER BY id")["id"]
    relationships = context.store.table("relationships")
    context.store.replace(
        "communities", detect_communities(entities, relationships, context.settings.communities)
    )


STAGE = Stage(
    name="detect_communities",
    version="1",
    inputs=("entities", "relationships"),
    outputs=("communities",),
    settings=("communities",),
    run=run,
)
