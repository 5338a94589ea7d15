"""Embed what queries search by vector: text units, entities and community reports."""

from __future__ import annotations

import asyncio

import numpy as np
import pyarrow as pa

from graphrag.embed.base import Vectors
from graphrag.indexing.embedding_cache import StoredEmbedder
from graphrag.indexing.stage import Stage, StageContext
from graphrag.schema import PUBLISHED_TABLES
from graphrag.settings import Settings
from graphrag.store.passages import passage_texts
from graphrag.store.publish import published_table
from graphrag.store.store import Store
from graphrag.text.sentences import sentence_spans

KINDS = ("text_units", "entities", "community_reports")
_DESCRIPTION = 300  # characters; the model reads no more than a few sentences anyway
_TABLES = {table.name: table for table in PUBLISHED_TABLES}


async def run(context: StageContext) -> None:
    """Embed the texts that have no vector yet."""
    embedder = StoredEmbedder(context)
    for kind in KINDS:
        table = published_table(context.store, _TABLES[kind])
        texts = searched_texts(kind, table, context.store, context.settings)
        # In a thread of its own: the loop stays free to hear that the run is to stop.
        await asyncio.to_thread(embedder.ensure, [text for parts in texts for text in parts])


def searched_texts(kind: str, table: pa.Table, store: Store, settings: Settings) -> list[tuple[str, ...]]:
    """Return what is embedded of each row of a published table, in its order.

    A row of several texts is searched by their mean. An extractive report is made of sentences that
    were embedded when they were chosen, so its vector costs nothing.
    """
    if kind == "text_units":
        documents = store.sql("SELECT id, title, record_id FROM documents")
        return [(text,) for text in passage_texts(table, documents)]
    if kind == "entities":
        titles = table["title"].to_pylist()
        if settings.embedding.entity_text == "title":
            return [(title,) for title in titles]
        descriptions = table["description"].to_pylist()
        return [
            (f"{title}: {text[:_DESCRIPTION]}" if text else title,)
            for title, text in zip(titles, descriptions, strict=True)
        ]
    rows = table.select(["title", "summary", "method"]).to_pylist()
    return [
        sentences_of(row["summary"])
        if row["method"] == "extractive"
        else (f"{row['title']}\n{row['summary']}",)
        for row in rows
    ]


def sentences_of(summary: str) -> tuple[str, ...]:
    """Return the sentences of an extractive summary as they were embedded."""
    return tuple(summary[start:end] for start, end in sentence_spans(summary)) or (summary,)


def row_vectors(embedder: StoredEmbedder, texts: list[tuple[str, ...]]) -> Vectors:
    """Return one unit-length vector per row: the mean of the vectors of its texts."""
    flat = embedder.embed([text for parts in texts for text in parts])
    if not texts:
        return flat
    starts = np.cumsum([0, *(len(parts) for parts in texts[:-1])])
    sums = np.add.reduceat(flat, starts, axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.where(norms > 0, norms, 1.0), dtype=np.float32)


STAGE = Stage(
    name="embed_text",
    version="2",
    inputs=("documents", "text_units", "entities", "descriptions", "community_reports"),
    outputs=("embeddings",),
    settings=("embedding.entity_text",),
    uses_embedder=lambda _: True,
    run=run,
)
