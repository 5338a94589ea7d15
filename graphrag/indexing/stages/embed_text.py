"""Embed what queries search by vector: text units, entities and community reports.

The ledger has an entry for every row: its fingerprint is the id of the row's vector. So what is
pending, what failed and which vector a row is searched by are one thing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pyarrow as pa

from graphrag.indexing.embedding_cache import StoredEmbedder
from graphrag.indexing.rows import RowOutcome, forget_missing, record
from graphrag.indexing.stage import Stage, StageContext
from graphrag.settings import Settings
from graphrag.store.passages import passage_texts
from graphrag.store.store import Store
from graphrag.text.sentences import sentence_spans

_SLICE = 4096  # rows whose texts are in memory at once
_DESCRIPTION = 300  # characters; the model reads no more than a few sentences anyway
# What the texts of a row are made from, by table and key.
_SOURCES = {
    "text_units": "SELECT id, document_id, text FROM text_units",
    "entities": """SELECT e.id, e.title, d.text AS description
                   FROM entities e LEFT JOIN descriptions d ON d.owner_id = e.id""",
    "community_reports": "SELECT community_id AS id, title, summary, method FROM community_reports",
}
KINDS = tuple(_SOURCES)


async def run(context: StageContext) -> None:
    """Embed the rows that have no vector of their texts; what got none is in the ledger with the reason."""
    store = context.store
    embedder = StoredEmbedder(context)
    ids = {kind: _ids(store, kind) for kind in KINDS}
    forget_missing(context, STAGE.name, {one for some in ids.values() for one in some.to_pylist()})
    for kind in KINDS:
        for start in range(0, len(ids[kind]), _SLICE):
            if context.stopping.is_set():
                return
            # In a thread of its own: the loop stays free to hear that the run is to stop.
            await asyncio.to_thread(_embed, context, embedder, kind, ids[kind].slice(start, _SLICE))


def _embed(context: StageContext, embedder: StoredEmbedder, kind: str, ids: pa.Array) -> None:
    """Give a vector to each of the rows ``ids`` whose texts have none."""
    wanted = pa.table({"id": ids})
    entries = context.store.sql(
        "SELECT row_id, fingerprint, status FROM ledger JOIN wanted ON wanted.id = row_id WHERE stage = $1",
        [STAGE.name],
        wanted=wanted,
    ).to_pylist()
    known = {(row["row_id"], row["fingerprint"]): row["status"] for row in entries}
    left = () if context.retry_failed else ("failed",)
    todo = [
        (row_id, vector_id, texts)
        for row_id, texts in searched_texts(kind, wanted, context.store, context.settings)
        if known.get((row_id, vector_id := embedder.id_of(texts))) not in ("done", *left)
    ]
    embedder.ensure([text for _, _, texts in todo for text in texts])
    failed = embedder.failures.keys()
    embedder.combine([texts for _, _, texts in todo if len(texts) > 1 and failed.isdisjoint(texts)])
    made = embedder.stored([vector_id for _, vector_id, _ in todo])
    outcomes = []
    for row_id, vector_id, texts in todo:
        why = next((embedder.failures[text] for text in texts if text in embedder.failures), None)
        if why is not None:
            outcomes.append((RowOutcome(row_id, "failed", f"EmbeddingError: {why}"), vector_id))
        elif vector_id in made:  # the others are left for the next run: this one was asked to stop
            outcomes.append((RowOutcome(row_id, "done"), vector_id))
    record(context, STAGE.name, outcomes)


def _ids(store: Store, kind: str) -> pa.Array:
    return store.sql(f"SELECT id FROM ({_SOURCES[kind]}) ORDER BY id")["id"].combine_chunks()


def searched_texts(
    kind: str, wanted: pa.Table, store: Store, settings: Settings
) -> list[tuple[str, tuple[str, ...]]]:
    """Return (row id, texts) of the rows ``wanted`` (column id): what is embedded of each, sorted by id.

    A row of several texts is searched by their mean. An extractive report is made of sentences that
    were embedded when they were chosen, so its vector costs nothing.
    """
    table = store.sql(
        f"SELECT s.* FROM ({_SOURCES[kind]}) s JOIN wanted USING (id) ORDER BY id", wanted=wanted
    )
    ids = table["id"].to_pylist()
    texts: Sequence[tuple[str, ...]]
    if kind == "text_units":
        documents = store.sql(
            "SELECT id, title, record_id FROM documents WHERE id IN (SELECT document_id FROM units)",
            units=table,
        )
        texts = [(text,) for text in passage_texts(table, documents)]
    elif kind == "entities":
        titles = table["title"].to_pylist()
        described = settings.embedding.entity_text != "title"
        descriptions = table["description"].to_pylist()
        texts = [
            (f"{title}: {text[:_DESCRIPTION]}" if text and described else title,)
            for title, text in zip(titles, descriptions, strict=True)
        ]
    else:
        texts = [
            sentences_of(row["summary"])
            if row["method"] == "extractive"
            else (f"{row['title']}\n{row['summary']}",)
            for row in table.to_pylist()
        ]
    return list(zip(ids, texts, strict=True))


def sentences_of(summary: str) -> tuple[str, ...]:
    """Return the sentences of an extractive summary as they were embedded."""
    return tuple(summary[start:end] for start, end in sentence_spans(summary)) or (summary,)


STAGE = Stage(
    name="embed_text",
    version="3",
    inputs=("documents", "text_units", "entities", "descriptions", "community_reports"),
    outputs=("embeddings",),
    settings=("embedding.entity_text",),
    uses_embedder=lambda _: True,
    run=run,
)
