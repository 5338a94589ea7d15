"""Cut documents into text units; character offsets are kept."""

from __future__ import annotations

from typing import Any

from graphrag.hashing import content_hash
from graphrag.indexing.rows import RowOutcome, commit, pending
from graphrag.indexing.stage import Stage, StageContext
from graphrag.text.chunking import chunk_text

_BATCH = 100


async def run(context: StageContext) -> None:
    """Chunk the documents that are new or whose chunking settings changed."""
    fingerprint = STAGE.row_fingerprint(context)
    owned = (("text_units", "document_id"),)
    documents = pending(context, STAGE.name, fingerprint, "documents", owned)
    context.progress.total(len(documents), "documents")
    for rows in documents.batches(_BATCH):
        commit(context, STAGE.name, fingerprint, [_chunk(context, row) for row in rows])
        context.progress.advance(len(rows))


def _chunk(context: StageContext, document: dict[str, Any]) -> RowOutcome:
    chunks = chunk_text(document["text"], context.settings.chunking)
    units = [
        {
            "id": content_hash("text_unit", document["id"], chunk.start_char, chunk.end_char),
            "document_id": document["id"],
            "ordinal": ordinal,
            "start_char": chunk.start_char,
            "end_char": chunk.end_char,
            "n_tokens": chunk.n_tokens,
            "text": document["text"][chunk.start_char : chunk.end_char],
        }
        for ordinal, chunk in enumerate(chunks)
    ]
    return RowOutcome(document["id"], "done" if units else "empty", rows={"text_units": units})


STAGE = Stage(
    name="chunk_documents",
    version="1",
    inputs=("documents",),
    outputs=("text_units",),
    settings=("chunking",),
    run=run,
    always=True,
)
