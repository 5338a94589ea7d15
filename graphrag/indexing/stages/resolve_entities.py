"""Decide which mentions are the same entity. Mentions stay as they are; every merge is a row."""

from __future__ import annotations

from graphrag.errors import ConfigError
from graphrag.extract.resolution import resolve_entities
from graphrag.hashing import text_hash
from graphrag.indexing.embedding_cache import StoredEmbedder
from graphrag.indexing.overrides import read_overrides
from graphrag.indexing.stage import Stage, StageContext


async def run(context: StageContext) -> None:
    """Resolve all mentions anew; equal input gives equal entities."""
    overrides = read_overrides(context.layout)
    settings = context.settings.resolution
    mentions = context.store.table("entity_mentions")
    if not mentions.num_rows:
        failed = context.store.sql(
            "SELECT reason FROM ledger WHERE stage = 'extract_graph' AND status = 'failed' LIMIT 1"
        )["reason"].to_pylist()
        raise ConfigError(
            "No entity was found in any text unit" + (f"; the first failure was: {failed[0]}." if failed else "."),
            hint="See `graphrag status`; try another model, or `graphrag index --method fast`.",
        )
    result = resolve_entities(
        mentions,
        embedder=StoredEmbedder(context) if settings.enabled else None,
        settings=settings,
        keep_apart=overrides.keep_apart,
        merge=overrides.merge,
    )
    with context.store.transaction():
        context.store.replace("mention_entities", result.mention_entities)
        context.store.replace("entity_merges", result.entity_merges)
        context.store.replace("entities", result.entities)


def _overrides_version(context: StageContext) -> str | None:
    path = context.layout.merge_overrides
    return text_hash(path.read_text(encoding="utf-8")) if path.is_file() else None


STAGE = Stage(
    name="resolve_entities",
    version="1",
    inputs=("entity_mentions",),
    outputs=("mention_entities", "entity_merges", "entities"),
    settings=("resolution",),
    uses_embedder=lambda settings: settings.resolution.enabled,
    run=run,
    extra=_overrides_version,
)
