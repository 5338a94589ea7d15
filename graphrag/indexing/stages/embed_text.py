"""Embed what queries search by vector: text units, entities and community reports."""

from __future__ import annotations

import pyarrow as pa

from graphrag.indexing.embedding_cache import StoredEmbedder
from graphrag.indexing.stage import Stage, StageContext
from graphrag.schema import PUBLISHED_TABLES
from graphrag.store.publish import published_table

KINDS = ("text_units", "entities", "community_reports")
_TABLES = {table.name: table for table in PUBLISHED_TABLES}


async def run(context: StageContext) -> None:
    """Embed the texts that have no vector yet."""
    embedder = StoredEmbedder(context)
    for kind in KINDS:
        embedder.ensure(searched_texts(kind, published_table(context.store, _TABLES[kind])))


def searched_texts(kind: str, table: pa.Table) -> list[str]:
    """Return what is embedded of each row of a published table, in its order."""
    if kind == "text_units":
        texts: list[str] = table["text"].to_pylist()
        return texts
    if kind == "entities":
        names, descriptions = table["title"].to_pylist(), table["description"].to_pylist()
        return [
            f"{name}: {description}" if description else name
            for name, description in zip(names, descriptions, strict=True)
        ]
    titles, summaries = table["title"].to_pylist(), table["summary"].to_pylist()
    return [f"{title}\n{summary}" for title, summary in zip(titles, summaries, strict=True)]


STAGE = Stage(
    name="embed_text",
    version="1",
    inputs=("documents", "text_units", "entities", "descriptions", "community_reports"),
    outputs=("embeddings",),
    uses_embedder=lambda _: True,
    run=run,
)
